"""The verbs that explain and compare: why, ignored, compare. They change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.daemon import api_link, folders, syncs
from afield.daemon.api_settle import path_of

if TYPE_CHECKING:
    from afield.daemon.conversation import Ask
    from afield.daemon.core import Daemon

Args = dict[str, Any]


async def why(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Say why a path is as it is and what would happen to it."""
    target = daemon.projects.get(args["project"], args["machine"])
    session = daemon.projects.need(target, args["folder"])
    await target.place.ready(ask)
    told = await syncs.why(session, path_of(args["path"]))
    rules = folders.rules_of(target.machine, args["folder"])
    return {**told, "rules": {side: syncs.with_setting(rules, rule) for side, rule in told["rules"].items()}}


async def ignored(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Say which rule leaves a path out, or name the biggest things that are left out. Needs neither link nor sync."""
    del ask
    target = daemon.projects.get(args["project"], args["machine"])
    folders.check_name(target.machine, args["folder"])
    # A place that nobody has reached yet has no known home: what lies in another folder there is then not told apart.
    parts = folders.parts_of(target.folder, target.machine, target.place.home_nowait() or b"~")
    part = next(each for each in parts if each.name == (args["folder"] or folders.OWN))
    lines = [*syncs.ignore_lines(part.rules), *folders.left_out(part, parts)]
    request = {"root": part.here, "ignore": lines}
    async with syncs.worker_here() as worker:
        if args["path"]:
            path = path_of(args["path"])
            found = await worker.request("explain", {**request, "path": path})
            return {"path": path, **syncs.with_setting(part.rules, found)}
        found, done = await worker.collect("left-out", request)
    names = ("path", "files", "bytes", "rule", "source", "line")
    rows = [dict(zip(names, row, strict=True)) for some in found for row in some]
    return {**done, "rows": [syncs.with_setting(part.rules, row) for row in rows]}


async def compare(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Say what differs at and below a folder."""
    target = await api_link.linked(daemon, ask, args)
    async with syncs.borrowed(target, args["folder"] or folders.OWN) as session:
        return await syncs.compare(session, path_of(args["path"]))


VERBS = {"why": why, "ignored": ignored, "compare": compare}
