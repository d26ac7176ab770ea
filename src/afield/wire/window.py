"""How many unacknowledged bytes the link may have, so that the queue below it stays short  [P].

The queue sits in ssh, in pipes and in the network, where nothing can overtake; so its length is measured by the delay that
it makes (as LEDBAT, RFC 6817, and BBR do). For each round trip the smallest delay is compared with the smallest of the last
minute: a short queue lets the window grow (doubling at first), a long one shrinks it to what fits.
Rules: pure; offsets of the stream and times in seconds come in. Nothing is sent here.
"""

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Deque, Optional, Tuple

    from afield.wire.limits import Limits

GROW_BELOW = 0.001  # seconds of queue, plus a tenth of the delay: 3 ms let the queue of 1 MiB pipes stand at the target
SHRINK_ABOVE = 0.006  # seconds, plus a sixth of the delay: the noise of two busy cores stays below
FIRST_GROWTH, GROWTH, DECAY = 2.0, 1.12, 0.97  # per round; four noisy rounds cost what one quiet round gives
EPOCH = 30.0  # seconds that a smallest delay is believed: the way may change under a living connection


class Window:
    """``size`` in bytes; fed with what was sent and acknowledged when."""

    def __init__(self, limits: "Limits") -> "None":
        self._limits = limits
        self.restart()

    def restart(self) -> "None":
        """Forget all: another transport may go another way."""
        self.size: "int" = self._limits.window_start
        self.rtt: "Optional[float]" = None
        self._marks: "Deque[Tuple[int, float]]" = deque()
        self._base = [0.0, 0.0]  # smallest delay of this epoch and of the one before; 0.0: none yet
        self._epoch_end = 0.0
        self._size_before = 0  # of the window, before it was halved to look below the queue
        self._looking = 0  # rounds that this still takes
        self._round_start = self._round_end = 0
        self._round_rtt = 0.0
        self._held_back = False
        self._first = True

    @property
    def base(self) -> "float":
        """The delay without a queue, in seconds; 0.0 when not known."""
        now, before = self._base
        return min(now, before) if now and before else now or before

    def sent(self, offset: "int", now: "float") -> "None":
        """Remember that the bytes up to ``offset`` left now."""
        marks = self._marks
        if marks and marks[-1][1] == now:
            marks.pop()
        marks.append((offset, now))

    def probed(self, rtt: "float") -> "None":
        """Take the delay of a ping: it is there before any bulk, and no acknowledgement had to wait for more bytes."""
        if not self._base[0] or rtt < self._base[0]:
            self._base[0] = max(rtt, 1e-6)

    def held_back(self) -> "None":
        """Remember that bulk waits for this window: only then may it grow."""
        self._held_back = True

    def acknowledged(self, offset: "int", sent: "int", now: "float") -> "None":
        """Take an acknowledgement up to ``offset`` when ``sent`` bytes were sent in all."""
        marks = self._marks
        while marks and marks[0][0] < offset:
            marks.popleft()
        if not marks:
            return  # sent over an earlier transport
        rtt = max(now - marks[0][1], 1e-6)
        self.rtt = rtt
        if not self._base[0] or rtt < self._base[0]:
            self._base[0] = rtt
        if not self._round_rtt or rtt < self._round_rtt:
            self._round_rtt = rtt
        if offset >= self._round_end:
            # With little under way an acknowledgement waits for its deadline, and says nothing of the queue.
            if offset - self._round_start >= self._limits.ack_bytes:
                self._round(now)
            self._round_rtt = 0.0
            self._round_start, self._round_end = offset, sent

    def _round(self, now: "float") -> "None":
        """Decide once per round trip."""
        rtt = self._round_rtt
        held_back, self._held_back = self._held_back, False
        if self._looking:
            self._looking -= 1
            if not self._looking:
                self.size = self._size_before
        elif not self._epoch_end:
            self._epoch_end = now + EPOCH
        elif now >= self._epoch_end and held_back:
            # The queue may have stood for the whole epoch and passed for the way itself: look below it. The first round
            # drains the queue, the second one sees the way without it.
            self._epoch_end = now + EPOCH
            self._base = [rtt, self._base[0]]
            self._looking = 2
            self._size_before, self.size = self.size, self._fit(self.size / 2)
        else:
            self._adjust(rtt, held_back)

    def _adjust(self, rtt: "float", held_back: "bool") -> "None":
        base = self.base
        # A frame of bulk takes its time even on a free way: its share of the window is its share of the delay.
        queue = rtt - base - rtt * self._limits.frame / self.size
        if queue > SHRINK_ABOVE + base / 6:
            self._first = False
            # The window is speed times delay: this share of it keeps the speed and leaves the queue that is wanted.
            self.size = self._fit(self.size * max(0.5, (base + GROW_BELOW + base / 10) / rtt))
        elif queue < GROW_BELOW + base / 10:
            if held_back:
                self.size = self._fit(self.size * (FIRST_GROWTH if self._first else GROWTH))
        else:
            # What the doubling put too much would stand in the queue for ever.
            self._first = False
            self.size = self._fit(self.size * DECAY)

    def _fit(self, size: "float") -> "int":
        return int(min(max(size, self._limits.window_least), self._limits.window_most))
