"""Paths: cut into what a record holds, and whether one is below another. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# Paths are asked about in lists that fit well into a record of 1 MiB.
ASKED_BYTES = 512 << 10


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


def below_any(path: bytes, folders: Mapping[bytes, Any] | set[bytes]) -> bool:
    """Whether a parent of ``path`` is in ``folders``."""
    at = path.rfind(b"/")
    while at > 0:
        if path[:at] in folders:
            return True
        at = path.rfind(b"/", 0, at)
    return False
