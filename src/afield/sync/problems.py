"""Paths that could not be synced, why, and when they are tried again. Pure: the time comes in.

Rules: a refusal (the file moved under our hands) is tried again at once, but only a few times; a failure waits longer
each time, so that a full disk or a forbidden folder never makes the sync spin; whatever succeeds is forgotten here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

    from afield.errors import AfieldError

# A file that is written without pause is refused again and again; after these tries it waits as a failure does.
AT_ONCE = 3
# Seconds before the second try of a failure, doubled up to the limit: soon enough after somebody made room, and
# a folder of a hundred thousand unreadable files costs nothing to speak of.
FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0


class Problem(NamedTuple):
    """One path of one side (the side that could not be written)."""

    side: str
    path: bytes
    code: str
    text: str
    hint: str | None
    tries: int
    next_try: float


class Problems:
    """All problems by (side, path)."""

    def __init__(self) -> None:
        self._all: dict[tuple[str, bytes], Problem] = {}
        self._due: dict[tuple[str, bytes], Problem] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, side: str, path: bytes, error: AfieldError | None, now: float, *, refused: bool = False) -> bool:
        """Note a failure at ``now``; gives whether to try again at once."""
        old = self._all.get((side, path))
        tries = old.tries + 1 if old is not None else 1
        at_once = refused and tries <= AT_ONCE
        waits = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(tries - 1, 16))
        code, text = (error.code, error.text) if error is not None else ("lost", "no answer came")
        hint = error.hint if error is not None else None
        self._all[side, path] = Problem(side, path, code, text, hint, tries, now if at_once else now + waits)
        return at_once

    def stuck(self, side: str, path: bytes, code: str, text: str, hint: str | None = None) -> None:
        """Note what no retry will change (a kind of file that the side cannot hold)."""
        self._all[side, path] = Problem(side, path, code, text, hint, 1, float("inf"))

    def waits(self, side: str, path: bytes, now: float) -> bool:
        """Whether it is known and its next try is still to come."""
        known = self._all.get((side, path))
        return known is not None and known.next_try > now

    def of(self, code: str) -> set[bytes]:
        """Paths with a problem of that kind."""
        return {problem.path for problem in self._all.values() if problem.code == code}

    def clear(self, path: bytes) -> None:
        """Forget a path on both sides."""
        if self._all:
            self._all.pop(("here", path), None)
            self._all.pop(("there", path), None)

    def keep_only(self, keep: Collection[bytes]) -> None:
        """Forget all other paths."""
        self._all = {key: problem for key, problem in self._all.items() if key[1] in keep}

    def due(self, now: float) -> set[bytes]:
        """Paths whose time has come."""
        self._due = {key: problem for key, problem in self._all.items() if problem.next_try <= now}
        return {path for _, path in self._due}

    def settle(self) -> None:
        """Forget what was due and did not come up again, though its path has another problem now: it would be due for ever."""
        for key, problem in self._due.items():
            if self._all.get(key) is problem:
                del self._all[key]
        self._due = {}

    def next_due(self) -> float | None:
        """When the next one is due."""
        return min((p.next_try for p in self._all.values() if p.next_try != float("inf")), default=None)

    def visible(self) -> list[Problem]:
        """What people should see: everything but refusals that are still being retried at once; sorted by path."""
        shown = [p for p in self._all.values() if p.code != "file-changed" or p.tries > AT_ONCE]
        return sorted(shown, key=lambda problem: (problem.path, problem.side))
