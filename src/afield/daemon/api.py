"""The verbs about the daemon itself, and the table of all verbs. One small function a verb.

Rules: a verb gets the request (``ask``) and checked arguments, returns plain values, raises AfieldError.
What must not go in: parsing, sockets, or any knowledge of how a face shows things.
"""

from __future__ import annotations

import asyncio
import functools
import os
import re
from typing import TYPE_CHECKING, Any

from afield import __version__
from afield.control import paths
from afield.control.client import CARRIED
from afield.daemon import (
    api_doctor,
    api_envs,
    api_explain,
    api_files,
    api_git,
    api_jobs,
    api_link,
    api_mirror,
    api_ports,
    api_python,
    api_settle,
    api_sync,
    logs,
)

if TYPE_CHECKING:
    from afield.daemon.conversation import Ask, Handler
    from afield.daemon.core import Daemon

Args = dict[str, Any]


async def hello(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Say who is here; takes the face's ways to log in, so that the next dial can use its ssh agent."""
    del ask
    for entry in args["env"] or ():
        name, _, value = entry.partition("=")
        if name in CARRIED and value:
            os.environ[name] = value
    return {
        "version": __version__,
        "pid": os.getpid(),
        "since": daemon.since,
        "run": paths.run_folder(),
        "keeps": daemon.keeps(),
    }


async def status(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Give the whole state as it is now."""
    del ask
    daemon.projects.reread()
    await daemon.projects.prune()
    await api_link.footprint(daemon)
    refresh(daemon)
    return daemon.state.snapshot(real_folder(args["project"]))


def real_folder(folder: str | None) -> str | None:
    """Give the folder without symlinks, as projects are known."""
    return os.path.realpath(folder) if folder else None


def refresh(daemon: Daemon) -> None:
    """Bring what changes all the time (latency, memory, counters) into the state."""
    daemon.state.merge("daemon", "self", rss=rss(), runs=len(daemon.runs))
    for place in daemon.places.all():
        daemon.state.put("places", place.key, place.describe())
    for target in daemon.projects.all():
        daemon.projects.show(target)
    for number, forward in daemon.forwards.items():
        daemon.state.put("forwards", str(number), forward.describe())


def rss() -> int | None:
    """Give the daemon's resident memory in bytes (proc(5)); None where the system does not say."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            found = re.search(r"VmRSS:\s+(\d+) kB", file.read())
    except OSError:
        return None
    return int(found.group(1)) * 1024 if found else None


async def watch(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Send each change of the state until the face is gone."""
    missed = daemon.state.changes_after(args["after"]) if args["after"] is not None else []
    for change in missed or ():
        ask.event({"change": change})
    if missed is None:
        ask.note("the changes since then are no longer kept: ask for the status")
    end = daemon.state.subscribe(lambda change: ask.event({"change": change}))
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        end()


async def log(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Give the last lines of the log."""
    del ask
    return {"path": daemon.diary.path, "lines": logs.tail(daemon.diary.path, min(args["lines"], 10_000))}


async def stop_daemon(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """End the daemon; without force only when nothing would be missed."""
    del ask
    keeps = daemon.keeps()
    if keeps and not args["force"]:
        return {"stopping": False, "keeps": keeps}
    daemon.diary.info("asked to end")
    # After the answer went out.
    daemon.loop.call_later(0.05, daemon.stop)
    return {"stopping": True}


_VERBS = {
    "hello": hello,
    "status": status,
    "watch": watch,
    "log": log,
    "stop-daemon": stop_daemon,
    **api_link.VERBS,
    **api_sync.VERBS,
    **api_settle.VERBS,
    **api_explain.VERBS,
    **api_envs.VERBS,
    **api_files.VERBS,
    **api_git.VERBS,
    **api_jobs.VERBS,
    **api_mirror.VERBS,
    **api_ports.VERBS,
    **api_python.VERBS,
    **api_doctor.VERBS,
}


def handlers(daemon: Daemon) -> dict[str, Handler]:
    """Give the table of verbs, bound to a daemon."""
    return {name: functools.partial(verb, daemon) for name, verb in _VERBS.items()}
