"""When to try again: longer and longer, and never two at the same moment  [P].

Rules: pure; the caller brings the random number. No clock here.
"""


class Retry:
    """First pause and ``limit`` in seconds, ``factor`` from one to the next, ``jitter`` the share that chance may take away."""

    def __init__(
        self, first: "float" = 0.2, factor: "float" = 2.0, limit: "float" = 15.0, jitter: "float" = 0.3
    ) -> "None":
        if not (0 < first <= limit and factor >= 1 and 0 <= jitter <= 1):
            raise ValueError("expected 0 < first <= limit, factor >= 1 and 0 <= jitter <= 1")
        self.first = first
        self.factor = factor
        self.limit = limit
        self.jitter = jitter
        self.count = 0
        self._pause = first

    def next(self, random01: "float") -> "float":
        """Give the seconds to wait before the next try; ``random01`` lies in 0..1."""
        pause = self._pause
        self._pause = min(pause * self.factor, self.limit)
        self.count += 1
        return pause * (1 - self.jitter * random01)

    def reset(self) -> "None":
        """Begin anew: a try succeeded, or there is a reason to hope (the network changed)."""
        self.count = 0
        self._pause = self.first
