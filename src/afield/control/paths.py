"""Where the daemon's socket, lock, log and memory are (XDG base directory specification), and whether they are safe to use.

Rules: a folder is used only when it is ours and nobody else can enter it; a socket path longer than a socket address
holds is reached through an open directory handle. What must not go in: reading or writing what the files hold.
"""

from __future__ import annotations

import os
import stat
import sys

from afield.errors import DaemonError

SOCKET_NAME = "daemon.sock"
# struct sockaddr_un on Linux holds 108 bytes with the final NUL, on macOS 104 (unix(7), unix(4)).
SOCKET_LIMIT = 107 if sys.platform.startswith("linux") else 103


def run_folder() -> str:
    """Give the folder of the socket and the lock; it need not exist yet."""
    own = os.environ.get("AFIELD_RUN_DIR")
    if own:
        return os.path.abspath(own)
    base = os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/afield-{os.getuid()}"
    return os.path.join(base, "afield")


def state_folder() -> str:
    """Give the folder of what the daemon remembers; it need not exist yet."""
    own = os.environ.get("AFIELD_STATE_DIR")
    if own:
        return os.path.abspath(own)
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "afield")


def socket_path() -> str:
    """Give the path of the daemon's socket."""
    return os.path.join(run_folder(), SOCKET_NAME)


def lock_path() -> str:
    """Give the path of the file that the living daemon holds locked."""
    return os.path.join(run_folder(), "daemon.lock")


def log_path() -> str:
    """Give the path of the daemon's log."""
    return os.path.join(state_folder(), "log", "daemon.log")


def make_private(folder: str) -> str:
    """Make folder and what is missing above it, 0700, and return it. Raises DaemonError when it is not ours alone.

    Only folders that are ours get their mode tightened: in ``/tmp`` somebody else may have made the name first.
    """
    made = []
    current = folder
    while not os.path.lexists(current):
        made.append(current)
        current = os.path.dirname(current)
    try:
        for path in reversed(made):
            try:
                os.mkdir(path, 0o700)
            except FileExistsError:
                continue
        _check_shared_parent(folder)
        _check_ours(folder)
    except OSError as error:
        raise DaemonError(
            f"the folder {folder} cannot be used: {error.strerror}",
            hint="name another one with AFIELD_RUN_DIR (socket) or AFIELD_STATE_DIR (memory)",
        ) from None
    return folder


def _check_shared_parent(folder: str) -> None:
    parent = os.path.dirname(folder)
    if parent == f"/tmp/afield-{os.getuid()}":
        _check_ours(parent)


def _check_ours(folder: str) -> None:
    info = os.lstat(folder)
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
        raise DaemonError(
            f"{folder} is not a folder that belongs to user {os.getuid()} (owner {info.st_uid})",
            hint="remove it, or name another one with AFIELD_RUN_DIR",
        )
    if info.st_mode & 0o077:
        os.chmod(folder, 0o700, follow_symlinks=True)


class socket_address:  # noqa: N801 used like a function; contextlib would cost 2 ms at every start
    """Give, in a ``with``, an address for ``bind`` or ``connect`` that fits: the path itself or a short name of the same file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle = self._before = -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) <= SOCKET_LIMIT:
            return self._path
        folder, name = os.path.split(self._path)
        self._handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if sys.platform.startswith("linux"):
            return f"/proc/self/fd/{self._handle}/{name}"
        # There is no name for an open folder there; only short-lived single-threaded moments come here.
        self._before = os.open(".", os.O_RDONLY)
        os.fchdir(self._handle)
        return name

    def __exit__(self, *_: object) -> None:
        if self._before >= 0:
            os.fchdir(self._before)
        for handle in (self._before, self._handle):
            if handle >= 0:
                os.close(handle)
        self._handle = self._before = -1
