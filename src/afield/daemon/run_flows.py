"""What flows between a run's client and its stream: queue, counts, credit, and what may have to be said again. No I/O of its own.

Rules: bytes wait here only as long as the stream takes no more; the client may send one window more than the program has taken.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from afield.daemon import run_wire
from afield.errors import ProtocolError

if TYPE_CHECKING:
    from afield.daemon.job_views import Keys


class RunInput:
    """``credit``: absolute number of bytes that the client may send. ``keys``: of a view, which some of them end."""

    def __init__(self) -> None:
        self.credit = run_wire.WINDOW
        self.keys: Keys | None = None
        self._parts: deque[bytes] = deque()
        self._ended = False
        self._taken_before = 0  # by the program, before this client came
        self._received = 0
        self._unsure: list[bytes] = []

    def take(self, data: bytes) -> bool:
        """Queue bytes of the client; gives whether they end the view. Raises ProtocolError when they are more than was allowed."""
        self._received += len(data)
        if self._taken_before + self._received > self.credit:
            raise ProtocolError(f"stdin past the credit of {self.credit} bytes")
        leave = False
        if self.keys is not None:
            data, leave = self.keys.feed(data)
        if data and not leave and not self._ended:
            self._parts.append(data)
        return leave

    def end(self) -> None:
        """Nothing comes any more."""
        self._ended = True

    def push(self, stream: Any, *, unsure: bool) -> None:
        """Give the stream what it takes now; ``unsure``: to a program that may have to be started again."""
        if stream is None or stream.closed:
            return
        while self._parts:
            room = stream.sendable()
            if not room:
                return
            data = self._parts.popleft()
            stream.write_nowait(data[:room])
            if unsure:
                self._unsure.append(data[:room])
            if len(data) > room:
                self._parts.appendleft(data[room:])
        if self._ended:
            stream.write_end_nowait()

    def settle(self) -> None:
        """The program runs: what it was given stays given."""
        self._unsure = []

    def again(self) -> None:
        """The program is started anew: it gets from the beginning what the other one was given."""
        self._parts.extendleft(reversed(self._unsure))
        self._unsure = []

    def go_on_from(self, taken: int) -> None:
        """The program took so many bytes before this client came."""
        self._taken_before = taken
        self.credit = taken + run_wire.WINDOW

    def consumed(self, total: int) -> bool:
        """The program took so many bytes of this client's; gives whether that allows more."""
        credit = self._taken_before + total + run_wire.WINDOW
        more, self.credit = credit > self.credit, max(credit, self.credit)
        return more


class RunOutput:
    """Output and errors of the program: bytes that the client was sent, and those it has written out."""

    def __init__(self, out: int = 0, err: int = 0) -> None:
        self._sent = [out, err]
        self._written = [out, err]

    def frame(self, data: memoryview, *, err: bool) -> bytes:
        """Give the frame that brings them."""
        self._sent[err] += len(data)
        return run_wire.head(b"e" if err else b"o", len(data)) + data

    def written(self, out: int, err: int) -> int:
        """Take the client's totals; gives how many bytes more that are. Raises ProtocolError when it cannot have them."""
        if not (self._written[0] <= out <= self._sent[0] and self._written[1] <= err <= self._sent[1]):
            raise ProtocolError(f"acknowledged {out}/{err} bytes, sent {self._sent[0]}/{self._sent[1]}")
        count = out + err - sum(self._written)
        self._written = [out, err]
        return count
