"""The streams of one end by their ids: which may be opened, which are live, which are over  [P].

Rules: the client's ids are odd, the agent's even, each side's grow; so an id tells whether its stream ever was. Frames may
still be on their way for a stream that is over; for one that never was they are a fault. Nothing is sent here.
"""

from afield.errors import InternalError, LinkError, ProtocolError
from afield.wire.streams import CLOSING, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional

    from afield.wire.limits import Limits

_LAST = (1 << 32) - 1


class StreamTable:
    """``first`` is 1 at the client's end and 2 at the agent's."""

    def __init__(self, first: "int", limits: "Limits") -> "None":
        self._limits = limits
        self._parity = first & 1
        self._next = first
        self._peer_last = 1 - first if first == 1 else -1  # below the peer's first id by two
        self._here = 0  # streams that we opened and that are not over
        self.live: "Dict[int, Stream]" = {}

    def __len__(self) -> "int":
        return len(self.live)

    def _make(self, number: "int") -> "Stream":
        stream = self.live[number] = Stream(number, window=self._limits.window, bulk=None, limits=self._limits)
        return stream

    def open_here(self) -> "Stream":
        """Make a stream of ours; raises LinkError when there are too many."""
        if self._here >= self._limits.streams or self._next > _LAST:
            raise LinkError("expected at most %d open streams" % (self._limits.streams,), hint="close some first")
        number = self._next
        self._next += 2
        self._here += 1
        return self._make(number)

    def open_there(self, number: "int") -> "Stream":
        """Make a stream that the peer opened; raises ProtocolError for an id that is not its next, or too many streams."""
        if number & 1 == self._parity or number <= self._peer_last:
            raise ProtocolError("expected the peer to open a stream after %d, got %d" % (self._peer_last, number))
        if len(self.live) - self._here >= self._limits.streams:
            raise ProtocolError("expected at most %d streams opened by the peer" % (self._limits.streams,))
        self._peer_last = number
        return self._make(number)

    def _was(self, number: "int") -> "bool":
        if number & 1 == self._parity:
            return 0 < number < self._next
        return 0 < number <= self._peer_last

    def find(self, number: "int") -> "Optional[Stream]":
        """Give a stream that the user may still use, None when it is over; raises InternalError when it never was."""
        stream = self.live.get(number)
        if stream is None:
            if not self._was(number):
                raise InternalError("expected the id of a stream, got %r" % (number,))
            return None
        return None if stream.state == CLOSING else stream

    def meet(self, number: "int") -> "Optional[Stream]":
        """Give the stream of a frame that came, None when it is over; raises ProtocolError when it never was."""
        stream = self.live.get(number)
        if stream is None and not self._was(number):
            raise ProtocolError("expected the id of an open stream, got %d" % (number,))
        return stream

    def forget(self, stream: "Stream") -> "None":
        """Take a stream out, with all that it has queued."""
        stream.drop()
        if self.live.pop(stream.id, None) is not None and stream.id & 1 == self._parity:
            self._here -= 1
