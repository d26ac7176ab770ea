"""Takes every trace of afield away from a place: sync, agent, caches and, when asked, the project's folder there.

Rules: first everything is looked at, then everything is removed; a folder there with something that is not here in the
same form is left alone unless forced, and what it is gets named; one of another project is never removed. What must not go
in: anything about the local folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afield.daemon import api_envs, api_jobs, api_link, api_ports, folders, syncs
from afield.daemon.transfers import check_name, open_worker
from afield.errors import AfieldError, FilesError, GuardRefused, NoSuchFile, RootMissing, RootReplaced
from afield.sync.notice import amount
from afield.transports.local import LocalTransport

if TYPE_CHECKING:
    from afield.daemon.conversation import Ask
    from afield.daemon.core import Daemon
    from afield.daemon.target import Target

Args = dict[str, Any]

# What a person reads before deciding; the count is exact.
_NAMED = 5
_DEPTH = 64
# afield's own folder: history, staging, identity.
_GIT = b".git/"
_OWN = b".afield"
_IDENTITY = b"/.afield/identity"
# s that an agent without work takes to end at most, on a loaded machine.
_ENDING = 5.0
# s between two looks whether an acknowledgement has arrived; it is sent within some 25 ms.
_ACKNOWLEDGED = 0.05


async def clean(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Remove, or with ``dry_run`` say what would go. Raises GuardRefused when files there are not here."""
    target = await api_link.linked(daemon, ask, args)
    if args["dry_run"]:
        await api_envs.tell_made(target, ask)
    if target.live:
        # What was just produced there must be here before anything goes.
        with contextlib.suppress(GuardRefused, RootMissing, RootReplaced):  # what is only there is found below
            await target.barrier()
    parts = folders.parts_of(target.folder, target.machine, await target.place.home()) if args["files"] else []
    found = [(part, rows) for part in parts if (rows := await _rows(target, part, parts)) is not None]
    if args["dry_run"]:
        return {"would_remove": await _plan(target, found, others=args["others"])}
    for part, _ in found:
        if await _is_strange(target, part):
            raise GuardRefused(
                f"{os.fsdecode(part.there)} belongs to another project",
                hint="keep the folder (`--keep-files`), or make it this project's first: afield up --take-over",
            )
    for part, rows in found if not args["force"] else ():
        only_there = await _only_there(target, part, rows)
        if only_there:
            raise _refusal(part, only_there)
    removed = await daemon.projects.down(target)
    removed += await api_ports.stop_of(daemon, target)
    removed += [f"job {name}" for name in await _end_jobs(target, ask, others=args["others"])]
    # What lies inside another folder goes first.
    theres = sorted((part.there for part, _ in found), key=len, reverse=True)
    told = await target.place.connection.call("clean", {"folders": theres}, timeout=660)
    removed += [os.fsdecode(path) for path in told["removed"]]
    for part, _ in found:
        syncs.forget_store(folders.store(target, part.name))
    transport = target.place.connection.transport
    kept = await _kept(target, told.get("kept") or [])
    if not kept and await api_link.let_go(daemon, target, quit_agent=True):
        removed.append("agent")
        if isinstance(transport, LocalTransport):
            await asyncio.to_thread(_tidy, transport)
    return {"removed": removed, "kept": [row.get("label") for row in kept]}


async def _end_jobs(target: Target, ask: Ask, *, others: bool) -> list[str]:
    """End and remove all jobs at the place, or (not ``others``) those of this project; gives their names."""
    if others:
        ended = await target.place.connection.call("jobs-clean", timeout=660)
        for name in ended["kept"]:
            ask.note(f"job {name} belongs to another host that shares this home: it stays")
        return list(ended["removed"])
    names = []
    for job in await _jobs(target, others=False):
        done = await target.place.connection.call("job-remove", {"job": job["id"], "force": True}, timeout=660)
        names += done["removed"]
    return names


async def _jobs(target: Target, *, others: bool) -> list[Any]:
    there = await target.there()
    return [job for job in await api_jobs.listing(target) if others or job["project"] == there]


async def _kept(target: Target, rows: list[Any]) -> list[Any]:
    """Give what the agent keeps; what has just ended is kept until our acknowledgement of its end is there."""
    for _ in range(20):
        if not rows or any(row.get("state") != "exited" for row in rows):
            break
        await asyncio.sleep(_ACKNOWLEDGED)
        rows = (await target.place.connection.call("quit")).get("kept") or []
    return rows


def _tidy(transport: LocalTransport) -> None:
    """Take the empty folders away that a place on this machine leaves, as soon as its agent has ended. Blocks."""
    end = time.monotonic() + _ENDING
    while not transport.tidy() and time.monotonic() < end:
        time.sleep(0.02)


async def _rows(target: Target, part: folders.Part, parts: list[folders.Part]) -> list[Any] | None:
    """Give what stands in a folder there and in no other of ``parts``; None when there is no such folder."""
    try:
        async with open_worker(target) as worker:
            listed, _ = await worker.collect("list", {"path": part.there, "long": True, "depth": _DEPTH})
    except (NoSuchFile, RootMissing):
        return None
    front = part.there.rstrip(b"/") + b"/"
    others = [each.there[len(front) :] for each in parts if each.there.startswith(front)]
    tops = tuple(top + b"/" for top in (_OWN, *others))
    return [row for some in listed for row in some if not (row[0] + b"/").startswith(tops)]


async def _is_strange(target: Target, part: folders.Part) -> bool:
    """Tell whether a folder there was synced, and not with the one here."""
    async with open_worker(target) as worker:
        try:
            there = b"".join((await worker.collect("fetch", {"path": part.there + _IDENTITY}))[0])
        except (FilesError, RootMissing):
            return False
    try:
        return await asyncio.to_thread(Path(os.fsdecode(part.here + _IDENTITY)).read_bytes) != there
    except OSError:
        return True


async def _plan(target: Target, found: list[tuple[folders.Part, list[Any]]], *, others: bool) -> list[str]:
    plan = []
    if target.session is not None:
        plan.append("the sync of this project")
    print_of = await target.place.connection.call("footprint")
    for job in await _jobs(target, others=others):
        runs = ", which is ended" if job["state"] in api_jobs.LIVE else ""
        plan.append(f"job {job['name']} ({job['number']}, {job['state']}) and its output{runs}")
    plan.append(f"the agent (process {print_of['pid']}) and its {print_of['files']} files, {amount(print_of['disk'])}")
    for part, rows in found:
        files = [row for row in rows if row[1] == "f"]
        size = sum(row[3] for row in files)
        noun = "file" if len(files) == 1 else "files"
        plan.append(f"{os.fsdecode(part.there)}: {len(files)} {noun}, {amount(size)}")
        if await _is_strange(target, part):
            plan.append("  it belongs to another project: only --keep-files, which leaves it, is allowed")
            continue
        only_there = await _only_there(target, part, rows)
        if only_there:
            named = ", ".join(os.fsdecode(path) for path in only_there[:_NAMED])
            plan.append(f"  of these {len(only_there)} are not here in the same form (needs --force): {named}")
    return plan


async def _only_there(target: Target, part: folders.Part, rows: list[Any]) -> list[bytes]:
    """Give the files there that are not here; those of a repository whose commits are all here are none."""
    missing = await asyncio.to_thread(missing_here, part.here, rows)
    if not any(path.startswith(_GIT) for path in missing):
        return missing
    from afield.gitsync.carried import is_carried
    from afield.gitsync.ends import Here, There

    try:
        carried = await is_carried(Here(os.fsdecode(part.here)), There(target.place.connection, part.there))
    except AfieldError:
        carried = False
    return [path for path in missing if not path.startswith(_GIT)] if carried else missing


def missing_here(folder: bytes, rows: list[Any]) -> list[bytes]:
    """Give the paths of files and links there that are not here with the same kind, size and time. Blocks on the disk."""
    missing = []
    for name, kind, _, size, mtime_ns, _, link in rows:
        if kind == "d":
            continue
        path = os.path.join(folder, check_name(name))
        try:
            info = os.lstat(path)
            if kind == "l":
                same = os.readlink(path) == link
            else:
                # Some file systems keep whole microseconds or seconds; sync sets the time to that of the original.
                same = info.st_size == size and abs(info.st_mtime_ns - mtime_ns) < 2_000_000_000
        except OSError:
            same = False
        if not same:
            missing.append(bytes(name))
    return missing


def _refusal(part: folders.Part, paths: list[bytes]) -> AfieldError:
    named = ", ".join(os.fsdecode(path) for path in paths[:_NAMED])
    return GuardRefused(
        f"of the files in {os.fsdecode(part.there)}, {len(paths)} {'is' if len(paths) == 1 else 'are'} not here in the same form: {named}",
        hint="get them first (`afield get`), keep the folder (`--keep-files`), or remove them too (`--force`)",
        paths=[os.fsdecode(path) for path in paths[:1000]],
    )
