"""How much a worker may tell: no place can fill our memory with entries, names or parts without end.

Rules: what is announced counts, not what is kept, so that a listing that repeats itself ends too; whoever goes beyond is
not listened to any more. No I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.errors import TooManyFiles

if TYPE_CHECKING:
    from collections.abc import Iterable

# Three times the million that is measured (docs/performance.md); about 1 GB of memory.
ENTRIES = 3_000_000
# The same in names: 170 bytes for each is more than real trees have on average (60 to 100).
NAMES = 512 << 20
# A part without entries takes no memory but time: thirty thousand of them are no listing.
EMPTY = 100
# Bytes of an answer that is gathered as a whole: a history, a long listing, some texts of at most 1 MiB each.
GATHERED = 256 << 20
# What a value costs beside its bytes.
VALUE = 64
HINT = "leave large folders out of the sync: `ignore` or `keep-there` in [sync] of afield.toml"


class Bound:
    """Counts what one answer, or one tree, brings. ``name`` is the side's, for the message."""

    def __init__(self, name: str, count: int = 0) -> None:
        self._name = name
        self._entries = count
        self._names = 0

    def add(self, paths: Iterable[bytes]) -> None:
        """Count a part with these paths. Raises TooManyFiles."""
        sizes = [len(path) for path in paths]
        self._entries += len(sizes) or EMPTY
        self._names += sum(sizes)
        if self._entries > ENTRIES or self._names > NAMES:
            raise TooManyFiles(
                f"the folder {self._name} has too many files to sync: more than {ENTRIES:,}, or names of more than"
                f" {NAMES >> 20} MiB, were announced",
                hint=HINT,
                side=self._name,
            )


class Gathered:
    """The parts of one answer, as a list that does not grow without end."""

    def __init__(self, name: str, verb: str) -> None:
        self.parts: list[Any] = []
        self._name, self._verb = name, verb
        self._size = 0

    def add(self, part: Any) -> None:
        """Keep a part. Raises TooManyFiles."""
        self._size += weight(part)
        if self._size > GATHERED:
            raise TooManyFiles(
                f"the answer to {self._verb!r} from {self._name} has more than {GATHERED >> 20} MiB",
                hint="ask for a smaller folder",
                side=self._name,
            )
        self.parts.append(part)


def weight(value: Any) -> int:
    """About the bytes that a decoded value takes."""
    if isinstance(value, bytes | str):
        return VALUE + len(value)
    if isinstance(value, list):
        return VALUE + sum(map(weight, value))
    if isinstance(value, dict):
        return VALUE + sum(weight(key) + weight(each) for key, each in value.items())
    return VALUE
