"""Holds the source of a transfer back: while the target's channel is full, and while a limit says so.

Rules: it pauses reading from the source, which fills the pipes and makes the worker rest; nothing is dropped and nothing is
gathered. What may go is decided in pace.py.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from afield.sync.channel import HIGH_WATER
from afield.sync.pace import Limit, Rate

if TYPE_CHECKING:
    from afield.sync.endpoint import Endpoint


class Way:
    """What is known of one direction between two syncs: its rate, and the limit (which both directions share)."""

    def __init__(self, limit: Limit | None = None) -> None:
        self.limit = limit or Limit(None)
        self.rate = Rate()
        # Paths whose transfer broke off while this session lived: the target may have kept a part.
        self.broken: set[bytes] = set()


class Valve:
    """One for a transfer; ``check`` after each piece."""

    def __init__(self, source: Endpoint, target: Endpoint, way: Way) -> None:
        self.source, self.target, self.way = source, target, way
        self._task: asyncio.Task[None] | None = None

    def level(self) -> int:
        """How hard to deflate what comes next: 0 is not at all."""
        return self.way.rate.level(max(self.source.channel.delay, self.target.channel.delay))

    def check(self, count: int) -> None:
        """So many bytes were passed on; close when that was enough for now."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self.way.rate.add(count, now)
        pause = self.way.limit.take(count, now)
        if self._task is None and (pause or self.target.channel.waiting >= HIGH_WATER):
            self.source.channel.pause()
            self._task = loop.create_task(self._reopen(pause))

    async def _reopen(self, pause: float) -> None:
        try:
            await asyncio.sleep(pause)
            await self.target.channel.drained()
        finally:
            self._task = None
            self.source.channel.resume()

    async def close(self) -> None:
        """Open for good."""
        if self._task is not None:
            task = self._task
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
