"""Far paths and local paths of a mirror, both ways. Pure.

``PathMap`` is what a bridge needs to open a far file here and to name a local one there: pairs of prefixes, the longest wins. What no pair
covers has a place of its own, ``.afield/far/<absolute path>``, so that every far path has one local path and no two share it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from afield.errors import BadPath, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

# The file with the map, in the project's .afield folder.
FILE = b"mirror.json"
FAR = b"far"
VERSION = 1
# Linux takes no longer path in a call (PATH_MAX); what is longer is no path.
LONGEST = 4096


class PathMap:
    """``base``: the absolute ``.afield`` folder here. ``pairs``: (far prefix, local prefix), both absolute."""

    def __init__(self, base: bytes, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self.base = base.rstrip(b"/")
        self.pairs = tuple((check_far(far), here.rstrip(b"/")) for far, here in pairs)
        # The first pair of a local prefix names it there: the path that the interpreter reports, not what links make of it.
        self._far = sorted(self.pairs, key=lambda pair: -len(pair[0]))
        everything = (b"/", self.base + b"/" + FAR)
        self._here = sorted((*self.pairs, everything), key=lambda pair: -len(pair[1]))

    def to_here(self, far: bytes) -> bytes:
        """Give the local path of an absolute far path; nothing need stand there. Raises BadPath."""
        path = check_far(far)
        for prefix, here in self._far:
            if (rest := below(prefix, path)) is not None:
                return here + rest
        return b"/".join((self.base, FAR)) + (path if path != b"/" else b"")

    def to_far(self, here: bytes) -> bytes | None:
        """Give the far path of an absolute local path, None for one that is not of the mirror. Raises BadPath."""
        path = check_far(here)
        for far, prefix in self._here:
            if (rest := below(prefix, path)) is not None:
                return far.rstrip(b"/") + rest or b"/"
        return None


def check_far(path: bytes) -> bytes:
    """Return an absolute path in its shortest form: no ``.``, no empty part, no slash at the end. Raises BadPath for ``..`` and the like."""
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    if not path.startswith(b"/") or b".." in parts or b"\0" in path or len(path) > LONGEST:
        shown = path.decode("utf-8", "backslashreplace")
        raise BadPath(f"expected an absolute path there without '..', got {shown:.200}", path=path)
    return b"/" + b"/".join(parts)


def below(prefix: bytes, path: bytes) -> bytes | None:
    """Give what follows prefix in path (empty, or with a slash first), None when path is not at or below it."""
    if prefix == b"/":
        return path if path != b"/" else b""
    if path == prefix:
        return b""
    return path[len(prefix) :] if path.startswith(prefix + b"/") else None


def text(path: bytes) -> str:
    """Give a path as the map's file has it: UTF-8, other bytes as lone surrogates (PEP 383)."""
    return path.decode("utf-8", "surrogateescape")


def raw(value: str) -> bytes:
    """Give the bytes of such a text."""
    return value.encode("utf-8", "surrogateescape")


def from_file(base: bytes, data: bytes) -> PathMap:
    """Read the map's file. Raises ConfigError for anything else."""
    value = read(data)
    return PathMap(base, [(raw(far), absolute(base, here)) for far, here in value["map"]])


def absolute(base: bytes, here: str) -> bytes:
    """Give the absolute form of a local path of the file: those below ``.afield`` are kept relative, so that a project may move."""
    path = raw(here)
    return path if path.startswith(b"/") else base.rstrip(b"/") + b"/" + path


def read(data: bytes) -> dict[str, Any]:
    """Give the file's value, its map checked. Raises ConfigError."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    pairs = value.get("map") if isinstance(value, dict) else None
    if not isinstance(pairs, list) or value.get("version") != VERSION or not all(_is_pair(pair) for pair in pairs):
        raise ConfigError("the mirror's map is not one of this version", hint="make it anew: afield mirror sync")
    return dict(value)


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(isinstance(item, str) for item in pair)
