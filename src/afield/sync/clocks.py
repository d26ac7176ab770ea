"""How far the clock there is from the one here, as far as one question and its answer can tell. Pure.

The answer was made at some moment between asking and hearing (Cristian, "Probabilistic clock synchronization", 1989): what
is surely too much or too little is known, and the middle is the best guess.
"""

from __future__ import annotations

from typing import NamedTuple


class Offset(NamedTuple):
    """Seconds that the clock there is ahead of the one here, and by how much that may be wrong either way."""

    ahead: float
    within: float

    @property
    def sure(self) -> float:
        """``ahead``, or 0.0 when the clocks may be the same."""
        return self.ahead if abs(self.ahead) > self.within else 0.0


def offset(asked: float, there: float, heard: float) -> Offset:
    """Give the offset. ``asked`` and ``heard`` by the clock here, ``there`` by the other; all in seconds since 1970."""
    return Offset(there - (asked + heard) / 2, abs(heard - asked) / 2)
