"""How fast bytes may go and whether they are deflated first: the limit that a user set, and what the way measured.

``Limit`` is a token bucket; ``Rate`` watches what passed and chooses a level for zlib. Rules: pure, times come in as
arguments (seconds on a steady clock); nothing here waits.
"""

from __future__ import annotations

# Below this delay (s) the far end is this machine or stands beside it: the way is faster than zlib.
NEAR = 0.002
# Rates (bytes/s) up to which a level pays: level 6 makes about 25 MB/s of a core here, level 1 about 80 MB/s.
LEVELS = ((8e6, 6), (40e6, 1))
# A rate counts when so much went by in so much time: less says more about the delay than about the way.
SAMPLE_BYTES = 1 << 20
SAMPLE_SECONDS = 0.4
# Longer than this without a byte is a pause of ours, not of the way.
GAP_SECONDS = 1.0
# The bucket of a limit: what may go at once, in seconds of the limit, and at least one piece.
BURST_SECONDS = 0.1
BURST_BYTES = 256 << 10


class Rate:
    """The rate of one direction, as the way showed it. ``level(delay)`` is 0 while nothing speaks for deflating."""

    def __init__(self) -> None:
        self.known: float | None = None
        self._since = 0.0
        self._last = 0.0
        self._bytes = 0

    def add(self, count: int, now: float) -> None:
        """So many bytes passed."""
        if now - self._last > GAP_SECONDS:
            self._since, self._bytes = now, 0
        self._last = now
        self._bytes += count
        span = now - self._since
        if span >= SAMPLE_SECONDS and self._bytes >= SAMPLE_BYTES:
            self.known = self._bytes / span
            self._since, self._bytes = now, 0

    def level(self, delay: float) -> int:
        """Give the level for what comes next; ``delay``: the smallest round trip seen, seconds."""
        if delay < NEAR:
            return 0
        if self.known is None:
            return 1
        return next((level for rate, level in LEVELS if self.known < rate), 0)


class Limit:
    """At most ``rate`` bytes a second over time; None: no limit."""

    def __init__(self, rate: int | None) -> None:
        self.rate = rate
        self._room = self._most
        self._at = 0.0

    @property
    def _most(self) -> float:
        return max(BURST_BYTES, (self.rate or 0) * BURST_SECONDS)

    def take(self, count: int, now: float) -> float:
        """Count bytes that passed; gives the seconds to wait before more may (0.0: none)."""
        if self.rate is None:
            return 0.0
        self._room = min(self._most, self._room + (now - self._at) * self.rate) - count
        self._at = now
        return max(0.0, -self._room / self.rate)
