"""What a first sync is going to carry: how many files, how many bytes, which folders are the biggest. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from afield.errors import NeedsConfirmation
from afield.files.faults import show

if TYPE_CHECKING:
    from collections.abc import Iterable

# Above either a person is asked first: a gigabyte is minutes over a home line, and a tree of 50,000 files is
# usually a data set or an environment that nobody meant to sync.
LIMIT_BYTES = 1_000_000_000
LIMIT_FILES = 50_000
# Named folders: what fits a terminal beside the question.
NAMED = 5


class Notice(NamedTuple):
    """``size`` in bytes; ``biggest``: (folder, files, bytes) of the folders at the top of the tree, by bytes."""

    files: int
    size: int
    biggest: list[tuple[bytes, int, int]]


def notice(ops: Iterable[dict[str, Any]]) -> Notice:
    """Count what the puts among these ops carry."""
    files: Counter[bytes] = Counter()
    sizes: Counter[bytes] = Counter()
    for op in ops:
        if op["op"] == "put":
            folder, slash, _ = op["path"].partition(b"/")
            top = folder if slash else b""
            files[top] += 1
            sizes[top] += op["size"]
    ranked = sorted(files, key=lambda top: (-sizes[top], top))
    biggest = [(top, files[top], sizes[top]) for top in ranked if top][:NAMED]
    return Notice(sum(files.values()), sum(sizes.values()), biggest)


def check(found: Notice, allowed: int | None, *, limits: tuple[int, int]) -> None:
    """Raise NeedsConfirmation when the amount is above the limits (bytes, files) and above what was ``allowed`` (bytes)."""
    if allowed is not None and found.size <= allowed:
        return
    if found.size <= limits[0] and found.files <= limits[1]:
        return
    folders = ", ".join(f"{show(top)}/ ({amount(size)})" for top, _, size in found.biggest)
    biggest = f"; the biggest folders: {folders}" if folders else ""
    raise NeedsConfirmation(
        f"the first sync would carry {found.files:,} files, {amount(found.size)}{biggest}",
        hint="leave out what is not needed there (.afieldignore), or agree: afield up --yes",
        files=found.files,
        bytes=found.size,
        biggest=[[show(top), count, size] for top, count, size in found.biggest],
    )


def amount(size: int) -> str:
    """Bytes for people, in powers of 1000."""
    for unit, power in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= power:
            return f"{size / power:,.0f} {unit}" if size >= 10 * power else f"{size / power:.1f} {unit}"
    return f"{size} bytes"
