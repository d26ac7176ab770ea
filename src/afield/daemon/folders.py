"""All folders of a project on one machine: the project's own and those of ``[folders.NAME]``, a sync session for each.

Rules: a folder that lies in another one, on either side, is left out of that one, so that each file belongs to one session
alone; all come up and go down together. What must not go in: what a session does (syncs), when a project is up (projects).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from afield.daemon import syncs
from afield.errors import AfieldError, GuardRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from afield.config.folders import Folder
    from afield.config.load import Machine
    from afield.daemon.conversation import Ask
    from afield.daemon.target import Target

# The project's own folder among the names of the others.
OWN = ""


class Part(NamedTuple):
    """One folder: ``here`` and ``there`` are absolute, ``rules`` holds its sync settings."""

    name: str
    here: bytes
    there: bytes
    rules: Machine | Folder


def parts_of(folder: str, machine: Machine, home: bytes) -> list[Part]:
    """Give all folders of a project, its own first. ``home``: the home folder there."""
    found = [Part(OWN, os.fsencode(folder), at_home(machine.folder, home), machine)]
    found += [Part(each.name, os.fsencode(each.here), at_home(each.there, home), each) for each in machine.folders]
    return found


def at_home(path: str, home: bytes) -> bytes:
    """Give a path there with ``~`` written out."""
    raw = os.fsencode(path)
    return home + raw[1:] if raw == b"~" or raw.startswith(b"~/") else raw


def left_out(part: Part, parts: Iterable[Part]) -> tuple[str, ...]:
    """Give the patterns of what belongs to other folders: those that lie in this one, here or there. Pure but for realpath."""
    found = []
    for other in parts:
        if other.name == part.name:
            continue
        for outer, inner in (
            (part.here, other.here),
            (os.path.realpath(part.here), os.path.realpath(other.here)),
            (posixpath.normpath(part.there), posixpath.normpath(other.there)),
        ):
            if inner.startswith(outer.rstrip(b"/") + b"/"):
                found.append("/" + literal(os.fsdecode(inner[len(outer.rstrip(b"/")) + 1 :])))
    return tuple(dict.fromkeys(found))


def literal(path: str) -> str:
    """Give the gitignore pattern that means this path and nothing else (gitignore(5): a backslash takes the meaning)."""
    return "".join("\\" + letter if letter in "\\*?[! #" else letter for letter in path)


def known(target: Target) -> bool:
    """Say whether every folder of a target was synced before."""
    return all(syncs.has_store(store(target, name)) for name in (OWN, *(each.name for each in target.machine.folders)))


async def make(
    target: Target, changed: Callable[[], None], linked: asyncio.Future[None] | None = None
) -> dict[str, Any]:
    """Make a session for each folder of a target whose link is up, or will be when ``linked`` is done."""
    machine = target.machine
    needs_home = any(path.startswith("~") for path in (machine.folder, *(each.there for each in machine.folders)))
    if needs_home and linked is not None:
        await asyncio.shield(linked)
    home = await target.place.home() if needs_home else b""
    parts = parts_of(target.folder, machine, home)
    return {part.name: syncs.make(target, changed, part, left_out(part, parts), linked) for part in parts}


def check_apart(target: Target, others: Iterable[Target]) -> None:
    """Raise GuardRefused when another project, or another machine of this one, syncs to the same folder there right now."""
    theres = {session.settings.there: name for name, session in sessions(target)}
    for other in others:
        if other is target or other.place is not target.place:
            continue
        for _, session in sessions(other):
            if session.settings.there in theres:
                there = os.fsdecode(session.settings.there)
                raise GuardRefused(
                    f"{there} on {target.place.text} is synced with {other.folder} (machine {other.machine.name}) already",
                    hint=f"give each its own folder there, or stop the other one: afield -C {shlex.quote(other.folder)} down -m {other.machine.name}",
                    guard="same-folder",
                )


async def start(target: Target, ask: Ask | None, answers: syncs.Answers) -> dict[str, Any]:
    """Ask about all folders first, then sync them one after the other; gives what was done in all.

    Raises NeedsConfirmation, GuardRefused and the like, with the folder's name in it.
    """
    fresh = {}
    for name, session in sessions(target):
        if answers.take_over:
            session.take_over()
        with _named(name):
            fresh[name] = await syncs.ask_first(session, store(target, name), target.machine, answers.confirm)
    done = []
    for name, session in sessions(target):
        with _named(name):
            done.append(await syncs.start(session, ask, answers, fresh=fresh[name]))
    return add_up(done)


def as_it_is(target: Target) -> dict[str, Any]:
    """Give what ``start`` gives, of a target that is up already. Raises what a guard holds one of its folders back for."""
    done = []
    for name, session in sessions(target):
        with _named(name):
            done.append(syncs.as_it_is(session))
    return {"already": True, **add_up(done)}


def sessions(target: Target) -> list[tuple[str, Any]]:
    """Give (name, session) of all that are there, the project's own first."""
    own = [(OWN, target.session)] if target.session is not None else []
    return [*own, *target.more.items()]


def store(target: Target, name: str = OWN) -> str:
    """Give the file that remembers what both sides of a folder agreed on."""
    return syncs.store_path(target.folder, target.machine.name, name)


def add_up(done: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up what was done in several folders."""
    told = dict(done[0])
    for more in done[1:]:
        for key, value in more.items():
            told[key] = [*told[key], *value] if isinstance(value, list) else told[key] + value
    return told


async def flush(target: Target, seconds: float, *, side: str | None = None) -> None:
    """Wait until what was saved (on ``side``, "here" or "there") is on the other side, in all folders. Raises the first failure."""
    for name, session in sessions(target):
        with _named(name):
            await session.flush(seconds, side=side)


def take(target: Target) -> list[Any]:
    """Take all sessions away from a target, to be closed."""
    found = [session for _, session in sessions(target)]
    target.session, target.more = None, {}
    return found


async def close(found: list[Any]) -> None:
    """End sessions, all at once."""
    await asyncio.gather(*(syncs.close(session) for session in found))


def check_name(machine: Machine, name: str | None) -> None:
    """Raise ConfigError when the machine has no folder of that name."""
    rules_of(machine, name)


def rules_of(machine: Machine, name: str | None) -> Machine | Folder:
    """Give the sync settings of a folder: of a further one, or of the project's own. Raises ConfigError."""
    return machine.further(name) if name else machine


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    """Put the folder's name before what goes wrong in it."""
    try:
        yield
    except AfieldError as error:
        if name and "folder" not in error.details:
            error.text = f"folder {name}: {error.text}"
            error.details["folder"] = name
        raise
