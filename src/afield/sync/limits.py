"""What a side cannot hold: changes that must not be tried there, each with the reason for people. Pure.

A link on a file system without links, two names that differ by case on one that does not tell them apart: the file stays
where it is, nothing is deleted on the other side, and the problem is listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from afield.tree.paths import fold, parents

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from afield.tree.entries import Entry
    from afield.tree.reconcile import Change


class Impossible(NamedTuple):
    """A change that a side cannot hold."""

    path: bytes
    code: str
    text: str


def possible(
    changes: Sequence[Change], probe: Mapping[str, Any], tree: Mapping[bytes, Entry]
) -> tuple[list[Change], list[Impossible]]:
    """Split changes for a side into those it can hold and those it cannot. ``tree`` is that side's picture."""
    symlinks, sensitive = probe.get("symlinks", True), probe.get("case_sensitive", True)
    if (symlinks and sensitive) or not changes:
        return list(changes), []
    refused: dict[bytes, Impossible] = {}
    if not symlinks:
        for change in changes:
            if change.new is not None and change.new.kind == "l":
                text = "it is a symlink, and the file system of that side has none"
                refused[change.path] = Impossible(change.path, "no-symlinks", text)
    if not sensitive:
        refused.update(_clashes(changes, tree))
    good = []
    for change in changes:
        above = next((folder for folder in parents(change.path) if folder in refused), None)
        if above is not None and change.path not in refused:
            refused[change.path] = refused[above]._replace(path=change.path)
        if change.path not in refused:
            good.append(change)
    return good, [refused[path] for path in sorted(refused)]


def _clashes(changes: Sequence[Change], tree: Mapping[bytes, Entry]) -> dict[bytes, Impossible]:
    """New names that the side would take for another one that is there or comes too; the first by path wins."""
    going = {change.path for change in changes if change.new is None}
    holder: dict[bytes, bytes] = {}
    for path in tree:
        if path not in going:
            holder[fold(path)] = path
    found = {}
    for change in sorted(changes, key=lambda item: item.path):
        if change.new is None or change.path in tree:
            continue
        other = holder.setdefault(fold(change.path), change.path)
        if other != change.path:
            text = f"its name differs only by case from {other.decode('utf-8', 'backslashreplace')}"
            found[change.path] = Impossible(change.path, "case-clash", f"{text}, and that side takes both for one")
    return found
