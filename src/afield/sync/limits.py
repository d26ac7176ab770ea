"""What a side cannot hold: changes that must not be tried there, each with the reason for people. Pure.

A link on a file system without links, two names that differ by case or by the form of a letter on one that does not tell
them apart: the file stays where it is, nothing is deleted on the other side, and the problem is listed.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple

from afield.tree.paths import fold, parents

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from afield.tree.reconcile import Change


class Impossible(NamedTuple):
    """A change that a side cannot hold."""

    path: bytes
    code: str
    text: str


def possible(
    changes: Sequence[Change], probe: Mapping[str, Any], tree: Mapping[bytes, Any]
) -> tuple[list[Change], list[Impossible]]:
    """Split changes for a side into those it can hold and those it cannot. ``tree`` is that side's picture."""
    symlinks, key = probe.get("symlinks", True), key_of(probe)
    if (symlinks and key is None) or not changes:
        return list(changes), []
    refused: dict[bytes, Impossible] = {}
    if not symlinks:
        for change in changes:
            if change.new is not None and change.new.kind == "l":
                text = "it is a symlink, and the file system of that side has none"
                refused[change.path] = Impossible(change.path, "no-symlinks", text)
    if key is not None:
        refused.update(_clashes(changes, tree, key))
    good = []
    for change in changes:
        above = next((folder for folder in parents(change.path) if folder in refused), None)
        if above is not None and change.path not in refused:
            refused[change.path] = refused[above]._replace(path=change.path)
        if change.path not in refused:
            good.append(change)
    return good, [refused[path] for path in sorted(refused)]


def key_of(probe: Mapping[str, Any]) -> Callable[[bytes], bytes] | None:
    """Give what makes equal keys of paths that a file system takes for one; None when it takes none for another."""
    if not probe.get("case_sensitive", True):
        return fold
    return None if probe.get("unicode_exact", True) else normal


def normal(path: bytes) -> bytes:
    """Give a path in form NFC (Unicode standard, annex 15); bytes that are not UTF-8 stay as they are."""
    if path.isascii():
        return path
    text = path.decode("utf-8", "surrogateescape")
    return unicodedata.normalize("NFC", text).encode("utf-8", "surrogateescape")


def _clashes(
    changes: Sequence[Change], tree: Mapping[bytes, Any], key: Callable[[bytes], bytes]
) -> dict[bytes, Impossible]:
    """New names that the side would take for another one that is there or comes too; the first by path wins.

    One that is there and goes is in the way as long as it is there: the new one waits for the next cycle.
    """
    holder = {key(path): path for path in tree}
    found = {}
    for change in sorted(changes, key=lambda item: item.path):
        if change.new is None or change.path in tree:
            continue
        other = holder.setdefault(key(change.path), change.path)
        if other != change.path:
            text = f"its name differs only by case or by the form of a letter from {other.decode('utf-8', 'backslashreplace')}"
            found[change.path] = Impossible(change.path, "case-clash", f"{text}, and that side takes both for one")
    return found
