"""A byte channel over a stream of the link: the worker that the agent forks there.

Rules: as channel.py says. Pausing holds back credit, so the peer stops at its window; a lost link is not an end (the
stream goes on when the link is back), only a closed stream is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from afield.errors import AfieldError, LinkLost
from afield.sync.channel import HIGH_WATER

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.link.stream import Stream


class StreamChannel:
    """Owns the stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._paused = False
        self._owed = 0
        self._ended = False
        self._drained = asyncio.Event()
        self._drained.set()
        self._on_data: Callable[[bytes], None] | None = None
        self._on_end: Callable[[AfieldError], None] | None = None

    def start(self, on_data: Callable[[bytes], None], on_end: Callable[[AfieldError], None]) -> None:
        """Begin to deliver: see ByteChannel."""
        self._on_data, self._on_end = on_data, on_end
        self.stream.on_sendable = self._flush
        self.stream.on_closed = self._closed
        self.stream.on_end = lambda: self._closed(None)
        self.stream.set_sink(self._data)
        if self.stream.closed:
            self._closed(self.stream.error)

    @property
    def waiting(self) -> int:
        """See ByteChannel."""
        return self._queued

    def write(self, data: bytes) -> None:
        """See ByteChannel."""
        if self._ended or not data:
            return
        self._queue.append(data)
        self._queued += len(data)
        self._flush()
        if self._queued >= HIGH_WATER:
            self._drained.clear()

    def _flush(self) -> None:
        while self._queue and not self._ended:
            room = self.stream.sendable()
            if not room:
                break
            data = self._queue.popleft()
            if len(data) > room:
                self._queue.appendleft(data[room:])
                data = data[:room]
            self._queued -= len(data)
            self.stream.write_nowait(data)
        if self._queued < HIGH_WATER:
            self._drained.set()

    @property
    def delay(self) -> float:
        """See ByteChannel."""
        return float(self.stream.session.link.statistics()["base_rtt"] or self.stream.session.latency or 0.0)

    async def drained(self) -> None:
        """See ByteChannel."""
        await self._drained.wait()

    def pause(self) -> None:
        """See ByteChannel."""
        self._paused = True

    def resume(self) -> None:
        """See ByteChannel."""
        self._paused = False
        if self._owed:
            owed, self._owed = self._owed, 0
            self.stream.consumed(owed)

    def _data(self, data: memoryview, err: bool) -> None:
        count = len(data)
        if not err and self._on_data is not None and not self._ended:
            self._on_data(bytes(data))
        if self._paused:
            self._owed += count
        else:
            self.stream.consumed(count)

    def _closed(self, error: AfieldError | None) -> None:
        if self._ended:
            return
        self._ended = True
        self._queue.clear()
        self._queued = 0
        self._drained.set()
        if self._on_end is not None:
            reason = error or LinkLost("the files worker there ended", hint="it is started again by itself")
            asyncio.get_running_loop().call_soon(self._on_end, reason)

    def park(self) -> None:
        """See ByteChannel."""
        if not self._ended and not self._queue:
            self.stream.send_message_nowait({"park": True})

    async def close(self) -> None:
        """See ByteChannel."""
        self._on_end = None
        self._closed(None)
        self.stream.close()


def open_there(connection: Any, root: bytes) -> StreamChannel:
    """Ask the agent of ``connection`` (a link.Connection that is open) for a files worker of ``root``."""
    return StreamChannel(connection.open_stream({"do": "files", "root": root}))
