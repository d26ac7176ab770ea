"""The verbs about jobs: start, list, wait, stop, remove, top.

Rules: a job is named by its number, its name, or the beginning of its id or name; those of this project win. What is started gets
the same arguments, folder and environment as a run. What must not go in: showing output (runs), what happens at the end (job_watch).
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any

from afield.daemon import beginning, mapping
from afield.daemon.api_link import linked
from afield.daemon.run_wire import RunRequest
from afield.errors import AfieldError, LinkError, NoSuchProcess, NoSuchView, UsageError

if TYPE_CHECKING:
    from afield.daemon import activation
    from afield.daemon.conversation import Ask
    from afield.daemon.core import Daemon
    from afield.daemon.target import Target

Args = dict[str, Any]
Job = dict[str, Any]

LIVE = ("starting", "waiting", "running")
# s: the answer of a place whose disk or nvidia-smi is slow.
_SLOW = 90.0
_REMOVE = 660.0
# s between two tries of a wait whose agent was killed.
_AGAIN = 0.5


def plain(job: Job) -> Job:
    """Give a job with its paths and words as texts; the place where its journal ends is for the agent alone."""
    # An older agent does not count it, and of one that just started there is none.
    output = job.get("output", job.get("position", 0))
    job = {key: value for key, value in job.items() if key != "position"}
    found = {key: os.fsdecode(bytes(value)) if isinstance(value, bytes) else value for key, value in job.items()}
    return {**found, "output": output, "argv": [os.fsdecode(bytes(word)) for word in job["argv"]]}


def pick(rows: list[Job], word: str, project: bytes = b"") -> Job:
    """Give the job that a word means. Pure. Raises NoSuchProcess, UsageError."""
    tests = (
        lambda row: str(row["number"]) == word,
        lambda row: row["name"] == word,
        lambda row: row["id"] == word,
        lambda row: len(word) > 1 and row["id"].startswith(word),
        lambda row: row["name"].startswith(word),
    )
    mine = [row for row in rows if row["project"] == project]
    for test in tests:
        for some in (mine, rows):
            found = [row for row in some if test(row)]
            names = {row["name"] for row in found}
            if len(names) > 1:
                raise UsageError(
                    f"{word!r} may be {' or '.join(sorted(names))}", hint="write more of it, or its number: afield jobs"
                )
            if found:
                # Several of one name: the newest.
                return found[-1]
    raise NoSuchProcess(f"no job {word!r} there", hint="list them: afield jobs --all")


async def listing(target: Target) -> list[Job]:
    """Give all jobs at the target's place, oldest first."""
    rows: list[Job] = await target.place.connection.call("jobs", timeout=_SLOW)
    return rows


async def _named(target: Target, word: str) -> Job:
    return pick(await listing(target), word, await target.there())


async def jobs(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """List those of this project, or all."""
    target = await linked(daemon, ask, args)
    there = await target.there()
    rows = await listing(target)
    return [{**plain(row), "here": row["project"] == there} for row in rows if args["all"] or row["project"] == there]


async def job_start(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Start one as a run would be started; ``ready`` false when the project has to be brought up first."""
    del ask
    target = daemon.projects.get(args["project"], args["machine"])
    state = target.run_state(barrier=args["sync"])
    if state == "not-ready":
        return {"ready": False}
    # Found before anything is started, so that a wrong name starts nothing.
    after = [await _named(target, word) for word in args["after"] or ()]
    request = _request(args)
    active = await target.environment.named(args["environment"]) if args["environment"] else None
    if target.environment.pending:
        await target.environment.resolve()
    if state == "barrier":
        await target.barrier("here")
    project = {"project": await target.there(), "origin": f"{socket.gethostname()}:{target.folder}"}
    wish = {**_wish(args), **project, "after": [job["id"] for job in after]}

    async def start() -> Job:
        process = await _process(target, request, active)
        job: Job = await target.place.connection.call("job-start", {**wish, "process": process}, timeout=_SLOW)
        return job

    try:
        job = await start()
    except NoSuchView:
        target.way.forget()
        job = await start()
    daemon.job_watch.look(target)
    return {"ready": True, "job": plain(job)}


def _wish(args: Args) -> dict[str, Any]:
    words = [os.fsencode(word) for word in args["argv"]]
    return {
        "words": [b"python", *words] if args["mode"] == "python" else words,
        "name": args["name"] or "",
        "limit": args["limit"] or 0,
        "after_any": args["after_any"],
        "gpus": args["gpus"] or 0,
        "gpu_wait": args["gpu_wait"],
        "url": args["notify_url"],
        "command": os.fsencode(args["notify_command"]) if args["notify_command"] else None,
        "desktop": args["notify"],
        "sync_back": args["sync_back"] or [],
    }


def _request(args: Args) -> RunRequest:
    env = dict(os.fsencode(entry).split(b"=", 1) for entry in args["env"] or () if "=" in entry)
    argv = tuple(os.fsencode(word) for word in args["argv"])
    flags = "012" if args["pty"] else ""
    rows, cols = [*(args["window"] or ()), 0, 0][:2]
    cwd = os.fsencode(args["cwd"])
    return RunRequest(args["mode"], b"", b"", "", cwd, flags, rows, cols, env.get(b"TERM", b""), argv, env)


async def _process(target: Target, request: RunRequest, active: activation.Activation | None) -> dict[str, object]:
    """Give the program as a run would start it, in the environment ``active`` when that is not the project's."""
    home = await target.place.home()
    if target.way.pending:
        await target.way.resolve()
    there = beginning.aim(target, request)
    if active is not None:
        other = await target.way.target_in(active, target.mapping_target().at_home(home))
        there = beginning.named_as_here(request, other)
    header = mapping.plan(request, there.at_home(home)).header()
    return {key: value for key, value in header.items() if key != "do"}


async def job_find(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Give the job that a word means."""
    return plain(await _named(await linked(daemon, ask, args), args["job"]))


async def job_wait(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Wait for ends, over lost links and killed agents; rows in the order of the words."""
    target = await linked(daemon, ask, args)
    rows = await listing(target)
    there = await target.there()
    found = [pick(rows, word, there) for word in args["jobs"]]
    return list(await asyncio.gather(*(wait_end(target, job["id"]) for job in found)))


async def wait_end(target: Target, job: str, *, dial: bool = True) -> Job:
    """Wait until a job has ended and give it as it is then. Raises NoSuchProcess when it was removed meanwhile.

    Without ``dial`` a link that is down raises its LinkError.
    """
    while True:
        try:
            if dial:
                await target.place.ready()
            stream = target.place.connection.open_stream({"do": "job", "job": job, "quiet": True, "follow": True})
            try:
                async for _ in stream.messages():
                    pass
            finally:
                stream.close()
            return plain(next(row for row in await listing(target) if row["id"] == job))
        except StopIteration:
            raise NoSuchProcess(f"job {job} was removed") from None
        except LinkError:
            if not dial and not target.place.usable:
                raise
            await asyncio.sleep(_AGAIN)


async def job_stop(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Ask jobs to end; they are killed when they live on. Waits for the ends."""
    target = await linked(daemon, ask, args)
    rows, there = await listing(target), await target.there()
    found = [pick(rows, word, there) for word in args["jobs"]]
    order = {"signal": args["signal"], "grace": args["grace"]}
    for job in found:
        await target.place.connection.call("job-stop", {"job": job["id"], **order})
    return [await wait_end(target, job["id"]) if job["state"] in LIVE else plain(job) for job in found]


async def job_remove(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Remove ended jobs and their output; ``ended``: all of this project's that have ended."""
    target = await linked(daemon, ask, args)
    rows, there = await listing(target), await target.there()
    found = [pick(rows, word, there) for word in args["jobs"] or ()]
    if args["ended"]:
        found += [row for row in rows if row["project"] == there and row["state"] not in LIVE and row not in found]
    removed = []
    for job in found:
        order = {"job": job["id"], "force": args["force"]}
        done = await target.place.connection.call("job-remove", order, timeout=_REMOVE)
        removed += done["removed"]
    return {"removed": removed}


async def top(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Give one look at what runs."""
    target = await linked(daemon, ask, args)
    told = await target.place.connection.call("job-top", timeout=_SLOW)
    return {**told, "place": target.place.text, "jobs": [plain(job) for job in told["jobs"]]}


async def count_live(target: Target) -> int:
    """Give how many jobs run or wait at the target's place; 0 when it does not answer at once."""
    if not target.place.connected:
        return 0
    try:
        told = await target.place.connection.call("jobs", {"count": True}, timeout=2.0)
    except AfieldError:
        return 0
    return int(told["live"])


VERBS = {
    "jobs": jobs,
    "job-start": job_start,
    "job-find": job_find,
    "job-wait": job_wait,
    "job-stop": job_stop,
    "job-remove": job_remove,
    "top": top,
}
