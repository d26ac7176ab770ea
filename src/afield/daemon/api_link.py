"""The verbs about links and what runs at their far end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from afield.errors import AfieldError

if TYPE_CHECKING:
    from afield.daemon.conversation import Ask
    from afield.daemon.core import Daemon
    from afield.daemon.target import Target

Args = dict[str, Any]


async def linked(daemon: Daemon, ask: Ask, args: Args) -> Target:
    """Give the target of a request with its link up. Raises what explains why it is not."""
    target = daemon.projects.get(args["project"], args["machine"])
    await target.place.ready(ask)
    return target


async def connect(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Bring the link up; with ``facts``, say what is there."""
    target = await linked(daemon, ask, args)
    place = target.place
    facts = None
    if args["facts"]:
        facts = await place.connection.call("facts")
        with contextlib.suppress(AfieldError):
            place.footprint = await place.connection.call("footprint", timeout=5)
    live = place.describe()
    return {"place": place.text, "latency_ms": live["latency_ms"], "connect_ms": place.connect_ms, "facts": facts}


async def disconnect(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Close the link unless another project uses it."""
    del ask
    target = daemon.projects.get(args["project"], args["machine"])
    return {"closed": await let_go(daemon, target, quit_agent=args["stop_agent"])}


async def let_go(daemon: Daemon, target: Target, *, quit_agent: bool) -> bool:
    """Close the target's link when no other project needs it, and make a fresh one for the next use."""
    others = [
        other
        for other in daemon.projects.all()
        if other is not target and other.place is target.place and (other.session is not None or other.starting)
    ]
    busy = any(run.project_place() is target.place for run in daemon.runs.values())
    if others or (busy and not quit_agent):
        return False
    old = target.place
    await daemon.places.drop(old, quit_agent=quit_agent)
    for other in daemon.projects.all():
        if other.place is old:
            daemon.projects.rebind(other)
    return True


async def facts(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Give what the place has."""
    target = await linked(daemon, ask, args)
    return await target.place.connection.call("facts")


async def processes(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """List what runs there through afield; ids as hexadecimal digits."""
    target = await linked(daemon, ask, args)
    rows = await target.place.connection.call("processes")
    return [
        {**row, "id": bytes(row["id"]).hex() if isinstance(row.get("id"), bytes) else row.get("id")} for row in rows
    ]


async def kill(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Send a signal to a process group there."""
    target = await linked(daemon, ask, args)
    told = await target.place.connection.call("kill", {"id": bytes.fromhex(args["id"]), "signal": args["signal"]})
    return {"killed": args["id"], "told": told}


async def footprint(daemon: Daemon) -> None:
    """Learn what the agents cost, for the status page; a place that does not answer keeps its last figures."""

    async def one(place: Any) -> None:
        with contextlib.suppress(AfieldError):
            place.footprint = await place.connection.call("footprint", timeout=1.0)

    await asyncio.gather(*(one(place) for place in daemon.places.all() if place.connected))


VERBS = {"connect": connect, "disconnect": disconnect, "facts": facts, "processes": processes, "kill": kill}
