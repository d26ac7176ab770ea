"""Brings the guard of tree/ to a plan: what it would remove on each side against what stood there a moment ago. Pure.

A script that wipes a folder is seen in slices, a cycle for each: what was removed in the last seconds is added up, so that
no slice is small enough to pass. Time comes in.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from afield.errors import GuardRefused
from afield.tree.guard import FEW, SHARE, check_plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from afield.sync.outcome import Plan
    from afield.sync.packed import SideTree
    from afield.sync.picture import Picture

# Seconds: a removal of a large tree over a network file system takes this long; a person who tidies up file by file
# takes longer for each half of a project.
WINDOW = 30.0


class Tally:
    """How many files sync removed on one side in the last ``WINDOW`` seconds and did not make again."""

    def __init__(self) -> None:
        self._removed: list[tuple[float, int]] = []

    def add(self, removed: int, made: int, now: float) -> None:
        """Note what a cycle did. What is made takes removals back: branches that are switched to and fro remove nothing."""
        if removed:
            self._removed.append((now, removed))
        while made > 0 and self._removed:
            at, count = self._removed.pop()
            if count > made:
                self._removed.append((at, count - made))
            made -= count

    def count(self, now: float) -> int:
        """Add up what is not too long ago."""
        self._removed = [(at, count) for at, count in self._removed if at > now - WINDOW]
        return sum(count for _, count in self._removed)

    def clear(self) -> None:
        """Forget: a person has seen it."""
        self._removed = []


class Guard:
    """The tallies of both sides and what a person has agreed to: ``allowed``, so many removals on a side, once."""

    def __init__(self) -> None:
        self.tallies = {"here": Tally(), "there": Tally()}
        self.allowed: dict[str, int] = {}

    def check(self, picture: Picture, plan: Plan) -> None:
        """Raise GuardRefused when the plan looks like an accident (details: ``guard``, ``side``, ``removed``)."""
        for target, source, ops in (("here", "there", plan.to_here), ("there", "here", plan.to_there)):
            removed = removals(ops)
            if removed <= self.allowed.get(target, 0):
                continue
            before = self.tallies[target].count(picture.now())
            source_empty = not picture.side(source).tree
            if not source_empty and removed + before <= FEW:
                continue
            # More than so many files need not be counted: the share is then small enough.
            enough = int((removed + before) / SHARE) + 1
            verdict = check_plan(
                target=target,
                source=source,
                removed=removed + before,
                held=files_in(picture.side(target).tree, enough) + before,
                source_empty=source_empty,
            )
            if not verdict.ok:
                raise GuardRefused(verdict.text, hint=verdict.hint, guard=verdict.code, side=target, removed=removed)

    def done(self, plan: Plan, now: float) -> None:
        """Take note of a plan that was carried out; what was agreed to is used up."""
        for target, ops in (("here", plan.to_here), ("there", plan.to_there)):
            if removals(ops) <= self.allowed.get(target, -1):
                self.tallies[target].clear()
            else:
                made = sum(1 for op in ops if op["op"] in ("put", "link", "copy") and op["was"] is None)
                self.tallies[target].add(removals(ops), made, now)
        self.allowed = {}


def removals(ops: Sequence[Mapping[str, Any]]) -> int:
    """How many files and links these ops remove."""
    return sum(1 for op in ops if op["op"] == "remove" and op["was_kind"] != "d")


def files_in(tree: SideTree, enough: int) -> int:
    """How many files and links a tree has, counted no further than ``enough``."""
    return sum(1 for _ in islice((path for path in tree if not _is_folder(tree, path)), enough))


def _is_folder(tree: SideTree, path: bytes) -> bool:
    node = tree.node(path)
    return node is not None and node.kind == "d"
