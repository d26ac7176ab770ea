"""What a worker tells, taken apart and bounded: lists, columns of entries; and what it is told in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.errors import ProtocolError
from afield.sync.pieces import ASKED_BYTES
from afield.tree.entries import Entry, decode_entries

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from afield.sync.bounds import Bound
    from afield.sync.endpoint import Request


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


def tell(request: Request, data: bytes) -> None:
    """Send what a request goes on with, in records of a usual size, and its end."""
    for at in range(0, len(data), ASKED_BYTES):
        request.send_data(data[at : at + ASKED_BYTES])
    request.send_end()
