"""The verbs about what both sides changed and what a sync replaced: conflicts, versions, settle, history, undo."""

from __future__ import annotations

import base64
import contextlib
import os
from typing import TYPE_CHECKING, Any

from afield.daemon import folders, syncs
from afield.errors import GuardRefused, NoSuchFile

if TYPE_CHECKING:
    from afield.daemon.conversation import Ask
    from afield.daemon.core import Daemon

Args = dict[str, Any]


def path_of(text: str) -> bytes:
    """Give a path below the project as the sync knows it."""
    return os.fsencode(text.strip("/"))


async def _session(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Give the live session with its link up. Raises NotUp, and what explains why there is no link."""
    target = daemon.projects.get(args["project"], args["machine"])
    session = daemon.projects.need(target, args["folder"])
    await target.place.ready(ask)
    return session


async def conflicts(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """List what changed on both sides, in all folders or in one."""
    del ask
    target = daemon.projects.get(args["project"], args["machine"])
    if args["folder"]:
        return syncs.conflicts(daemon.projects.need(target, args["folder"]))
    daemon.projects.need(target)
    return [
        {**row, "folder": name} if name else row
        for name, session in folders.sessions(target)
        for row in syncs.conflicts(session)
    ]


async def versions(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Give what stands at a path here and there, and what was agreed on, with the texts as base64."""
    session = await _session(daemon, ask, args)
    told = await syncs.versions(session, path_of(args["path"]))
    for name in ("here", "there", "base"):
        version = told[name]
        if version is not None and version.get("text") is not None:
            version["text"] = base64.b64encode(version["text"]).decode("ascii")
    return told


async def settle(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """End conflicts; what loses goes to the history."""
    session = await _session(daemon, ask, args)
    tops = [path_of(path) for path in args["paths"]]
    if not syncs.in_conflict(session, tops):
        raise NoSuchFile(f"no conflict at {', '.join(args['paths'])}", hint="list them with: afield conflicts")
    done = await session.settle(tops, args["keep"], markers=args["markers"])
    return {
        "settled": done.settled,
        "open": [{"path": path, "why": why} for path, why in done.open],
        "renamed": [{"path": path, "to": to} for path, to in done.renamed],
        "marked": done.marked,
    }


async def history(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """List what was replaced or removed on either side."""
    session = await _session(daemon, ask, args)
    found = await session.history(path_of(args["path"]) if args["path"] else None, args["limit"])
    return [{"id": event.id, **event._asdict()} for event in found if args["side"] in (None, event.side)]


async def undo(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Bring back the last version of a path, a removed folder, the last deed, or one event of the history."""
    session = await _session(daemon, ask, args)
    path = path_of(args["path"]) if args["path"] else None
    event = None if args["event"] is None else str(args["event"])
    if not args["force"]:
        # What was saved a moment ago must not be taken for what the undo may replace.
        with contextlib.suppress(GuardRefused):
            await session.flush(syncs.BEFORE_RUN_SECONDS)
    found = await session.undo(path, args["side"], event=event, force=args["force"])
    return {
        "restored": [
            {"path": each.path, "side": each.side, "event": each.event, "action": each.action} for each in found
        ]
    }


VERBS = {"conflicts": conflicts, "versions": versions, "settle": settle, "history": history, "undo": undo}
