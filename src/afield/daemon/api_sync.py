"""The verbs about a project's sync: up, down, sync, conflicts, settle, history, undo."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from afield.daemon import api_link, api_ports, clean, syncs
from afield.errors import NoSuchFile, UsageError

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
    was_linked = target.place.usable
    if await api_link.let_go(daemon, target, quit_agent=args["stop_agent"]) and was_linked:
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
    await session.flush(syncs.BEFORE_RUN_SECONDS)
    done = syncs.done_of(session)
    if session.cycles == before:
        done.update(here=0, there=0, bytes=0)
    return done


async def _preview(daemon: Daemon, ask: Ask, args: Args) -> Any:
    target = await api_link.linked(daemon, ask, args)
    session = target.session if target.live else await syncs.make(target, lambda: None)
    try:
        found = await session.preview()
    finally:
        if session is not target.session:
            await syncs.close(session)
    plan = [{"side": side, "action": op, "path": path, "bytes": size} for side, op, path, size in found.ops]
    plan += [{"side": "conflict", "action": kind, "path": path, "bytes": 0} for path, kind in found.conflicts]
    return {"plan": plan, "conflicts": len(found.conflicts)}


async def conflicts(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """List what changed on both sides."""
    del ask
    session = daemon.projects.need(daemon.projects.get(args["project"], args["machine"]))
    return [
        {"path": found.path, "kind": found.kind, "here": _node(found.here), "there": _node(found.there)}
        for found in session.conflicts()
    ]


def _node(node: Any) -> Any:
    return None if node is None else {"kind": node.kind, "executable": bool(node.executable)}


async def settle(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """End conflicts: one side's version goes to both, the other's to the history."""
    target = daemon.projects.get(args["project"], args["machine"])
    session = daemon.projects.need(target)
    await target.place.ready(ask)
    open_paths = {found.path for found in session.conflicts()}
    chosen = [os.fsencode(path.strip("/")) for path in args["paths"]]
    settled = [path for path in sorted(open_paths) if any(path == top or path.startswith(top + b"/") for top in chosen)]
    if not settled:
        raise NoSuchFile(f"no conflict at {', '.join(args['paths'])}", hint="list them with: afield conflicts")
    await session.settle(settled, args["keep"])
    return {"settled": settled}


async def history(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """List what was replaced or removed on either side."""
    del ask
    session = daemon.projects.need(daemon.projects.get(args["project"], args["machine"]))
    found = await session.history(os.fsencode(args["path"]) if args["path"] else None)
    return [event._asdict() for event in found if args["side"] in (None, event.side)]


async def undo(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Bring back the last version, or one event of the history."""
    target = daemon.projects.get(args["project"], args["machine"])
    session = daemon.projects.need(target)
    await target.place.ready(ask)
    path = os.fsencode(args["path"].strip("/")) if args["path"] else None
    if args["event"] is None:
        event = await session.undo(path, args["side"])
        return {"restored": [{"path": event.path, "side": event.side, "event": event.event}]}
    wanted = os.fsencode(str(args["event"]))
    for event in await session.history(path):
        known = event.event if isinstance(event.event, bytes) else os.fsencode(str(event.event))
        if known == wanted and args["side"] in (None, event.side):
            told = await session.picture.side(event.side).asked().request("restore", {"event": event.event})
            return {"restored": [{"path": told["path"], "side": event.side, "event": event.event}]}
    raise UsageError(f"no event {args['event']!r} in the history", hint="list them with: afield history")


VERBS = {
    "up": up,
    "down": down,
    "sync": sync,
    "conflicts": conflicts,
    "settle": settle,
    "history": history,
    "undo": undo,
    "clean": clean.clean,
}
