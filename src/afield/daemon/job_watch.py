"""Waits for the ends of jobs that want something done here: results brought back, a desktop notification.

Rules: what was done is marked at the place, so it is done once, by whichever daemon is there when the link is; a place is asked only
while something is wanted from it, which a small file remembers. What must not go in: how results are fetched (sync_back).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Any

from afield.control import paths
from afield.daemon import api_jobs, memory, sync_back
from afield.errors import AfieldError, LinkError

if TYPE_CHECKING:
    from afield.daemon.core import Daemon
    from afield.daemon.target import Target


class JobWatch:
    """One a daemon. ``look(target)`` looks after the jobs of a target until nothing more is wanted."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._path = os.path.join(paths.state_folder(), "jobs.json")
        self._wanted = set(memory.load(self._path))
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        daemon.state.subscribe(self._changed)

    def look(self, target: Target) -> None:
        """Look what is wanted, now and when the jobs end."""
        self._wanted.add((target.folder, target.machine.name))
        memory.save(self._path, sorted(self._wanted))
        self._begin(f"look {target.key}", self._look(target))

    def busy(self, target: Target) -> bool:
        """Whether a job of this target is waited for."""
        return any(key.endswith(f" {target.key}") for key in self._tasks)

    def _changed(self, change: dict[str, Any]) -> None:
        value = change["value"]
        if change["section"] != "places" or not value or value.get("state") != "connected" or not self._wanted:
            return
        for target in self._daemon.projects.all():
            if (target.folder, target.machine.name) in self._wanted and target.place.key == change["key"]:
                self._begin(f"look {target.key}", self._look(target))

    def _begin(self, key: str, work: Any) -> None:
        if key in self._tasks:
            work.close()
            return
        task = self._tasks[key] = self._daemon.spawn(work, key)
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _look(self, target: Target) -> None:
        with contextlib.suppress(AfieldError):
            there = await target.there()
            rows = [row for row in await api_jobs.listing(target) if row["project"] == there and wants(row)]
            for row in rows:
                self._begin(f"job {row['id']} {target.key}", self._wait(target, row))
            if not rows:
                self._wanted.discard((target.folder, target.machine.name))
                memory.save(self._path, sorted(self._wanted))

    async def _wait(self, target: Target, row: dict[str, Any]) -> None:
        try:
            job = await api_jobs.wait_end(target, row["id"], dial=False) if row["state"] in api_jobs.LIVE else row
            if "told" in wants(job):
                await notify(job)
                await self._mark(target, job, "told")
            if "fetched" in wants(job):
                came, beside = await sync_back.fetch(target, job)
                await self._mark(target, job, "fetched")
                self._daemon.diary.info(f"job {job['name']}: {came} files came back")
                for path in beside:
                    self._daemon.diary.warning(f"job {job['name']}: changed here, so the result is beside it: {path}")
        except LinkError:
            return  # the next link looks again
        except AfieldError as error:
            self._daemon.diary.warning(f"job {row['name']}: {error}")
            return
        finally:
            self._tasks.pop(f"job {row['id']} {target.key}", None)
        await self._look(target)

    async def _mark(self, target: Target, job: dict[str, Any], mark: str) -> None:
        await target.place.connection.call("job-mark", {"job": job["id"], "mark": mark})


def wants(job: dict[str, Any]) -> list[str]:
    """Give the marks that a job still needs. Pure."""
    found = ["told"] if job["desktop"] else []
    # A job that never ran has no results.
    if job["sync_back"] and job["state"] not in ("skipped", "failed", "stopped"):
        found.append("fetched")
    return [mark for mark in found if mark not in job["marks"]]


def end_text(job: dict[str, Any]) -> str:
    """Say how a job ended, in a few words. Pure."""
    ended = job.get("exit") or {}
    if "exit" in ended:
        return "succeeded" if ended["exit"] == 0 else f"failed with exit status {ended['exit']}"
    if "killed" in ended:
        return f"was killed by signal {ended['killed']}"
    return str(job.get("why") or job["state"])


async def notify(job: dict[str, Any]) -> None:
    """Show it on the desktop (notify-send of libnotify); where there is none, nothing happens."""
    program = shutil.which("notify-send")
    if program is None:
        return
    words = ["--app-name=afield", f"afield: {job['name']} {end_text(job)}", f"on {job['host']}"]
    with contextlib.suppress(OSError, TimeoutError):
        process = await asyncio.create_subprocess_exec(
            program, *words, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(10):
            await process.wait()
