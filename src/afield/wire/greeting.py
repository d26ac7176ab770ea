"""The hellos of one transport after the other, as one end of a session sees them  [P].

Rules: each transport begins with one hello each way; the state is a table of three words. No frames here.
"""

from afield.errors import ProtocolError
from afield.wire.hello import GONE, NEW, RESUME, SIZE, encode_hello, parse_hello, same_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

    from afield.wire.hello import Hello

CLOSED, WAITING, DONE, REFUSED = "closed", "waiting", "done", "refused"


class Greeting:
    """``first`` is the side that begins a session (the client)."""

    def __init__(self, first: "bool", session: "bytes", secret: "bytes") -> "None":
        self._first = first
        self._session = session
        self._secret = secret
        self._state = CLOSED
        self._met = False  # some transport carried both hellos
        self._out = b""
        self._buffer = bytearray()
        encode_hello(NEW, session, secret, 0)  # a wrong size shows where it is made

    @property
    def open(self) -> "bool":
        """There is a transport."""
        return self._state != CLOSED

    @property
    def done(self) -> "bool":
        """The peer's hello came."""
        return self._state == DONE or self._state == REFUSED

    @property
    def refused(self) -> "bool":
        """The peer does not know the session."""
        return self._state == REFUSED

    def begin(self, received: "int") -> "None":
        """Start on a fresh transport, having received so many bytes of the peer's stream."""
        # A client whose first hello was perhaps lost says NEW again: nothing was received, so both readings agree.
        flags = RESUME if self._met else NEW
        self._out = encode_hello(flags, self._session, self._secret, received)
        self._buffer = bytearray()
        self._state = WAITING

    def end(self) -> "None":
        """Let go of the transport."""
        self._out = b""
        self._state = CLOSED

    def take(self) -> "bytes":
        """Give the hello to be sent, once."""
        out, self._out = self._out, b""
        return out

    def feed(self, view: "memoryview") -> "Tuple[Optional[Hello], memoryview]":
        """Take bytes until the hello is whole; gives it and what follows it. Raises ProtocolError."""
        if self._state == CLOSED:
            raise ProtocolError("expected no bytes without a transport, got %d" % (len(view),))
        need = SIZE - len(self._buffer)
        self._buffer += view[:need]
        if len(self._buffer) < SIZE:
            return None, view[need:]
        return parse_hello(self._buffer), view[need:]

    def accept(self, hello: "Hello") -> "bool":
        """Judge the peer's hello; gives whether the session goes on from an earlier transport. Raises ProtocolError."""
        if hello.session != self._session:
            raise ProtocolError("expected the hello of this session, got one of another")
        if hello.flags == GONE:
            if not self._first:
                raise ProtocolError("expected a client to know its own session, got GONE")
            self._state = REFUSED
            return False
        if not same_secret(hello.secret, self._secret):
            raise ProtocolError("expected the secret of this session, got another")
        resumed, self._met = self._met, True
        self._state = DONE
        return resumed
