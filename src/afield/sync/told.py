"""What a worker tells, taken apart and bounded: lists, columns of entries; and paths cut into questions that fit a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.errors import ProtocolError
from afield.tree.entries import Entry, decode_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, MutableMapping

    from afield.sync.bounds import Bound

# Paths are asked about in lists that fit well into a record of 1 MiB.
ASKED_BYTES = 512 << 10


def lists(done: Any, name: str) -> list[Any]:
    """The list of that name in a done value. Raises ProtocolError."""
    found = done.get(name) if isinstance(done, dict) else None
    if not isinstance(found, list):
        raise ProtocolError(f"expected a list called {name}, got {done!r:.120}")
    return found


def into(entries: MutableMapping[bytes, Entry], bound: Bound) -> Callable[[bytes], None]:
    """Give what puts the columns of a part into ``entries``; raises TooManyFiles, ProtocolError."""

    def take(part: bytes) -> None:
        pairs = decode_entries(part)
        bound.add(path for path, _ in pairs)
        entries.update(pairs)

    return take


def pieces(paths: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Cut paths, sorted, into lists that fit a record."""
    some: list[bytes] = []
    weight = 0
    for path in sorted(paths):
        if some and weight + len(path) > ASKED_BYTES:
            yield some
            some, weight = [], 0
        some.append(path)
        weight += len(path) + 9
    if some:
        yield some
