"""Decides what becomes of branches, tags and HEAD of two repositories. Pure.

Rules: a branch only ever goes forward; what went apart, or was deleted on one side, is told and left alone; the branch that
is checked out moves only where the files are known to be equal; nothing is ever deleted. What both sides agreed on last
tells who moved.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from afield.gitsync.look import Repository


class Step(NamedTuple):
    """``kind``: "ref" (a ref that is not checked out), "checkout" (the branch that is), "head" (HEAD goes elsewhere).

    ``ref`` is the full name; for "head" the branch that it goes to, "" to stay detached. ``old`` None: there is none yet.
    """

    side: str
    kind: str
    ref: str
    old: str | None
    new: str


@dataclass
class Agreed:
    """What both sides had when they last were equal; ``head`` as in ``position``."""

    heads: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    head: str | None = None


@dataclass
class Plan:
    """Steps in their order; ``apart``: branches that went apart; ``notes``: what else was left alone, and why."""

    steps: list[Step] = field(default_factory=list)
    apart: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


OTHER = {"here": "there", "there": "here"}


def position(repository: Repository) -> str | None:
    """Give what HEAD stands for: the branch's full name, or the commit when detached."""
    return repository.head or repository.at


class Planner:
    """``is_ancestor(a, b)`` of commits that are here; ``unequal``: side → why its files may not be those of the other."""

    def __init__(
        self,
        here: Repository,
        there: Repository,
        agreed: Agreed,
        *,
        is_ancestor: Callable[[str, str], bool],
        unequal: Mapping[str, str] | None = None,
    ) -> None:
        self.sides = {"here": here, "there": there}
        self.agreed = agreed
        self.is_ancestor = is_ancestor
        self.unequal = unequal or {}
        self.plan = Plan()

    def decide(self) -> Plan:
        """Give the plan."""
        here, there = self.sides["here"], self.sides["there"]
        for name in sorted(here.heads.keys() | there.heads.keys()):
            self._branch(name)
        for name in sorted(here.tags.keys() | there.tags.keys()):
            self._tag(name)
        self._head()
        return self.plan

    def _branch(self, name: str) -> None:
        here, there = (self.sides[side].heads.get(name) for side in ("here", "there"))
        if here == there:
            return
        if here is None or there is None:
            self._missing("branch", f"refs/heads/{name}", here, there, self.agreed.heads.get(name))
        elif self.is_ancestor(here, there):
            self._move("here", name, here, there)
        elif self.is_ancestor(there, here):
            self._move("there", name, there, here)
        else:
            self.plan.apart.append(name)

    def _missing(self, what: str, ref: str, here: str | None, there: str | None, agreed: str | None) -> None:
        side = "here" if here is None else "there"
        new = here or there
        assert new is not None
        name = ref.split("/", 2)[2]
        if agreed is not None:
            self.plan.notes.append(
                f"{what} {name} was deleted {side} and stays {OTHER[side]}: delete it there, too, or make it again"
            )
        elif what == "branch":
            self._move(side, name, None, new)
        else:
            self.plan.steps.append(Step(side, "ref", ref, None, new))

    def _move(self, side: str, name: str, old: str | None, new: str) -> None:
        repository, ref = self.sides[side], f"refs/heads/{name}"
        if name in repository.elsewhere:
            self.plan.notes.append(f"branch {name} is checked out in another work tree {side}: left alone")
        elif repository.head == ref:
            if side in self.unequal:
                self.plan.notes.append(f"branch {name} is behind {side}: {self.unequal[side]}")
            else:
                self.plan.steps.append(Step(side, "checkout", ref, old, new))
        else:
            self.plan.steps.append(Step(side, "ref", ref, old, new))

    def _tag(self, name: str) -> None:
        here, there = (self.sides[side].tags.get(name) for side in ("here", "there"))
        if here == there:
            return
        if here is None or there is None:
            self._missing("tag", f"refs/tags/{name}", here, there, self.agreed.tags.get(name))
        else:
            self.plan.notes.append(f"tag {name} is another one there: left alone")

    def _head(self) -> None:
        here, there = (position(self.sides[side]) for side in ("here", "there"))
        if here == there or here is None or there is None:
            return
        if self.agreed.head not in (here, there):
            self.plan.notes.append(f"HEAD is at {_short(here)} here and at {_short(there)} there: left alone")
            return
        side = "there" if self.agreed.head == there else "here"
        self._move_head(side, here if side == "there" else there)

    def _move_head(self, side: str, goal: str) -> None:
        repository, other = self.sides[side], self.sides[OTHER[side]]
        name = goal.removeprefix("refs/heads/") if goal.startswith("refs/") else ""
        heads = {
            **repository.heads,
            **{step.ref.removeprefix("refs/heads/"): step.new for step in self.plan.steps if step.side == side},
        }
        new = heads.get(name) if name else other.at
        if side in self.unequal:
            self.plan.notes.append(f"HEAD stays at {_short(position(repository) or '')} {side}: {self.unequal[side]}")
        elif name in repository.elsewhere:
            self.plan.notes.append(f"branch {name} is checked out in another work tree {side}: HEAD left alone")
        elif new is not None and new == (other.heads.get(name) if name else other.at):
            old = heads.get((repository.head or "").removeprefix("refs/heads/")) if repository.head else repository.at
            self.plan.steps.append(Step(side, "head", goal if name else "", old, new))
        else:
            self.plan.notes.append(f"HEAD goes to {_short(goal)} {side} when that branch is equal on both sides")


def _short(goal: str) -> str:
    return goal.removeprefix("refs/heads/") if goal.startswith("refs/") else goal[:10]


def settled(here: Repository, there: Repository, before: Agreed) -> Agreed:
    """Give what both sides agree on now; what one of them deleted is remembered, so that it stays deleted."""

    def common(one: dict[str, str], other: dict[str, str], old: dict[str, str]) -> dict[str, str]:
        kept = {name: oid for name, oid in old.items() if name in one or name in other}
        return {**kept, **{name: oid for name, oid in one.items() if other.get(name) == oid}}

    head = position(here) if position(here) == position(there) else before.head
    return Agreed(common(here.heads, there.heads, before.heads), common(here.tags, there.tags, before.tags), head)
