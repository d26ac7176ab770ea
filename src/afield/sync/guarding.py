"""Brings the guard of tree/ to a plan: what it would remove on each side against what stands there. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afield.errors import GuardRefused
from afield.tree.guard import check_plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from afield.sync.outcome import Plan
    from afield.sync.picture import Picture
    from afield.tree.entries import Entry


def check(picture: Picture, plan: Plan, allowed: Mapping[str, int]) -> None:
    """Raise GuardRefused when the plan looks like an accident (details: ``guard``, ``side``, ``removed``).

    ``allowed``: how many removals on a side a person has agreed to.
    """
    for target, source, ops in (("here", "there", plan.to_here), ("there", "here", plan.to_there)):
        removed = sum(1 for op in ops if op["op"] == "remove" and op["was_kind"] != "d")
        if removed <= allowed.get(target, 0):
            continue
        tree = picture.side(target).tree
        verdict = check_plan(
            target=target,
            source=source,
            removed=removed,
            held=files_in(tree),
            source_empty=not picture.side(source).tree,
        )
        if not verdict.ok:
            raise GuardRefused(verdict.text, hint=verdict.hint, guard=verdict.code, side=target, removed=removed)


def files_in(tree: Mapping[bytes, Entry]) -> int:
    """How many files and links a tree has."""
    return sum(1 for entry in tree.values() if entry.node.kind != "d")
