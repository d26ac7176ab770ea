"""Finds out which new files hold what the other side already has under another path, so that it is copied there, not sent.

A new file may be a copy when an agreed file has its size; whether it is one tells its SHA-256. Rules: only contents that are
known to be equal count, and only of files that stand on the target as they were agreed on (the worker there hashes what it
copies all the same); a path whose copy failed is sent; what is little is sent at once, because hashing it costs a round trip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from afield.sync.outcome import is_long
from afield.sync.together import together

if TYPE_CHECKING:
    from afield.sync.picture import Picture
    from afield.sync.side import Side
    from afield.tree.reconcile import Change, Outcome

    Copies = dict[bytes, bytes]

# Bytes: less goes over a slow line (1 MB/s) in about the time of the question for the hashes.
LEAST = 64 << 10
# Bytes of new files for each agreed file: looking through a million of those takes 0.2 s.
EACH = 2


async def learn_copied(picture: Picture, found: Outcome) -> tuple[Outcome, tuple[Copies, Copies]]:
    """Give the decision with the contents of copies filled in and, for here and there, new path → path to copy it from."""
    if not picture.rows or is_long(found):
        # Nothing to copy from, or done in parts because even a list of it all would take too much memory.
        return found, ({}, {})
    (to_here, for_here), (to_there, for_there) = await together(
        _one_way(picture, found.to_here, picture.there, picture.here),
        _one_way(picture, found.to_there, picture.here, picture.there),
    )
    return found._replace(to_here=to_here, to_there=to_there), (for_here, for_there)


async def _one_way(picture: Picture, changes: list[Change], source: Side, target: Side) -> tuple[list[Change], Copies]:
    sizes = {path: source.tree[path].stat.size for path in _new(picture, changes, source)}
    if sum(sizes.values()) < max(LEAST, EACH * len(picture.rows)):
        return changes, {}
    known = picture.rows.of_sizes(set(sizes.values()))
    alike = {size for size, _ in known}
    asked = [path for path, size in sizes.items() if size in alike]
    if sum(sizes[path] for path in asked) < LEAST:
        return changes, {}
    unknown = [path for path in asked if source.tree[path].node.content is None]
    if unknown:
        await source.hash(unknown)
    touched = {change.path for change in changes}
    copies: Copies = {}
    for path in asked:
        entry = source.tree.get(path)
        if entry is None or entry.node.kind != "f" or entry.node.content is None:
            continue
        origins = known.get((entry.stat.size, entry.node.content), ())
        origin = next((each for each in origins if each not in touched and _stands(picture, target, each)), None)
        if origin is not None:
            copies[path] = origin
    return [_filled(change, source) if change.path in copies else change for change in changes], copies


def _new(picture: Picture, changes: list[Change], source: Side) -> list[bytes]:
    """Paths of files that are new and not empty."""
    found = []
    for change in changes:
        entry = source.tree.get(change.path)
        is_new = change.old is None and change.new is not None and change.new.kind == "f" and entry is not None
        if is_new and entry.stat.size and change.path not in source.unsure and change.path not in picture.sent:
            found.append(change.path)
    return found


def _stands(picture: Picture, target: Side, path: bytes) -> bool:
    """Whether the file stands on the target as it was agreed on."""
    entry, row = target.tree.get(path), picture.rows.get(path)
    return entry is not None and row is not None and entry.stat == (row.here if target.name == "here" else row.there)


def _filled(change: Change, source: Side) -> Change:
    return change._replace(new=source.tree[change.path].node)
