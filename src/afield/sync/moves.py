"""Finds out which new files are old ones under another name, so that a rename sends no content.

A file that goes on the target and one that is new at the source may be the same: when their stats at the source are
equal (the folder above was renamed), or when their sizes are and, once hashed here, their contents. Rules: only contents
that are known to be equal count; a path whose move failed is sent as a new file. Which op becomes a move is decided in
tree/plan.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from afield.sync import steps
from afield.sync.together import together
from afield.tree.entries import Entry, Node

if TYPE_CHECKING:
    from afield.sync.picture import Picture
    from afield.sync.side import Side
    from afield.tree.reconcile import Change, Outcome


async def learn_moved(picture: Picture, found: Outcome) -> Outcome:
    """Give the decision with the contents of new files filled in wherever such a file may be one that goes."""
    steps.at("moves")
    to_here, to_there = await together(
        _one_way(picture, found.to_here, picture.there, picture.here),
        _one_way(picture, found.to_there, picture.here, picture.there),
    )
    return found._replace(to_here=to_here, to_there=to_there)


async def _one_way(picture: Picture, changes: list[Change], source: Side, target: Side) -> list[Change]:
    gone = [change.path for change in changes if change.new is None and change.old is not None]
    if not gone:
        return changes
    new = [change for change in changes if _is_new(change)]
    if not new:
        return changes
    sizes, stats = _going(picture, gone, source, target)
    asked = []
    for change in new:
        path = change.path
        entry = source.tree.get(path)
        if entry is None or not entry.stat.size or entry.node.content is not None or path in source.unsure:
            continue
        content = stats.get(entry.stat)
        if content is not None:
            source.tree[path] = Entry(Node("f", entry.node.executable, content), entry.stat)
        elif entry.stat.size in sizes:
            asked.append(path)
    if asked:
        await source.hash(asked)
    return [_filled(change, source) if _is_new(change) else change for change in changes]


def _is_new(change: Change) -> bool:
    return change.old is None and change.new is not None and change.new.kind == "f" and change.new.content is None


def _going(picture: Picture, gone: list[bytes], source: Side, target: Side) -> tuple[set[int], dict[object, bytes]]:
    """Sizes of the files that go and, by the stat that each had at the source, the content that was agreed on."""
    sizes: set[int] = set()
    stats: dict[object, bytes] = {}
    for path in gone:
        entry, row = target.tree.get(path), picture.rows.get(path)
        if entry is None or entry.node.kind != "f" or entry.node.content is None:
            continue
        sizes.add(entry.stat.size)
        if row is not None and row.node.content is not None and row.node.content == entry.node.content:
            stats[row.here if source.name == "here" else row.there] = row.node.content
    return sizes, stats


def _filled(change: Change, source: Side) -> Change:
    entry = source.tree.get(change.path)
    if entry is None or entry.node.kind != "f" or entry.node.content is None:
        return change
    return change._replace(new=entry.node)
