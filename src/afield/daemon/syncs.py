"""The one door between the daemon and afield.sync: makes, starts, asks and closes the session of a target.

Rules: imported for every daemon, so the sync package itself is loaded when a project first comes up; what comes back is
plain values. What must not go in: when a project is up (projects).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from afield.config.find import FILE
from afield.control import paths
from afield.errors import AfieldError, GuardRefused, RootReplaced

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from afield.config.folders import Folder
    from afield.config.load import Machine
    from afield.daemon.conversation import Ask
    from afield.daemon.folders import Part
    from afield.daemon.target import Target

# A run waits this long for its files before it gives up: an upload of some gigabytes over a home line.
BEFORE_RUN_SECONDS = 6 * 3600.0
# One after the other: both sides' roots, and removals on both.
GUARDS = 5
# A number of bytes that no upload reaches: agreed to all.
_ALL = 1 << 62


class Answers(NamedTuple):
    """What a person has agreed to beforehand: an upload of so many bytes, what a guard holds back, another's folder."""

    confirm: int | None = None
    removals: bool = False
    take_over: bool = False


def store_path(folder: str, machine: str, part: str = "") -> str:
    """Give the file that remembers what both sides agreed on; its folder is made by whoever opens it.

    ``part``: a further folder of the project.
    """
    words = [folder, machine, *([part] if part else [])]
    name = hashlib.sha256(os.fsencode("\0".join(words))).hexdigest()[:24]
    return os.path.join(paths.state_folder(), "sync", f"{name}.sqlite")


def make(
    target: Target,
    changed: Callable[[], None],
    part: Part,
    left_out: tuple[str, ...] = (),
    linked: asyncio.Future[None] | None = None,
) -> Any:
    """Make the session of one folder of a target whose link is up, or will be when ``linked`` is done.

    ``left_out``: patterns of what belongs to others.
    """
    from afield.sync.channel import local_worker
    from afield.sync.session import Session
    from afield.sync.settings import Settings
    from afield.sync.stream_channel import open_there

    machine, rules = target.machine, part.rules
    settings = Settings(
        here=part.here,
        there=part.there,
        place=machine.place,
        store=store_path(target.folder, machine.name, part.name),
        mode=rules.mode,
        pull=rules.pull,
        push=rules.push,
        two_way=rules.two_way,
        ignore=(*ignore_lines(rules), *left_out),
        ask_bytes=machine.ask_above,
        ask_files=machine.ask_above_files,
        limit=machine.limit,
        create_here=bool(part.name),
        # It says which commands are run here (`ssh`), so a place must not write it; and a pull would undo each edit of it.
        own=() if part.name else (os.fsencode(FILE),),
    )
    place = target.place

    async def far() -> Any:
        if linked is not None and (not linked.done() or linked.exception() is not None):
            await asyncio.shield(linked)
        await place.ready()
        return open_there(place.connection, part.there)

    return Session(local_worker, far, settings, on_change=changed)


def ignore_lines(rules: Machine | Folder) -> tuple[str, ...]:
    """Give the patterns of what neither side carries: what stays there is left out on both."""
    return (*rules.ignore, *rules.keep_there)


def with_setting(rules: Machine | Folder, rule: dict[str, Any]) -> dict[str, Any]:
    """Give a worker's answer with the setting that its rule stands in: a worker knows only all patterns in one list."""
    if rule.get("source") != "settings":
        return rule
    line = int(rule["line"]) - len(rules.ignore)
    if line <= 0:
        return rule
    if line <= len(rules.keep_there):
        return {**rule, "source": "sync.keep-there", "line": line}
    return {**rule, "source": "it belongs to a further folder of the project", "line": 0}


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
    for name in (path, path + "-wal", path + "-shm", path + "-journal", path + ".texts", path + ".git.json"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


async def ask_first(session: Any, path: str, machine: Machine, confirm: int | None) -> bool:
    """Look at what a first sync would carry; gives whether it is one. Raises NeedsConfirmation and what keeps it from being looked at."""
    if has_store(path):
        return False
    try:
        await check_first(session, machine, confirm)
    except AfieldError:
        # Otherwise the next `up` would take the store for that of a project that was synced before.
        await close(session)
        forget_store(path)
        raise
    return True


async def start(session: Any, ask: Ask | None, answers: Answers, *, fresh: bool) -> dict[str, Any]:
    """Do the first sync and go live; gives what was done. ``fresh``: it was asked about already.

    Raises GuardRefused, RootReplaced (unless that was agreed to) and the like.
    """
    allow = _ALL if fresh else answers.confirm
    with telling(session, ask, "first sync"):
        await agreeing(session, lambda: session.start(allow=allow), agreed=answers.removals)
    return done_of(session)


async def flush(session: Any, *, agreed: bool) -> None:
    """Wait until both sides agree. ``agreed``: let what a guard holds back happen, once."""
    await agreeing(session, lambda: session.flush(BEFORE_RUN_SECONDS), agreed=agreed)


async def agreeing(session: Any, act: Callable[[], Awaitable[None]], *, agreed: bool) -> None:
    """Do it; when a guard says no and that was agreed to, tell it so and try again. Raises GuardRefused, RootReplaced."""
    for left in reversed(range(GUARDS)):
        try:
            await act()
            break
        except (GuardRefused, RootReplaced):
            if not agreed or not left:
                raise
            session.confirm()


@contextlib.contextmanager
def telling(session: Any, ask: Ask | None, what: str) -> Iterator[None]:
    """Tell a face how far the session's transfers are, for the length of a ``with``."""
    if ask is None:
        yield
        return

    def tell(progress: Any) -> None:
        ask.progress(
            what=what,
            done=progress.files,
            total=progress.files_total,
            bytes=progress.bytes,
            bytes_total=progress.bytes_total,
        )

    session.on_progress = tell
    try:
        yield
    finally:
        session.on_progress = None


@contextlib.asynccontextmanager
async def borrowed(target: Target, folder: str = "") -> AsyncIterator[Any]:
    """Give the live session of a target's folder, or one for the length of a ``with`` that leaves nothing behind here."""
    from afield.daemon import folders

    folders.check_name(target.machine, folder)
    if target.live:
        yield dict(folders.sessions(target))[folder]
        return
    path = folders.store(target, folder)
    known = has_store(path)
    session = (await folders.make(target, lambda: None))[folder]
    session.look_only()
    try:
        yield session
    finally:
        await close(session)
        if not known:
            # Otherwise the next `up` would take the store for that of a project that was synced before.
            forget_store(path)


@contextlib.asynccontextmanager
async def worker_here() -> AsyncIterator[Any]:
    """Give a files worker on this machine, without a root, for the length of a ``with``."""
    from afield.sync.channel import local_worker
    from afield.sync.endpoint import Endpoint

    endpoint = Endpoint("here", await local_worker())
    try:
        yield endpoint
    finally:
        await endpoint.close()


def conflicts(session: Any) -> list[dict[str, Any]]:
    """Give the open conflicts with what each side has."""
    from afield.sync.versions import described

    found = []
    for conflict in session.conflicts():
        row: dict[str, Any] = {"path": conflict.path, "kind": conflict.kind}
        for side in ("here", "there"):
            entry = session.picture.entry(side, conflict.path)
            row[side] = None if entry is None else described(entry)
        found.append(row)
    return found


def in_conflict(session: Any, tops: list[bytes]) -> bool:
    """Say whether any conflict is open at or below these paths."""
    from afield.sync.resolve import chosen

    return bool(chosen(session.picture.conflicts, tops))


async def versions(session: Any, path: bytes) -> dict[str, Any]:
    """See afield.sync.versions."""
    from afield.sync.versions import versions as asked

    return await asked(session, path)


async def why(session: Any, path: bytes) -> dict[str, Any]:
    """See afield.sync.explain."""
    from afield.sync.explain import why as asked

    return await asked(session, path)


async def compare(session: Any, folder: bytes) -> dict[str, Any]:
    """See afield.sync.compare."""
    from afield.sync.compare import compare as asked

    return await asked(session, folder)


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


def as_it_is(session: Any) -> dict[str, Any]:
    """Give the same without any new step. Raises what a guard holds the session back for."""
    if session.state == "guard" and session.reason is not None:
        raise session.reason
    return {**done_of(session), "here": 0, "there": 0, "bytes": 0}


def describe(session: Any) -> dict[str, Any]:
    """Give what the session says of itself, as the state shows it."""
    status = session.status()
    biggest = [*status.here.ignored_biggest, *status.there.ignored_biggest]
    return {
        "state": status.state,
        "why": status.reason,
        "hint": status.hint,
        "mode": status.mode,
        "rules": status.rules,
        "files": status.agreed,
        "pending": status.pending,
        "conflicts": status.conflicts,
        "conflicts_total": status.conflicts_total,
        "problems": status.problems,
        "problems_total": status.problems_total,
        "cycles": status.cycles,
        "clock": status.clock,
        "notes": list(status.notes),
        "watch": {"here": status.here.watch, "there": status.there.watch},
        "unwatched": {"here": status.here.unwatched, "there": status.there.unwatched},
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
