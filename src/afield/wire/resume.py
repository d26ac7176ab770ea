"""Bytes that were sent and not yet acknowledged, by their absolute place in the stream  [P].

Rules: references to the buffers that were sent, never copies; an offset may lie in the middle of a buffer and of a frame.
The bound is kept by whoever sends (window, slack, refusal in ``limits``). No transports here.
"""

from collections import deque

from afield.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Deque, Iterable, List, Union

    Buffer = Union[bytes, memoryview]


class Replay:
    """What may have to be sent again: the bytes from ``start`` (acknowledged so far) to ``end`` (sent so far)."""

    __slots__ = ("_chunks", "_skip", "end", "start")

    def __init__(self) -> "None":
        self.start = 0
        self.end = 0
        self._chunks: "Deque[Buffer]" = deque()
        self._skip = 0  # bytes of the first chunk that are acknowledged

    def __len__(self) -> "int":
        return self.end - self.start

    def add(self, chunks: "Iterable[Buffer]", size: "int") -> "None":
        """Keep chunks of ``size`` bytes together that are sent now."""
        self._chunks.extend(chunks)
        self.end += size

    def acknowledge(self, offset: "int") -> "None":
        """Forget what lies before ``offset``; raises ProtocolError when that was never sent or already acknowledged beyond."""
        if not self.start <= offset <= self.end:
            raise ProtocolError(
                "expected the peer to have received %d to %d bytes, got %d" % (self.start, self.end, offset),
                hint="the two ends do not speak of the same session",
            )
        chunks = self._chunks
        left = offset - self.start + self._skip
        while chunks and len(chunks[0]) <= left:
            left -= len(chunks.popleft())
        self._skip = left
        self.start = offset

    def unacknowledged(self) -> "List[Buffer]":
        """Give everything from ``start`` to ``end``, to be sent once more."""
        chunks = list(self._chunks)
        if self._skip:
            chunks[0] = memoryview(chunks[0])[self._skip :]
        return chunks
