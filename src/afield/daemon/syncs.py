"""The one door between the daemon and afield.sync: makes, starts, asks and closes the session of a target.

Rules: imported for every daemon, so the sync package itself is loaded when a project first comes up; what comes back is
plain values. What must not go in: when a project is up (projects).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, Any

from afield.control import paths
from afield.errors import NeedsConfirmation

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.config.load import Machine
    from afield.daemon.conversation import Ask
    from afield.daemon.projects import Target

# A run waits this long for its files before it gives up: an upload of some gigabytes over a home line.
BEFORE_RUN_SECONDS = 6 * 3600.0
# A number of bytes that no upload reaches: agreed to all.
_ALL = 1 << 62


def store_path(folder: str, machine: str) -> str:
    """Give the file that remembers what both sides agreed on; its folder is made by whoever opens it."""
    name = hashlib.sha256(os.fsencode(f"{folder}\0{machine}")).hexdigest()[:24]
    return os.path.join(paths.state_folder(), "sync", f"{name}.sqlite")


async def make(target: Target, changed: Callable[[], None]) -> Any:
    """Make the session of a target whose link is up."""
    from afield.sync.channel import local_worker
    from afield.sync.session import Session, Settings
    from afield.sync.stream_channel import open_there

    machine = target.machine
    there = await target.there()
    settings = Settings(
        here=os.fsencode(target.folder),
        there=there,
        place=machine.place,
        store=store_path(target.folder, machine.name),
        mode=machine.mode,
        ignore=machine.ignore,
    )
    place = target.place

    async def far() -> Any:
        await place.ready()
        return open_there(place.connection, there)

    return Session(local_worker, far, settings, on_change=changed)


async def check_first(session: Any, machine: Machine, confirm: int | None) -> None:
    """Look at what a first sync would carry. Raises NeedsConfirmation when it is above the machine's limits."""
    from afield.sync.notice import check, notice

    plan = await session.preview()
    found = notice({"op": op, "path": path, "size": size} for _, op, path, size in plan.ops)
    check(found, confirm, limits=(machine.ask_above, machine.ask_above_files))


def has_store(path: str) -> bool:
    """Say whether this pair was synced before."""
    return os.path.exists(path)


def forget_store(path: str) -> None:
    """Forget what both sides had agreed on."""
    for name in (path, path + "-wal", path + "-shm", path + "-journal"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


async def start(session: Any, target: Target, ask: Ask | None, confirm: int | None) -> dict[str, Any]:
    """Do the first sync and go live; gives what was done. Raises NeedsConfirmation, GuardRefused and the like."""
    path = store_path(target.folder, target.machine.name)
    allow = max(confirm or 0, target.machine.ask_above)
    if not has_store(path):
        try:
            await check_first(session, target.machine, confirm)
        except NeedsConfirmation:
            # Otherwise the next `up` would take the store for that of a project that was synced before.
            await close(session)
            forget_store(path)
            raise
        allow = _ALL
    if ask is not None:

        def tell(progress: Any) -> None:
            ask.progress(
                what="first sync",
                done=progress.files,
                total=progress.files_total,
                bytes=progress.bytes,
                bytes_total=progress.bytes_total,
            )

        session.on_progress = tell
    try:
        await session.start(allow=allow)
    finally:
        session.on_progress = None
    return done_of(session)


def done_of(session: Any) -> dict[str, Any]:
    """Give what the last cycle did, as ``sync`` answers."""
    status = session.status()
    last = status.last_cycle or {}
    return {
        "here": last.get("to_here", 0),
        "there": last.get("to_there", 0),
        "bytes": last.get("bytes", 0),
        "conflicts": status.conflicts_total,
        "problems": status.problems_total,
        "files": status.agreed,
        "notes": list(status.notes),
    }


def describe(session: Any) -> dict[str, Any]:
    """Give what the session says of itself, as the state shows it."""
    status = session.status()
    biggest = [*status.here.ignored_biggest, *status.there.ignored_biggest]
    return {
        "state": status.state,
        "why": status.reason,
        "hint": status.hint,
        "mode": status.mode,
        "files": status.agreed,
        "pending": status.pending,
        "conflicts": status.conflicts,
        "conflicts_total": status.conflicts_total,
        "problems": status.problems,
        "problems_total": status.problems_total,
        "cycles": status.cycles,
        "notes": list(status.notes),
        "watch": {"here": status.here.watch, "there": status.there.watch},
        "ignored": {
            "files": status.here.ignored_files,
            "bytes": status.here.ignored_bytes,
            "largest": sorted(biggest, key=lambda item: -item[1])[:5],
        },
    }


async def close(session: Any) -> None:
    """End the session; a worker that does not end well must not stop what comes after."""
    with contextlib.suppress(Exception):
        await session.close()


def link_changed(session: Any, *, connected: bool, why: str) -> None:
    """Tell the session that the link was lost or is back."""
    if connected:
        session.resume()
    else:
        session.suspend(why)
