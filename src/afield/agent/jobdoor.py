"""The socket of a job's keeper: records of clients in, records out; who comes is our own user  [P].

A client says ``{"tell": position}`` (once, when the journal is longer than that), ``{"input": bytes}``, ``{"resize": [rows, cols]}``,
``{"stop": {"signal", "grace"}}``; it hears ``{"grown": position}`` and ``{"ended": true}``. New words may come with any release,
unknown ones are passed over: a keeper outlives the agent that started it. What the words do must not go in here.
"""

import _socket
import os

from afield.agent import jobdir, joining
from afield.agent.loop import READ
from afield.agent.pumps import Outflow, close_quietly
from afield.errors import ProtocolError
from afield.wire.records import RecordReader, encode_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Set

    from afield.agent.loop import Loop

PIECE = 65536
# An answer that waits behind so much belongs to a client that reads nothing.
STUCK = 1 << 20


class Peer:
    """One connection, at either end. ``heard(value)`` for each record, ``gone()`` once."""

    def __init__(self, loop: "Loop", sock: "Any", heard: "Callable[[Any], Any]", gone: "Callable[[], Any]") -> "None":
        self.tell: "Optional[int]" = None
        self.open = True
        self._sock = sock
        self._heard = heard
        self._gone = gone
        self._taken: "Any" = lambda _count: None
        self._reader = RecordReader()
        self._out = Outflow(loop, os.dup(sock.fileno()), self._left, lambda _errno: self.close())
        self._watch = loop.watch(sock.fileno(), READ, self._readable)

    @property
    def queued(self) -> "int":
        """Bytes that the other end has not taken."""
        return self._out.queued

    def say(self, value: "Any") -> "None":
        """Send one record."""
        if self.open:
            if self._out.queued > STUCK:
                self.close()
            else:
                self._out.write(encode_record(value))

    def _left(self, _count: "int") -> "None":
        self._taken(_count)

    def on_left(self, callback: "Callable[[int], Any]") -> "None":
        """Call back whenever something left."""
        self._taken = callback

    def _readable(self) -> "None":
        try:
            data = self._sock.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        try:
            for value in self._reader.feed(data):
                if isinstance(value, dict) and self.open:
                    self._heard(value)
        except ProtocolError:
            self.close()

    def close(self) -> "None":
        """Hang up; ``gone`` is called unless that was done already."""
        if self.open:
            self.open = False
            self._watch.stop()
            self._out.close()
            self._sock.close()
            self._gone()


class Door:
    """The keeper's side. ``heard(peer, value)`` takes what clients say."""

    def __init__(self, loop: "Loop", folder: "str", heard: "Callable[[Peer, Any], Any]") -> "None":
        self.peers: "Set[Peer]" = set()
        self._loop = loop
        self._heard = heard
        self._listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        mask = os.umask(0o177)
        name, held = jobdir.address(folder)
        try:
            self._listener.bind(name)
        finally:
            os.umask(mask)
            if held >= 0:
                os.close(held)
        self._listener.listen(16)
        self._listener.setblocking(False)
        self._watch = loop.watch(self._listener.fileno(), READ, self._accept)

    def _accept(self) -> "None":
        sock = joining.accept(self._listener)
        if sock is not None:
            self.peers.add(self._welcome(sock))

    def _welcome(self, sock: "Any") -> "Peer":
        found: "Peer" = Peer(
            self._loop, sock, lambda value: self._heard(found, value), lambda: self.peers.discard(found)
        )
        return found

    def grown(self, position: "int") -> "None":
        """Tell those who wait for it that the journal is that long."""
        for peer in list(self.peers):
            if peer.tell is not None and position > peer.tell:
                peer.tell = None
                peer.say({"grown": position})

    def say_all(self, value: "Any") -> "None":
        """Tell everybody."""
        for peer in list(self.peers):
            peer.say(value)

    def close(self) -> "None":
        """Hang up on all and stop listening; the name is left to who removes the folder."""
        self._watch.stop()
        self._listener.close()
        for peer in list(self.peers):
            peer.close()


def connect(loop: "Loop", folder: "str", heard: "Callable[[Any], Any]", gone: "Callable[[], Any]") -> "Peer":
    """Give a connection to the keeper of a job. Raises OSError when none listens."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    os.set_inheritable(sock.fileno(), False)
    name, held = jobdir.address(folder)
    try:
        sock.connect(name)
    except OSError:
        sock.close()
        raise
    finally:
        close_quietly(held)
    sock.setblocking(False)
    return Peer(loop, sock, heard, gone)
