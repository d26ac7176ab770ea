"""What sync replaced or removed, on either side, and how it comes back.

Each worker keeps the files themselves in its own bounded history; this only lists, merges, groups and asks. A restored
file is an ordinary change afterwards: the watch sees it and the next cycle carries it over. Rules: one *deed* is what
happened on one side without a pause, each path once: a removed folder is one deed and comes back whole.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from afield.errors import FileChanged, NoSuchFile
from afield.files.faults import show
from afield.sync.together import together

if TYPE_CHECKING:
    from collections.abc import Iterable

    from afield.sync.picture import Picture
    from afield.sync.side import Side

# What one listing shows at most, unless asked otherwise: more than a person reads.
LISTED = 200
# Most deeds are among the newest so many, which come in one round trip.
FIRST = 1000
# A folder of so many files comes back whole; more comes back when asked again.
RESTORED = 100_000
# Seconds between two events of one deed: the ops of one cycle follow each other in milliseconds; two saves of a person,
# or two commands in a row, do not.
PAUSE = 0.5


class Event(NamedTuple):
    """One file that was replaced or removed. ``time`` in seconds since 1970 by the clock here, ``size`` in bytes."""

    side: str
    event: Any
    time: float
    path: bytes
    action: str
    size: int

    @property
    def id(self) -> str:
        """A short name for people: it stays the same as long as the event is kept."""
        return hashlib.sha256(self.side.encode() + b"\0" + bytes(self.event)).hexdigest()[:8]


def merged(here: Iterable[list[Any]], there: Iterable[list[Any]], *, ahead: float = 0.0) -> list[Event]:
    """Both listings as one, newest first; at equal times that of here first. ``ahead``: of the clock there, in seconds."""
    events = [Event("here", *item) for item in here]
    events += [Event("there", event, when - ahead, *rest) for event, when, *rest in there]
    return sorted(events, key=lambda event: -event.time)


def deed(events: list[Event]) -> list[Event]:
    """Of events, newest first, those that happened together with the first one, newest first."""
    if not events:
        return []
    found, seen = [events[0]], {events[0].path}
    for event in events[1:]:
        if event.side != found[0].side:
            continue
        if found[-1].time - event.time > PAUSE or event.path in seen:
            break
        found.append(event)
        seen.add(event.path)
    return found


async def events(
    here: Side, there: Side, *, path: bytes | None = None, limit: int = LISTED, ahead: float = 0.0
) -> list[Event]:
    """What both sides still keep, newest first, at or below ``path`` (None: all). Raises LinkLost and the like."""
    args: dict[str, Any] = {"limit": limit, "parts": True}
    if path:
        args["path"] = path
    found = await together(here.asked().collect("history", args), there.asked().collect("history", args))
    first, second = ([row for part in parts for row in part] for parts, _ in found)
    return merged(first, second, ahead=ahead)[:limit]


def chosen(found: list[Event], *, path: bytes | None, side: str | None, event: str | None) -> list[Event]:
    """The events to undo: the named one, else the last of this very path, else the last deed (at or below ``path``)."""
    kept = [each for each in found if side in (None, each.side)]
    if event is not None:
        return [each for each in kept if event in (each.id, bytes(each.event).decode("utf-8", "surrogateescape"))][:1]
    exact = [each for each in kept if each.path == path]
    return exact[:1] if exact and exact[0] is kept[0] else deed(kept)


def check(picture: Picture, events: Iterable[Event]) -> None:
    """Raise FileChanged when an undo would come in the way of changes that are not agreed on yet."""
    for event in events:
        if event.path in picture.conflicts:
            raise FileChanged(
                f"{show(event.path)} is in conflict: both sides changed it",
                hint=f"settle that first: afield resolve {show(event.path)}, or say --force",
                path=event.path,
            )


async def undo(
    picture: Picture,
    *,
    path: bytes | None = None,
    side: str | None = None,
    event: str | None = None,
    force: bool = False,
) -> list[Event]:
    """Bring back what was replaced or removed last: one file, or a folder with all that went with it; newest first.

    What stands there now goes to the history in turn, so an undo can be undone. Raises NoSuchFile when nothing is kept,
    FileChanged for a path in conflict unless ``force``, WrongKind when a folder stands where a file is to be.
    """
    found: list[Event] = []
    for limit in (FIRST, RESTORED):
        known = await events(picture.here, picture.there, path=path, limit=limit)
        found = chosen(known, path=path, side=side, event=event)
        # The whole list is asked for only when the end of the deed is not in the first part of it.
        if len(known) < limit or (found and found[-1] is not known[-1] and known[-1].time < found[-1].time - PAUSE):
            break
    if not found:
        where = f" for {show(path)}" if path else f" called {event}" if event else ""
        raise NoSuchFile(f"the history keeps nothing{where}", hint="afield history lists what can be brought back")
    if not force:
        check(picture, found)
    endpoint = picture.side(found[0].side).asked()
    # All are sent without waiting; the worker does them one after another.
    requests = [endpoint.start("restore", {"event": each.event}) for each in found]
    try:
        # One that fails does not stop the others: who looks at the folders next must find them done.
        done = await asyncio.gather(*(request.wait() for request in requests), return_exceptions=True)
    finally:
        picture.pending.update(each.path for each in found)
    for each in done:
        if isinstance(each, BaseException):
            raise each
    return found
