"""Brings the results of a job back: files there that match its patterns and are newer than its start.

Rules: a file here that is not what the last fetch left is somebody's edit and stays as it is, the result lies beside it under a name of
its own; nothing is written outside the project; a name that comes from there is checked. What must not go in: when this is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from afield.control import paths
from afield.daemon import globs
from afield.daemon.copies import Tally, _inside, get_file
from afield.daemon.transfers import open_worker
from afield.errors import FileChanged, NoSuchFile

if TYPE_CHECKING:
    from afield.daemon.target import Target
    from afield.sync.endpoint import Endpoint

# Some file systems keep whole seconds, and the one of the folder may be another machine's with its own clock.
_SLACK_NS = 2_000_000_000
# What is remembered of earlier fetches; one entry is some 150 bytes.
_REMEMBERED = 50_000


class Quiet:
    """Nobody watches."""

    def progress(self, **values: Any) -> None:
        """Take it."""


def known_path() -> str:
    """Give the file that remembers what fetches left here."""
    return os.path.join(paths.state_folder(), "sync-back.json")


def load_known(path: str) -> dict[str, list[int]]:
    """Give path → [size, mtime in ns] of what was fetched."""
    try:
        with open(path, encoding="ascii") as file:
            found = json.load(file)
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def save_known(path: str, known: dict[str, list[int]]) -> None:
    """Write it; a full disk means conflict copies later, and no loss."""
    temporary = f"{path}.{os.getpid()}"
    with contextlib.suppress(OSError):
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(handle, "w", encoding="ascii") as file:
            json.dump(dict(list(known.items())[-_REMEMBERED:]), file)
        os.replace(temporary, path)


def target_of(path: bytes, row: list[Any], known: dict[str, list[int]], job: str) -> bytes | None:
    """Say where a file goes: None when it is here already, beside a file here that was edited."""
    try:
        here = os.lstat(path)
    except FileNotFoundError:
        return path
    if here.st_size == row[3] and abs(here.st_mtime_ns - row[4]) < _SLACK_NS:
        return None
    if known.get(os.fsdecode(path)) == [here.st_size, here.st_mtime_ns]:
        return path
    folder, name = os.path.split(path)
    stem, dot, ending = name.rpartition(b".")
    mark = b".job-" + os.fsencode(job)
    beside = os.path.join(folder, stem + mark + dot + ending if stem else name + mark)
    # A copy of this job is ours to renew.
    with contextlib.suppress(FileNotFoundError):
        here = os.lstat(beside)
        if here.st_size == row[3] and abs(here.st_mtime_ns - row[4]) < _SLACK_NS:
            return None
    return beside


async def rows_of(worker: Endpoint, there: bytes, pattern: bytes) -> list[list[Any]]:
    """Give the rows of files below the folder there that match a pattern; a folder that matches comes whole."""
    pattern = pattern.strip(b"/")
    if globs.has_magic(pattern):
        folder, parts = globs.split(pattern)
    else:
        folder, parts = os.path.split(pattern)[0], [os.path.basename(pattern)]
    root = there + b"/" + folder if folder else there
    try:
        listed, _ = await worker.collect("list", {"path": root, "long": True, "depth": globs.DEPTH})
    except NoSuchFile:
        return []
    rows = [row for part in listed for row in part]
    tops = set(globs.topmost([row[0] for row in rows if globs.matches(row[0], parts)]))
    front = folder + b"/" if folder else b""
    return [[front + row[0], *row[1:]] for row in rows if row[1] == "f" and any(t in tops for t in _above(row[0]))]


def _above(name: bytes) -> list[bytes]:
    parts = name.split(b"/")
    return [b"/".join(parts[:count]) for count in range(1, len(parts) + 1)]


async def fetch(target: Target, job: dict[str, Any]) -> tuple[int, list[str]]:
    """Bring everything of a job that ended; give (files that came, conflict copies). Raises AfieldError."""
    if target.live:
        # What the sync itself brings is not asked for twice.
        await target.barrier("there")
    there = await target.there()
    root = await asyncio.to_thread(os.path.realpath, os.fsencode(target.folder))
    since = int((job["started"] or job["created"]) * 1e9) - _SLACK_NS
    known = load_known(known_path())
    came, beside = 0, []
    async with open_worker(target) as worker:
        found: dict[bytes, list[Any]] = {}
        for pattern in job["sync_back"]:
            for row in await rows_of(worker, there, os.fsencode(pattern)):
                if row[4] >= since:
                    found[row[0]] = row
        tally = Tally(Quiet(), "sync-back", files=len(found), size=sum(row[3] for row in found.values()))
        for name, row in sorted(found.items()):
            path = _inside(root, name)
            to = await asyncio.to_thread(target_of, path, row, known, str(job["number"]))
            if to is None:
                continue
            await asyncio.to_thread(os.makedirs, os.path.dirname(to), exist_ok=True)
            _inside(root, name)  # again: the folders are real now
            with contextlib.suppress(FileChanged):  # of something that goes on writing: the next fetch brings it
                await get_file(worker, row, there + b"/" + name, to, tally, mode=0o777 if row[2] else None)
                os.utime(to, ns=(row[4], row[4]))
                info = os.stat(to)
                known.pop(os.fsdecode(to), None)
                known[os.fsdecode(to)] = [info.st_size, info.st_mtime_ns]
                came += 1
                if to != path:
                    beside.append(os.fsdecode(to))
    if came:
        save_known(known_path(), known)
    return came, beside
