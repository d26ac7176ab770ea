"""When the live loop runs: at once after an event, later after a failure, never in a spin."""

from __future__ import annotations

import asyncio
import time

# Seconds after a failed cycle, doubled up to the limit: a link that comes back is used at once (it wakes us), and a
# place that is gone for the night costs a try a minute.
FIRST = 0.1
LONGEST = 60.0
# While the guard holds a plan back, events may make it harmless again; looking once a second is enough.
HELD = 1.0


class Pacing:
    """``wake`` from anywhere in the loop; ``wait`` in the one task that runs cycles."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._failures = 0
        self._not_before = 0.0
        self._held = False

    def wake(self) -> None:
        """Something happened."""
        self._event.set()

    def went_well(self) -> None:
        """The cycle succeeded, or there is a reason to try at once."""
        self._failures = 0
        self._not_before = 0.0
        self._held = False

    def failed(self) -> None:
        """The cycle failed: the next one waits longer."""
        self._not_before = time.monotonic() + min(LONGEST, FIRST * 2.0 ** min(self._failures, 20))
        self._failures += 1

    def hold(self) -> None:
        """The plan needs a person: only a wake leads to another look."""
        self._held = True
        self._not_before = time.monotonic() + HELD

    async def wait(self, due: float | None) -> None:
        """Wait for a wake or for the time ``due`` (on the monotonic clock; None: never), and for what a failure imposes."""
        if due is None or self._held:
            await self._event.wait()
        else:
            rest = max(due, self._not_before) - time.monotonic()
            if rest > 0:
                with_timeout = asyncio.timeout(rest)
                try:
                    async with with_timeout:
                        await self._event.wait()
                except TimeoutError:
                    pass
        self._event.clear()
        # An event must not shorten what a failure imposes; went_well does.
        while (rest := self._not_before - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(rest):
                    await self._event.wait()
            except TimeoutError:
                break
            self._event.clear()
