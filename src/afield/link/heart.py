"""Is the other end alive? Decides when to ask and when to give up, from clock readings alone. Pure.

A laptop that slept (or a process that was stopped) shows as a step in the clock that counts sleep: then the link is asked at
once and gets less time, because the connection below is dead more often than not.
"""

from __future__ import annotations

TICK = 2.5  # s between looks: few wake-ups, and a step is noticed soon after
QUIET = 5.0  # s without a byte before a ping: as often as ssh's own ServerAliveInterval
PATIENCE = 10.0  # s for the answer: three lost TCP retransmissions on a slow link still pass
PATIENCE_AFTER_STEP = 4.0
STEP = 5.0  # s that a tick must be late to count as sleep: a loaded machine is late by less


class Heart:
    """Fed once per tick; says ``"ok"``, ``"ping"`` or ``"lost"``."""

    def __init__(self, *, now: float, clock: float) -> None:
        self.heard(now)
        self._clock = clock
        self.stepped = False

    def heard(self, now: float) -> None:
        """Note that bytes came."""
        self._heard = now
        self._give_up: float | None = None

    def tick(self, now: float, clock: float) -> str:
        """Decide; ``now`` is the loop's clock, ``clock`` one that also counts while the machine sleeps (both s).

        ``stepped`` says afterwards whether the machine slept since the last tick.
        """
        self.stepped = clock - self._clock > TICK + STEP
        self._clock = clock
        if self.stepped:
            # What arrived meanwhile has not been read yet: the time counts from here.
            self._give_up = now + PATIENCE_AFTER_STEP
            return "ping"
        if self._give_up is not None:
            return "lost" if now >= self._give_up else "ok"
        if now - self._heard >= QUIET:
            self._give_up = now + PATIENCE
            return "ping"
        return "ok"
