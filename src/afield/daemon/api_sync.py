"""The verbs about a project's sync: up, down, sync, clean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.daemon import api_jobs, api_link, api_ports, clean, folders, syncs

if TYPE_CHECKING:
    from afield.daemon.conversation import Ask
    from afield.daemon.core import Daemon

Args = dict[str, Any]


def answers_of(args: Args) -> syncs.Answers:
    """Give what the face has agreed to."""
    return syncs.Answers(args["confirm"], args["removals"], args["take_over"])


async def up(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Link, first sync, live sync."""
    target = daemon.projects.get(args["project"], args["machine"])
    if target.problem is not None and target.live:
        ask.note(target.problem)
    told = await daemon.projects.up(target, ask, answers_of(args))
    daemon.mirrors.refresh(target)
    return {"place": target.place.text, "folder": target.machine.folder, "sync": told}


async def down(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Stop the sync, the forwards and, when nobody else needs it, the link."""
    del ask
    target = daemon.projects.get(args["project"], args["machine"])
    jobs = await api_jobs.count_live(target)
    stopped = await daemon.projects.down(target)
    stopped += await api_ports.stop_of(daemon, target)
    was_linked = target.place.usable
    if await api_link.let_go(daemon, target, quit_agent=args["stop_agent"]) and was_linked:
        stopped.append("link")
    return {"stopped": stopped, "jobs": jobs}


async def sync(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Sync now, or say what a sync would do."""
    target = daemon.projects.get(args["project"], args["machine"])
    if args["dry_run"]:
        return await _preview(daemon, ask, args)
    if not target.live:
        return await daemon.projects.up(target, ask, answers_of(args))
    if target.problem is not None:
        ask.note(target.problem)
    await target.place.ready(ask)
    done = []
    for _, session in folders.sessions(target):
        before = session.last
        with syncs.telling(session, ask, "sync"):
            await syncs.flush(session, agreed=args["removals"])
        done.append(syncs.done_of(session))
        if session.last is before:
            done[-1].update(here=0, there=0, bytes=0)
    return folders.add_up(done)


async def _preview(daemon: Daemon, ask: Ask, args: Args) -> Any:
    target = await api_link.linked(daemon, ask, args)
    plan: list[dict[str, Any]] = []
    conflicts = 0
    for name in (folders.OWN, *(each.name for each in target.machine.folders)):
        async with syncs.borrowed(target, name) as session:
            found = await session.preview()
        mark = {"folder": name} if name else {}
        plan += [
            {"side": side, "action": op, "path": path, "bytes": size, **mark} for side, op, path, size in found.ops
        ]
        plan += [
            {"side": "conflict", "action": kind, "path": path, "bytes": 0, **mark} for path, kind in found.conflicts
        ]
        conflicts += len(found.conflicts)
    return {"plan": plan, "conflicts": conflicts}


VERBS = {
    "up": up,
    "down": down,
    "sync": sync,
    "clean": clean.clean,
}
