"""A pair of descriptors that carries one session's bytes: reads the client's hello, then moves bytes  [P].

Rules: reads go into one buffer shared by all (``readv``), writes are gathered (``writev``); what the link gave out is written
completely or the transport is lost. Which session a hello belongs to is the keeper's decision.
"""

import os

from afield.agent.loop import READ, WRITE
from afield.agent.pumps import close_quietly, grow_pipe
from afield.errors import ProtocolError
from afield.wire.hello import SIZE, parse_hello

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional

    from afield.agent.keeper import Keeper
    from afield.agent.loop import Watch
    from afield.agent.session import Session

# Four frames: a quarter of a grown pipe, and it stays in the processor's second-level cache.
BUFFER_SIZE = 262144
# writev takes at most IOV_MAX pieces (1024 on Linux and macOS).
PIECES = 512
# A client sends its hello at once; one that does not within this time is not a client.
HELLO_WAIT = 120.0
# Seconds for the rest of the input once nobody reads our output: it lies in a pipe already.
LAST_WORDS = 2.0

_buffer = bytearray(BUFFER_SIZE)
_view = memoryview(_buffer)


class Transport:
    """Owns fd_in and fd_out, and bridge (the socket of the sleeping login) when there is one."""

    def __init__(self, keeper: "Keeper", fd_in: "int", fd_out: "int", bridge: "Any" = None) -> "None":
        self.keeper = keeper
        self.session: "Optional[Session]" = None
        self.open = True
        self._in, self._out = fd_in, fd_out
        self._bridge = bridge
        self._mute = False
        self._hello = b""
        self._chunks: "List[Any]" = []
        self._blocked: "Optional[Watch]" = None
        for fd in (fd_in, fd_out):
            os.set_blocking(fd, False)
            grow_pipe(fd)
        self._watch = keeper.loop.watch(fd_in, READ, self._readable)
        self._patience = keeper.loop.call_later(HELLO_WAIT, self._too_slow)

    @property
    def idle(self) -> "bool":
        """Whether everything that was given to ``write`` is written."""
        return self.open and not self._chunks and not self._mute

    def write(self, chunks: "List[Any]") -> "None":
        """Write pieces in order; the rest is kept. A dead descriptor loses the transport."""
        self._chunks = chunks
        self._write()

    def close(self) -> "None":
        """Close the descriptors, which lets the far ssh end; may be called twice."""
        if not self.open:
            return
        self.open = False
        self._patience.cancel()
        self._watch.stop()
        if self._blocked is not None:
            self._blocked.stop()
        self._chunks = []
        close_quietly(self._in)
        close_quietly(self._out)
        if self._bridge is not None:
            self._bridge.close()
        self.keeper.transport_over(self)

    @property
    def has_bridge(self) -> "bool":
        """Whether a login sleeps for this transport."""
        return self._bridge is not None

    def refuse(self, answer: "bytes") -> "None":
        """Send a last answer and close."""
        try:
            os.write(self._out, answer)
        except OSError:
            pass
        self.close()

    def _readable(self) -> "None":
        try:
            count = os.readv(self._in, [_buffer])
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if count == 0:
            self._lost()
            return
        try:
            self._received(_view[:count])
        except Exception as error:
            if isinstance(error, ProtocolError):
                self.keeper.log("transport: %s" % error)
            else:
                self.keeper.log_failure("transport")
            if self.session is not None:
                self.session.abandon()
            self.close()

    def _received(self, data: "Any") -> "None":
        now = self.keeper.now()
        if self.session is None:
            missing = SIZE - len(self._hello)
            self._hello += bytes(data[:missing])
            data = data[missing:]
            if len(self._hello) < SIZE:
                return
            self._patience.cancel()
            self.keeper.hello(self, parse_hello(self._hello), now)
        if self.session is not None and len(data):
            self.session.receive(data, now)

    def _write(self) -> "None":
        chunks = self._chunks
        try:
            while chunks:
                written = os.writev(self._out, chunks[:PIECES])
                chunks = _without(chunks, written)
        except BlockingIOError:
            self._chunks = chunks
            if self._blocked is None:
                self._blocked = self.keeper.loop.watch(self._out, WRITE, self._write)
            return
        except OSError:
            self._reader_gone()
            return
        self._chunks = []
        if self._blocked is not None:
            self._blocked.stop()
            self._blocked = None

    def _reader_gone(self) -> "None":
        """Read what still lies in the pipe: the client's last words may be a goodbye."""
        self._mute = True
        self._chunks = []
        if self._blocked is not None:
            self._blocked.stop()
            self._blocked = None
        self.keeper.loop.call_later(LAST_WORDS, self._lost)

    def _lost(self) -> "None":
        session = self.session
        if session is not None and session.transport is self:
            session.lose_transport(self.keeper.now())
        self.close()

    def _too_slow(self) -> "None":
        self.keeper.log("transport: no hello within %d s" % HELLO_WAIT)
        self.close()


def _without(chunks: "List[Any]", count: "int") -> "List[Any]":
    """Drop the first count bytes."""
    for index, chunk in enumerate(chunks):
        if count < len(chunk):
            rest = chunks[index:]
            if count:
                rest[0] = memoryview(chunk)[count:]
            return rest
        count -= len(chunk)
    return []
