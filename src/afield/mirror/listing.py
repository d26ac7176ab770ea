"""One unit of a listing as the place told it, checked. Pure.

Nothing that comes in is a path before it was looked at: relative, no ``..``, no empty part, at or below the unit's own name, none of them a
folder for another one and a file at once.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from afield.errors import BadPath, ProtocolError

# As in envs/sources.py; a place that tells more is not believed.
LARGEST = 8 << 20
MOST_FILES = 400_000
MOST_BYTES = 16 << 30
DEEPEST = 60
_NAME = 255


class Unit(NamedTuple):
    """``paths`` are relative to the root and begin with ``name``; for a file there is one, the name itself."""

    root: int
    name: bytes
    kind: str
    key: bytes
    paths: tuple[bytes, ...]
    sizes: tuple[int, ...]
    digests: tuple[bytes, ...]


class Listing:
    """Takes the parts of one ``look``; ``units`` and ``same`` are what it told, ``large`` the roots that were left out."""

    def __init__(self, roots: int) -> None:
        self.units: list[Unit] = []
        self.same: list[set[bytes]] = [set() for _ in range(roots)]
        self.large: set[int] = set()
        self.files = 0
        self.bytes = 0
        self._open: Unit | None = None
        self._told: set[tuple[int, bytes]] = set()

    def take(self, part: Any) -> None:
        """Take one part. Raises ProtocolError, BadPath."""
        if not isinstance(part, dict):
            raise ProtocolError(f"expected a map, got {part!r:.100}")
        root = part.get("root")
        if type(root) is not int or not 0 <= root < len(self.same):
            raise ProtocolError(f"expected the number of a root, got {root!r:.40}")
        if part.get("large") is True:
            self.large.add(root)
        elif "same" in part:
            if not isinstance(part["same"], list):
                raise ProtocolError("expected a list of units")
            self.same[root].update(_component(name) for name in part["same"])
        else:
            self._unit(root, part)

    def end(self) -> None:
        """Say that all parts came. Raises ProtocolError in the middle of a unit."""
        if self._open is not None:
            raise ProtocolError("expected the rest of a unit, got the end of the listing")

    def _unit(self, root: int, part: dict[str, Any]) -> None:
        unit = read_unit(root, part)
        self.files += len(unit.paths)
        self.bytes += sum(unit.sizes)
        if self.files > MOST_FILES or self.bytes > MOST_BYTES:
            raise ProtocolError(f"expected an environment of at most {MOST_FILES} files, got more")
        if self._open is not None:
            was = self._open
            if unit[:4] != was[:4] or unit.kind != "d":
                raise ProtocolError("expected the rest of a unit, got another one")
            unit = was._replace(
                paths=was.paths + unit.paths, sizes=was.sizes + unit.sizes, digests=was.digests + unit.digests
            )
        elif (root, unit.name) in self._told:
            raise ProtocolError(f"expected each unit once, got {unit.name!r:.80} twice")
        self._told.add((root, unit.name))
        self._open = unit if part.get("more") is True else None
        if self._open is None:
            check_tree(unit)
            self.units.append(unit)


def read_unit(root: int, part: dict[str, Any]) -> Unit:
    """Give a part's unit. Raises ProtocolError, BadPath."""
    name, kind, key = _component(part.get("unit")), part.get("kind"), part.get("key")
    if kind not in ("d", "f") or not isinstance(key, bytes) or len(key) != 32:
        raise ProtocolError("expected a unit with a kind and a key of 32 bytes")
    joined, sizes, digests = part.get("paths"), part.get("sizes"), part.get("digests")
    if not (isinstance(joined, bytes) and isinstance(sizes, bytes) and isinstance(digests, bytes)):
        raise ProtocolError("expected paths, sizes and digests of a unit")
    paths = tuple(joined.split(b"\0")) if joined else ()
    if len(sizes) != 4 * len(paths) or len(digests) != 32 * len(paths):
        raise ProtocolError("expected as many sizes and digests as paths")
    numbers = struct.unpack(f"<{len(paths)}I", sizes)
    if numbers and max(numbers) > LARGEST:
        raise ProtocolError(f"expected sources of at most {LARGEST} bytes, got {max(numbers)}")
    if kind == "f" and paths != (name,):
        raise BadPath("expected a file's own name", path=joined)
    for path in paths if kind == "d" else ():
        _check_path(name, path)
    return Unit(
        root, name, kind, key, paths, numbers, tuple(digests[at : at + 32] for at in range(0, len(digests), 32))
    )


def _component(name: Any) -> bytes:
    if (
        not isinstance(name, bytes)
        or not name
        or b"/" in name
        or b"\0" in name
        or name in (b".", b"..")
        or len(name) > _NAME
    ):
        raise BadPath(f"expected the name of a unit, got {name!r:.100}")
    return name


def _check_path(unit: bytes, path: bytes) -> None:
    parts = path.split(b"/")
    if parts[0] != unit or len(parts) < 2 or len(parts) > DEEPEST or len(path) > 3000:
        raise BadPath(f"expected a path in {unit!r:.100}, got {path!r:.200}", path=path)
    if b"" in parts or b"." in parts or b".." in parts or max(map(len, parts)) > _NAME:
        raise BadPath(f"expected a plain path, got {path!r:.200}", path=path)


def check_tree(unit: Unit) -> None:
    """Raise BadPath when a path is told twice, or is a file and a folder at once."""
    paths = set(unit.paths)
    if len(paths) != len(unit.paths):
        raise BadPath("expected each path once", path=unit.name)
    folders = {path.rpartition(b"/")[0] for path in paths}
    seen: set[bytes] = set()
    for folder in folders:
        current = folder
        while current and current not in seen:
            if current in paths and unit.kind == "d":
                raise BadPath(f"expected a file or a folder, got both: {current!r:.200}", path=current)
            seen.add(current)
            current = current.rpartition(b"/")[0]
