"""The repository of a project that is up: carried when asked, and by itself with ``sync.git = true``.

Rules: files first (the sync is flushed), then git, one at a time per target; what is refused is told in the state and tried
again when something changed. A look here is a few stats, a look there two calls of the agent: no process runs for
nothing. What must not go in: how git is carried (afield.gitsync).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any

from afield.daemon import syncs
from afield.errors import AfieldError
from afield.sync.together import ended

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from afield.daemon.target import Target

# Seconds between looks at the stamps here (some stats) and there (two calls, 200 bytes each).
LOOK_HERE = 1.0
LOOK_THERE = 5.0
# A refusal may end without a change that the stamps show (another process let go of a lock).
AGAIN = 30.0
# HEAD and its log change with every commit, checkout and reset; packed-refs and the folders with other branches and tags.
WATCHED = ("HEAD", "logs/HEAD", "packed-refs", "refs/heads", "refs/tags")
WATCHED_THERE = (b"HEAD", b"logs/HEAD")


def unequal(mode: str, conflicts: int, problems: int) -> dict[str, str]:
    """Give side → why the files there may not be those of the other. Pure."""
    if conflicts or problems:
        why = f"the files are not equal: {conflicts} conflicts, {problems} problems (afield status)"
        return {"here": why, "there": why}
    if mode.startswith("push"):
        return {"here": f"files do not come here in the mode {mode}"}
    return {"there": f"files do not go there in the mode {mode}"} if mode == "pull" else {}


async def carry(target: Target, session: Any) -> dict[str, Any]:
    """Flush the files, then carry the repository; gives what was done. Raises GitRefused, LinkError, GuardRefused."""
    from afield.gitsync.ends import Here, There
    from afield.gitsync.session import GitSync

    await session.flush(syncs.BEFORE_RUN_SECONDS)
    status = session.status()
    ends = Here(target.folder), There(target.place.connection, await target.there())
    memory = syncs.store_path(target.folder, target.machine.name) + ".git.json"
    work = GitSync(*ends, machine=target.machine.name, memory=memory)
    return await work.run(unequal=unequal(target.machine.mode, status.conflicts_total, status.problems_total))


class Keeper:
    """Git of one target while it is up; ``problem`` is what the state shows, None when all is well."""

    def __init__(self, target: Target, session: Any, changed: Callable[[], None]) -> None:
        self.problem: str | None = None
        self.last: dict[str, Any] | None = None
        self._target, self._session, self._changed = target, session, changed
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def sync(self) -> dict[str, Any]:
        """Carry the repository now. Raises as ``carry``."""
        async with self._lock:
            try:
                self.last = await carry(self._target, self._session)
                self._show(told(self.last, self._target.machine.name))
                return self.last
            except AfieldError as error:
                # Whoever asked for it hears it; it stays in the status only where the next try comes by itself.
                self._show(str(error) if self._task is not None else None)
                raise

    def start(self) -> None:
        """Begin to do it by itself."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="afield-git")

    async def close(self) -> None:
        """Stop."""
        task, self._task = self._task, None
        await ended(task)

    def _show(self, problem: str | None) -> None:
        if problem != self.problem:
            self.problem = problem
            self._changed()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        seen: Any = None
        look_there, again, there = 0.0, 0.0, None
        while True:
            here = await asyncio.to_thread(stamp, self._target.folder)
            if loop.time() >= look_there:
                look_there = loop.time() + LOOK_THERE
                there = await self._quietly(self._stamp_there(), there)
            failed = self.problem is not None and loop.time() >= again
            if seen != (here, there) or failed:
                again = loop.time() + AGAIN
                # The stamps of before: what a user does meanwhile leads to another sync. So does what this one
                # changes, which then finds nothing to do.
                there = await self._quietly(self._stamp_there(), there)
                seen = (here, there)
                await self._quietly(self.sync(), None)
            await asyncio.sleep(LOOK_HERE)

    async def _quietly(self, work: Awaitable[Any], otherwise: Any) -> Any:
        try:
            return await work
        except AfieldError:
            return otherwise  # a link that is away; what git said is shown already
        except (OSError, ValueError, KeyError) as error:
            self._show(f"git could not be carried: {error!r}")
            return otherwise

    async def _stamp_there(self) -> Any:
        folder = await self._target.there()
        call = self._target.place.connection.call
        found = [await call("stat", {"path": folder + b"/.git/" + name}, timeout=10) for name in WATCHED_THERE]
        return tuple((one["size"], one["mtime"]) if one else None for one in found)


def begin(target: Target, session: Any, changed: Callable[[], None]) -> Keeper:
    """Make the keeper of a target that came up; it works by itself where the setting says so."""
    keeper = Keeper(target, session, changed)
    if target.machine.git:
        keeper.start()
    return keeper


async def end(target: Target) -> None:
    """Stop the keeper of a target, if it has one."""
    keeper, target.git = target.git, None
    if keeper is not None:
        await keeper.close()


def told(done: dict[str, Any], machine: str) -> str | None:
    """Give what a person has to see to, in one line; None for nothing. Pure."""
    apart = [
        f"branch {name} went apart: commit, then git merge refs/afield/{machine}/heads/{name}" for name in done["apart"]
    ]
    waits = [note for note in done["notes"] if " stays " in note or " behind " in note]
    return "git: " + "; ".join([*apart, *waits]) if apart or waits else None


def stamp(folder: str) -> tuple[Any, ...]:
    """Give what changes when the repository here does: some stats, 10 µs."""
    git = os.path.join(folder, ".git")
    # A linked work tree has a file there: gitrepository-layout(5).
    with contextlib.suppress(OSError), open(git, encoding="utf-8", errors="surrogateescape") as file:
        git = os.path.join(folder, file.readline().removeprefix("gitdir:").strip())
    found = []
    for name in WATCHED:
        try:
            info = os.stat(os.path.join(git, name))
            found.append((info.st_mtime_ns, info.st_size, info.st_ino))
        except OSError:
            found.append((0, 0, 0))
    return tuple(found)
