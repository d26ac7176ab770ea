"""The verb behind `afield doctor`: asks everything that a report needs; each question may fail without ending the others."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import time
from typing import TYPE_CHECKING, Any

from afield import __version__
from afield.daemon import checkup, mirrors, syncs
from afield.daemon.chosen import listing, pick, usable
from afield.errors import AfieldError, NoView

if TYPE_CHECKING:
    from afield.daemon.checkup import Row
    from afield.daemon.conversation import Ask
    from afield.daemon.core import Daemon
    from afield.daemon.target import Target


async def doctor(daemon: Daemon, ask: Ask, args: dict[str, Any]) -> Any:
    """Look at everything; ``ok`` is false when a row failed."""
    target = daemon.projects.get(args["project"], args["machine"])
    rows = await _rows(target, ask)
    return {
        "machine": target.machine.name,
        "way": target.way.name,
        "ok": all(row.state != "fail" for row in rows),
        "rows": [row.value() for row in rows],
    }


async def _rows(target: Target, ask: Ask) -> list[Row]:
    own = checkup.versions(__version__, platform.python_version(), _has_shims(target.folder))
    try:
        await target.place.ready(ask)
        begin = time.time()
        facts = await target.place.connection.call("facts")
        middle = (begin + time.time()) / 2
    except AfieldError as error:
        return [checkup.Row("link", "fail", error.text, error.hint), own]
    live = target.place.describe()
    return [
        checkup.link(target.place.text, live.get("latency_ms"), target.place.connect_ms),
        checkup.login(facts),
        checkup.agent_python(facts),
        *await asyncio.shield(_way(target)),
        *await _environment(target),
        checkup.mirror(mirrors.has_mirror(target)),
        *checkup.disks(facts),
        checkup.clock(float(facts["time"]) - middle),
        *checkup.sync(syncs.describe(target.session) if target.session is not None else None, target.problem),
        await _git(target),
        own,
    ]


def _has_shims(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, ".afield", "bin", "python"))


async def _way(target: Target) -> list[Row]:
    wrong = None
    try:
        if target.environment.pending:
            await target.environment.resolve()
        if target.way.pending:
            await target.way.resolve()
    except NoView as error:
        wrong = error.text
    except AfieldError as error:
        # Of the environment: its own row says so.
        wrong = f"not found out: {error.text}"
    return checkup.way(target.way.name, target.machine.way, target.way.reasons, wrong)


async def _environment(target: Target) -> list[Row]:
    wanted = target.machine.environment
    if wanted is None:
        return checkup.environment(None, target.machine.python, None)
    try:
        found = await listing(target)
        env = usable(pick(found["envs"], wanted, await target.there(), await target.place.home()))
    except AfieldError as error:
        return checkup.environment(None, wanted, error.text)
    return checkup.environment(env, wanted, None)


async def _git(target: Target) -> Row:
    try:
        there = await target.place.connection.call("which", {"name": "git"})
    except AfieldError as error:
        return checkup.Row("git", "warn", error.text, error.hint)
    return checkup.git(shutil.which("git") is not None, there is not None, target.machine.git)


VERBS = {"doctor": doctor}
