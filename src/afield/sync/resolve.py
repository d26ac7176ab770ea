"""Ends conflicts: one side wins, both stay under two names, or the texts are merged.

Rules: what loses goes to the history of its side, always; a path that changed since it was listed is looked at again and
never overwritten by a merge; what cannot be settled stays a conflict and says why. The merge itself is in merge.py.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from afield.errors import AfieldError, UsageError
from afield.sync import merge as merging
from afield.sync.contents import move, read_contents, write_content
from afield.tree.entries import Entry, Node

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from afield.sync.picture import Picture
    from afield.sync.session import Session
    from afield.tree.reconcile import Conflict

WAYS = ("here", "there", "both", "merge")
WHY = {
    "other": "a socket, device or the like stands there: remove it first",
    "blocked": "a folder that is gone on one side holds a socket, a device or the like: remove that first",
    "clash": "a file stands against a folder: only --here, --there or --both settle that",
}
NO_BASE = "the text that both sides had is not known any more"


class Settled(NamedTuple):
    """What became of conflicts: ``settled`` paths, ``open`` [(path, why)], ``renamed`` [(path, new path)], ``marked`` paths."""

    settled: list[bytes]
    open: list[tuple[bytes, str]]
    renamed: list[tuple[bytes, bytes]]
    marked: list[bytes]


def chosen(conflicts: Mapping[bytes, Conflict], paths: Iterable[bytes]) -> list[Conflict]:
    """The conflicts at or below these paths, by path."""
    tops = set(paths)
    found = [c for c in conflicts.values() if any(c.path == top or c.path.startswith(top + b"/") for top in tops)]
    return sorted(found, key=lambda conflict: conflict.path)


async def settle(
    session: Session, paths: Iterable[bytes], how: str, *, markers: bool = False, run: Callable[[], Awaitable[None]]
) -> Settled:
    """Settle the conflicts at and below these paths; the session's lock is held, ``run`` does one cycle.

    Raises UsageError for an unknown way, LinkLost and the like; GuardRefused only for removals beyond what was chosen.
    """
    if how not in WAYS:
        raise UsageError(f"expected one of {', '.join(WAYS)}, got {how!r}")
    picture = session.picture
    todo = chosen(picture.conflicts, paths)
    failed: dict[bytes, str] = {}
    renamed: list[tuple[bytes, bytes]] = []
    marked: list[bytes] = []
    picture.pending |= {conflict.path for conflict in todo}
    if how == "merge":
        for conflict in todo:
            why, with_markers = await _merge(session, conflict, markers=markers)
            if why is not None:
                failed[conflict.path] = why
            elif with_markers:
                marked.append(conflict.path)
    elif how == "both":
        for conflict in todo:
            try:
                renamed.append((conflict.path, await keep_both(picture, conflict)))
            except AfieldError as error:
                failed[conflict.path] = error.text
    picture.decide_mode = winner_at(picture, todo, how) if how in ("here", "there") else None
    try:
        await run()
    finally:
        picture.decide_mode = None
        # A cycle that failed must not leave to a later one what was agreed to for this.
        session._guard.allowed = {}
    left = [
        (conflict.path, failed.get(conflict.path) or WHY.get(conflict.kind, "it changed right now: try again"))
        for conflict in todo
        if conflict.path in picture.conflicts
    ]
    still = {path for path, _ in left}
    return Settled([conflict.path for conflict in todo if conflict.path not in still], left, renamed, marked)


def winner_at(picture: Picture, todo: list[Conflict], winner: str) -> Callable[[bytes], str]:
    """The mode of each path while ``winner`` wins at and below the conflicts."""
    tops = {conflict.path for conflict in todo}
    default: Any = picture.mode

    def mode(path: bytes) -> str:
        at = len(path)
        while at > 0:
            if path[:at] in tops:
                return f"two-way-{winner}-wins"
            at = path.rfind(b"/", 0, at)
        return str(default(path)) if callable(default) else str(default)

    return mode


def allowed(picture: Picture, paths: Iterable[bytes]) -> dict[str, int]:
    """How many removals on each side are part of settling these conflicts: all that stands at and below them."""
    tops = [conflict.path for conflict in chosen(picture.conflicts, paths)]
    return {side.name: len(side.at_or_below(tops)) for side in (picture.here, picture.there)} if tops else {}


# -- both


async def keep_both(picture: Picture, conflict: Conflict) -> bytes:
    """Give one version another name, so that both stay; gives that name. A folder keeps its name. Raises what the side says."""
    folder_there = conflict.there is not None and conflict.there.kind == "d"
    name = "here" if folder_there else "there"
    side = picture.side(name)
    entry = side.tree.get(conflict.path)
    if entry is None or entry.node.kind not in ("f", "l"):
        raise UsageError(WHY.get(conflict.kind, "there is nothing that could get another name"))
    to = other_name(conflict.path, name, lambda path: path in picture.here.tree or path in picture.there.tree)
    await move(side, conflict.path, to, was=entry)
    picture.pending |= {conflict.path, to}
    return to


def other_name(path: bytes, word: str, taken: Callable[[bytes], bool]) -> bytes:
    """A free name beside ``path``: notes.md → notes.there.md, then notes.there-2.md and so on."""
    above, slash, name = path.rpartition(b"/")
    dot = name.rfind(b".")
    stem, suffix = (name[:dot], name[dot:]) if dot > 0 else (name, b"")
    number = 1
    while True:
        label = word.encode() if number == 1 else b"%s-%d" % (word.encode(), number)
        found = above + slash + stem + b"." + label + suffix
        if not taken(found):
            return found
        number += 1


# -- merge


async def _merge(session: Session, conflict: Conflict, *, markers: bool) -> tuple[str | None, bool]:
    """Merge one conflict onto both sides; gives why it could not be, or None, and whether it has markers."""
    picture = session.picture
    try:
        # As they are now: events of later changes must not make the merge look like one of those.
        one, other = picture.here.tree.get(conflict.path), picture.there.tree.get(conflict.path)
        versions = await _three(session, conflict, one, other)
        if isinstance(versions, str):
            return versions, False
        base, here, there = versions
        assert one is not None
        assert other is not None
        merged = await asyncio.to_thread(merging.merge, base or b"", here, there)
        # Without the common text nothing says which side changed a line: only a person can.
        hunks = merged.conflicts if base is not None else max(1, merged.conflicts)
        if hunks and not markers:
            count = f"{hunks} places that both sides changed" if hunks > 1 else "a place that both sides changed"
            if base is None:
                count = NO_BASE if conflict.base is not None else "both sides made it, so they have no text in common"
            return f"{count}: edit it, choose a side, or add --markers", False
        bit = merged_bit(conflict.base, one.node, other.node)
        # Each is refused when the file is not the one that was merged.
        await write_content(picture.here, conflict.path, merged.text, executable=bit, was=one)
        await write_content(picture.there, conflict.path, merged.text, executable=bit, was=other)
    except AfieldError as error:
        return error.text, False
    return None, bool(hunks)


async def _three(
    session: Session, conflict: Conflict, one: Entry | None, other: Entry | None
) -> tuple[bytes | None, bytes, bytes] | str:
    """The three texts, or why there are none. The base may be unknown."""
    path = conflict.path
    if conflict.kind in WHY:
        return WHY[conflict.kind]
    if one is None or other is None or one.node.kind != "f" or other.node.kind != "f":
        return "only two files can be merged: choose a side, or --both"
    sizes = max(one.stat.size, other.stat.size)
    if sizes > merging.LARGEST:
        return f"it has {sizes:,} bytes, more than a merge by lines takes: choose a side, or --both"
    here, there = await _text(session, "here", path, one), await _text(session, "there", path, other)
    if here is None or there is None:
        return "it changed right now: try again"
    if not (merging.is_text(here) and merging.is_text(there)):
        return "it is binary and has no lines to merge: choose a side, or --both"
    return await session.texts.base_of(path), here, there


async def _text(session: Session, side: str, path: bytes, entry: Entry) -> bytes | None:
    return (await read_contents(session.picture.side(side), {path: entry.stat})).get(path)


def merged_bit(base: Node | None, here: Node, there: Node) -> bool:
    """The executable bit of a merge: that of the side that changed it."""
    old = base is not None and base.kind == "f" and bool(base.executable)
    return bool(there.executable) if bool(here.executable) == old else bool(here.executable)
