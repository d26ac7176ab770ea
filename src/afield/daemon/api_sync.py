"""The verbs about a project's sync: up, down, sync, clean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.daemon import api_link, api_ports, clean, syncs

if TYPE_CHECKING:
    from afield.daemon.conversation import Ask
    from afield.daemon.core import Daemon

Args = dict[str, Any]


async def up(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Link, first sync, live sync."""
    target = daemon.projects.get(args["project"], args["machine"])
    told = await daemon.projects.up(target, ask, args["confirm"])
    return {"place": target.place.text, "folder": target.machine.folder, "sync": told}


async def down(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Stop the sync, the forwards and, when nobody else needs it, the link."""
    del ask
    target = daemon.projects.get(args["project"], args["machine"])
    stopped = await daemon.projects.down(target)
    stopped += await api_ports.stop_of(daemon, target)
    if await api_link.let_go(daemon, target, quit_agent=args["stop_agent"]):
        stopped.append("link")
    return {"stopped": stopped}


async def sync(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Sync now, or say what a sync would do."""
    target = daemon.projects.get(args["project"], args["machine"])
    if args["dry_run"]:
        return await _preview(daemon, ask, args)
    if not target.live:
        return await daemon.projects.up(target, ask, args["confirm"])
    await target.place.ready(ask)
    session = daemon.projects.need(target)
    if args["confirm"] is not None:
        session.confirm()
    before = session.cycles
    with syncs.telling(session, ask, "sync"):
        await session.flush(syncs.BEFORE_RUN_SECONDS)
    done = syncs.done_of(session)
    if session.cycles == before:
        done.update(here=0, there=0, bytes=0)
    return done


async def _preview(daemon: Daemon, ask: Ask, args: Args) -> Any:
    target = await api_link.linked(daemon, ask, args)
    async with syncs.borrowed(target) as session:
        found = await session.preview()
    plan = [{"side": side, "action": op, "path": path, "bytes": size} for side, op, path, size in found.ops]
    plan += [{"side": "conflict", "action": kind, "path": path, "bytes": 0} for path, kind in found.conflicts]
    return {"plan": plan, "conflicts": len(found.conflicts)}


VERBS = {
    "up": up,
    "down": down,
    "sync": sync,
    "clean": clean.clean,
}
