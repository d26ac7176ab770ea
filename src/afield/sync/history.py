"""What sync replaced or removed, on either side, and how it comes back.

Each worker keeps the files themselves in its own bounded history; this only lists, merges and asks. A restored file is
an ordinary change afterwards: the watch sees it and the next cycle carries it over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from afield.errors import NoSuchFile
from afield.sync.side import together

if TYPE_CHECKING:
    from collections.abc import Iterable

    from afield.sync.side import Side

# What one listing shows at most, unless asked otherwise: more than a person reads, little enough for one record.
LISTED = 200


class Event(NamedTuple):
    """One file that was replaced or removed. ``time`` in seconds since 1970 (that side's clock), ``size`` in bytes."""

    side: str
    event: Any
    time: float
    path: bytes
    action: str
    size: int


def merged(here: Iterable[list[Any]], there: Iterable[list[Any]]) -> list[Event]:
    """Both listings as one, newest first; at equal times that of here first."""
    events = [Event("here", *item) for item in here] + [Event("there", *item) for item in there]
    return sorted(events, key=lambda event: -event.time)


async def events(here: Side, there: Side, *, path: bytes | None = None, limit: int = LISTED) -> list[Event]:
    """What both sides still keep, newest first, at or below ``path`` (None: all). Raises LinkLost and the like."""
    args: dict[str, Any] = {"limit": limit}
    if path:
        args["path"] = path
    first, second = await together(here.asked().request("history", args), there.asked().request("history", args))
    return merged(first, second)[:limit]


async def undo(here: Side, there: Side, *, path: bytes | None = None, side: str | None = None) -> Event:
    """Bring back what was replaced or removed last (at or below ``path``, on ``side``).

    What stands there now goes to the history in turn, so an undo can be undone. Raises NoSuchFile when nothing is kept.
    """
    kept = [event for event in await events(here, there, path=path) if side in (None, event.side)]
    if not kept:
        where = f" for {path.decode('utf-8', 'backslashreplace')}" if path else ""
        raise NoSuchFile(f"the history keeps nothing{where}", hint="afield history lists what can be brought back")
    event = kept[0]
    await {"here": here, "there": there}[event.side].asked().request("restore", {"event": event.event})
    return event
