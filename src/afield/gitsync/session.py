"""One git sync of a project and a machine, step by step: look, check, make, fetch, decide, push, act, remember.

Rules: a repository in use is left alone; objects travel into refs/afield/ only (``refs/afield/MACHINE`` here,
``refs/afield/here`` there), and branches move afterwards, forward only. What is decided stands in plan.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from typing import TYPE_CHECKING, Any

from afield.errors import GitRefused
from afield.gitsync import act
from afield.gitsync.ends import Here, There, script, talk
from afield.gitsync.look import SCRIPT, Repository, parse
from afield.gitsync.plan import Agreed, Planner, Step, position, settled

if TYPE_CHECKING:
    from collections.abc import Mapping

QUIET = (
    "-c",
    "protocol.fd.allow=always",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "submodule.recurse=false",
)


class GitSync:
    """``machine`` names the refs of the place here; ``memory`` is the file that keeps what both sides agreed on."""

    def __init__(self, here: Here, there: There, *, machine: str, memory: str) -> None:
        self.here, self.there = here, there
        # A machine's name may hold what a ref's may not (".." or a trailing ".lock").
        self.space = "refs/afield/" + re.sub(r"[^A-Za-z0-9_-]", "-", machine)
        self.memory = memory
        self.notes: list[str] = []
        self.made: list[str] = []

    async def run(self, *, unequal: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Do it. ``unequal``: side → why its files may differ from the other's. Raises GitRefused, LinkError and the like."""
        self.notes, self.made = [], []
        here, there = await self.look()
        check(here, there)
        agreed = self._agreed() if here.exists and there.exists else Agreed()
        here, there = await self._make(here, there)
        if not there.known <= here.known:
            await self._fetch(there)
            here = await self._look(self.here)
        ancestry = await self._ancestry(here, there)
        planner = Planner(here, there, agreed, is_ancestor=lambda a, b: (a, b) in ancestry, unequal=unequal)
        plan = planner.decide()
        if any(step.side == "there" and step.new not in there.known for step in plan.steps):
            await self._push(here)
        taken = [step for step in plan.steps if await self._take(step)]
        if taken:
            here, there = await self.look()
        self._remember(settled(here, there, agreed))
        self._tell_limits(here, there)
        return {
            "here": [_text(step) for step in taken if step.side == "here"],
            "there": [_text(step) for step in taken if step.side == "there"],
            "apart": plan.apart,
            "notes": [*self.made, *plan.notes, *self.notes],
            "head": position(here),
        }

    async def look(self) -> tuple[Repository, Repository]:
        """Look at both sides at once."""
        here, there = await asyncio.gather(self._look(self.here), self._look(self.there))
        return here, there

    async def _look(self, end: Here | There) -> Repository:
        return parse((await script(end, SCRIPT)).out, end.name)

    async def _make(self, here: Repository, there: Repository) -> tuple[Repository, Repository]:
        """Make the repository of a side that has none, on the branch of the other."""
        for end, mine, other in ((self.here, here, there), (self.there, there, here)):
            if mine.exists:
                continue
            branch = other.head or "refs/heads/main"
            done = await script(end, act.INIT, other.format, branch, other.name, other.email)
            if done.status:
                raise GitRefused(f"git init failed {end.name}: {done.err.strip()[-300:]}")
            self.made.append(f"made the repository {end.name}")
        return await self.look() if self.made else (here, there)

    async def _fetch(self, there: Repository) -> None:
        words = [
            "git",
            *QUIET,
            "fetch",
            "-q",
            "--no-tags",
            "--prune",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
        ]
        refs = [f"+refs/{kind}/*:{self.space}/{kind}/*" for kind in ("heads", "tags")]
        await self._talk("upload-pack", [*words, "{}", *refs, *self._head(there, self.space)])

    async def _push(self, here: Repository) -> None:
        refs = [f"+refs/{kind}/*:refs/afield/here/{kind}/*" for kind in ("heads", "tags")]
        words = ["git", *QUIET, "push", "-q", "--no-verify", "--recurse-submodules=no", "--prune", "{}"]
        await self._talk("receive-pack", [*words, *refs, *self._head(here, "refs/afield/here")])

    def _head(self, repository: Repository, space: str) -> list[str]:
        detached = repository.head is None and repository.at is not None
        return [f"+HEAD:{space}/HEAD"] if detached else []

    async def _talk(self, service: str, words: list[str]) -> None:
        done = await talk(self.here, self.there, service, words)
        if done.status:
            said = done.err.strip().splitlines()[-3:] or [f"exit {done.status}"]
            raise GitRefused(f"git {words[words.index('-q') - 1]} failed: {'; '.join(said)}")

    async def _ancestry(self, here: Repository, there: Repository) -> set[tuple[str, str]]:
        """Give the pairs (a, b) of differing branch tips of which a is an ancestor of b. Both sides' commits are here."""
        pairs = []
        for name, mine in here.heads.items():
            other = there.heads.get(name)
            if other is not None and other != mine:
                pairs += [(mine, other), (other, mine)]
        found = set()
        for pair in pairs:
            if (await self.here.run("git", "merge-base", "--is-ancestor", *pair)).status == 0:
                found.add(pair)
        return found

    async def _take(self, step: Step) -> bool:
        why = await act.take(self.here if step.side == "here" else self.there, step)
        if why is not None:
            self.notes.append(why)
        return why is None

    def _tell_limits(self, here: Repository, there: Repository) -> None:
        if here.submodules or there.submodules:
            self.notes.append("submodules: their files are synced, their own repositories are not carried")
        for side, repository in (("here", here), ("there", there)):
            if repository.lfs:
                self.notes.append(f"LFS: files are synced, but git-lfs is not set up {side}: git shows them as changed")

    # -- what was agreed on

    def _agreed(self) -> Agreed:
        try:
            with open(self.memory, encoding="utf-8") as file:
                found = json.load(file)
            return Agreed(dict(found["heads"]), dict(found["tags"]), found["head"])
        except (OSError, ValueError, KeyError, TypeError):
            return Agreed()

    def _remember(self, agreed: Agreed) -> None:
        os.makedirs(os.path.dirname(self.memory), 0o700, exist_ok=True)
        fresh = f"{self.memory}.new"
        with open(fresh, "w", encoding="utf-8") as file:
            json.dump({"heads": agreed.heads, "tags": agreed.tags, "head": agreed.head}, file)
        with contextlib.suppress(OSError):
            os.replace(fresh, self.memory)


def check(here: Repository, there: Repository) -> None:
    """Raise GitRefused when there is nothing to carry, or something that must be left alone."""
    if not here.exists and not there.exists:
        raise GitRefused("there is no repository, neither here nor there", hint="make one: git init")
    for side, repository in (("here", here), ("there", there)):
        if repository.busy is not None:
            raise GitRefused(
                f"the repository {side} is in use: {repository.busy}", hint="finish that; git sync changed nothing"
            )
        if repository.shallow:
            raise GitRefused(
                f"the repository {side} is shallow: its history is cut off", hint=f"{side}: git fetch --unshallow"
            )
    if here.exists and there.exists and here.format != there.format:
        raise GitRefused(f"the repository here uses {here.format}, the one there {there.format}")


def _text(step: Step) -> str:
    if step.kind == "head":
        return f"HEAD → {step.ref.removeprefix('refs/heads/') or step.new[:10]}"
    kind, _, name = step.ref.removeprefix("refs/").partition("/")
    return f"{'tag' if kind == 'tags' else 'branch'} {name} → {step.new[:10]}"
