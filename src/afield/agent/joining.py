"""How a second login finds the agent that is there, or becomes the agent itself  [P].

    connect ──taken──► hand over 0 and 1, sleep (as `cat`) until the agent lets go, exit
       └──nobody──► lock ──got it──► bind, listen: be the agent
                      └──held──► somebody is just starting: try again

The lock (flock) is held for the agent's whole life and goes with it, even after kill -9. Both ends check the other's user.
No copying of bytes: the agent reads the second login's pipes itself. Only this file knows what crosses the socket.
"""

import _socket
import errno
import fcntl
import os
import struct
from time import monotonic, sleep

from afield.agent import runfolder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

HAND_OVER = b"J"
TAKEN = b"K"
# Binding takes a millisecond; a machine that swaps takes seconds.
PATIENCE = 10.0
PAUSE = 0.01
_FDS = struct.Struct("2i")
_CREDENTIALS = struct.Struct("3i")  # unix(7): pid, uid, gid
BACKLOG = 16
SLEEPERS = ("/bin/cat", "/usr/bin/cat")


class Place:
    """The run folder of an agent, its files' stem, and what makes it the only one: the lock and the listening socket."""

    __slots__ = ("folder", "identity", "listener", "lock", "stem")

    def __init__(self, folder: "str", stem: "str", identity: "str") -> "None":
        self.folder = folder
        self.stem = stem
        self.identity = identity
        self.lock = -1
        self.listener: "Any" = None

    def path(self, suffix: "str") -> "str":
        """Give the path of the file with this suffix."""
        return os.path.join(self.folder, self.stem + suffix)


def enter(info: "Dict[str, Any]") -> "Optional[Place]":
    """Join the agent that is there (then this never returns), or give the place that is now ours; None: be alone.

    Alone means no second login can join: there is no folder for a socket, or an agent that does not answer holds it.
    """
    folder = runfolder.find(info)
    if folder is None:
        return None
    identity = runfolder.host_identity()
    place = Place(folder, runfolder.name(info["hash"], identity), identity)
    end = monotonic() + PATIENCE
    while monotonic() < end:
        sock = _connect(place)
        if sock is not None:
            _bridge(sock)
            continue
        try:
            if _lock(place):
                _listen(place)
                return place
        except OSError:  # no locks or no sockets on this file system
            return None
        sleep(PAUSE)
    return None


def _connect(place: "Place") -> "Any":
    if not os.path.exists(place.path(".sock")):
        return None
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.settimeout(PATIENCE / 2)
        sock.connect(runfolder.reachable(place.folder, place.stem + ".sock"))
        if peer_uid(sock) == os.getuid():
            return sock
    except OSError:
        pass
    sock.close()
    return None


def _bridge(sock: "Any") -> "None":
    """Hand 0 and 1 over and sleep; returns only when nobody took them."""
    try:
        sock.sendmsg([HAND_OVER], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _FDS.pack(0, 1))])
        taken = sock.recv(1) == TAKEN
    except OSError:
        taken = False
    if not taken:
        sock.close()
        return
    sock.settimeout(None)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(sock.fileno(), 0)
    _sleep_small()
    try:
        sock.recv(1)
    except OSError:
        pass
    os._exit(0)


def _sleep_small() -> "None":
    """Become a program that waits for the end of 0 with a fifth of our memory; returns when there is none.

    Leaving altogether is no way: sshd closes the standard input of a command whose process ended, although another one reads it.
    """
    for path in SLEEPERS:
        try:
            os.execv(path, ["cat"])
        except OSError:
            pass


def _lock(place: "Place") -> "bool":
    path = place.path(".lock")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # An agent that leaves removes its lock file: what was locked may be no file any more.
        if os.stat(path).st_ino == os.fstat(fd).st_ino:
            place.lock = fd
            return True
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.ENOENT):
            os.close(fd)
            raise
    os.close(fd)
    return False


def _listen(place: "Place") -> "None":
    """Bind the socket. Raises OSError."""
    try:
        os.unlink(place.path(".sock"))  # of an agent that was killed: the lock says that none lives
    except FileNotFoundError:
        pass
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(runfolder.reachable(place.folder, place.stem + ".sock"))
    finally:
        os.umask(mask)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    place.listener = listener


def listen_again(place: "Place") -> "None":
    """Bind anew when something removed the socket's name. Raises OSError."""
    if not os.path.exists(place.path(".sock")):
        if place.listener is not None:
            place.listener.close()
        runfolder.make(place.folder)
        _listen(place)


def accept(listener: "Any") -> "Any":
    """Give the next connection of our own user, non-blocking, or None."""
    try:
        fd = listener._accept()[0]
    except OSError:
        return None
    sock = _socket.socket(fileno=fd)
    os.set_inheritable(fd, False)
    sock.setblocking(False)
    if peer_uid(sock) != os.getuid():
        sock.close()
        return None
    return sock


def take_descriptors(sock: "Any") -> "Optional[Tuple[int, int]]":
    """Receive a login's descriptors and say so; None when the message is something else. Raises BlockingIOError."""
    data, ancillary, _, _ = sock.recvmsg(16, _socket.CMSG_SPACE(_FDS.size))
    fds: "List[int]" = []
    for level, kind, payload in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            whole = len(payload) // 4
            fds.extend(struct.unpack("%di" % whole, payload[: whole * 4]))
    for fd in fds:
        os.set_inheritable(fd, False)
    if data != HAND_OVER or len(fds) != 2:
        for fd in fds:
            os.close(fd)
        return None
    try:
        sock.send(TAKEN)
    except OSError:
        for fd in fds:
            os.close(fd)
        return None
    return fds[0], fds[1]


def peer_uid(sock: "Any") -> "int":
    """Give the user at the other end; ours where the system cannot tell (the folder is private all the same)."""
    option = getattr(_socket, "SO_PEERCRED", None)
    if option is None:
        return os.getuid()
    return int(_CREDENTIALS.unpack(sock.getsockopt(_socket.SOL_SOCKET, option, _CREDENTIALS.size))[1])
