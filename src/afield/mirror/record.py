"""What a project's mirror holds, as ``.afield/mirror.json`` keeps it: the map, and each root with its units. Pure.

The file is written after everything it tells of stands there, so a mirror that was cut off is told of too little and never of too much.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from afield.errors import ConfigError
from afield.mirror import paths
from afield.mirror.layout import Root


@dataclass
class Unit:
    """One entry of a root: ``key`` as the place told it, the number of its files and their bytes."""

    key: bytes
    kind: str
    files: int
    bytes: int


@dataclass
class Held:
    """A root and what of it is here."""

    root: Root
    units: dict[bytes, Unit] = field(default_factory=dict)


@dataclass
class Record:
    """The whole: ``time`` in seconds since 1970; ``large`` are folders there that were left out."""

    version: str
    name: bytes
    prefix: bytes
    machine: str
    env: str | None
    time: float
    map: list[tuple[bytes, bytes]]
    roots: list[Held]
    large: list[bytes]

    @property
    def files(self) -> int:
        """How many files it has."""
        return sum(unit.files for held in self.roots for unit in held.units.values())

    @property
    def bytes(self) -> int:
        """How many bytes they have."""
        return sum(unit.bytes for held in self.roots for unit in held.units.values())


def dump(record: Record, base: bytes) -> bytes:
    """Give the file; local paths below base are kept relative to it."""
    front = base.rstrip(b"/") + b"/"
    value = {
        "version": paths.VERSION,
        "python": record.version,
        "name": paths.text(record.name),
        "prefix": paths.text(record.prefix),
        "machine": record.machine,
        "env": record.env,
        "time": record.time,
        "map": [[paths.text(far), paths.text(here.removeprefix(front))] for far, here in record.map],
        "roots": [_root_value(held) for held in record.roots],
        "large": [paths.text(path) for path in record.large],
    }
    return json.dumps(value, indent=1, ensure_ascii=True).encode("ascii") + b"\n"


def _root_value(held: Held) -> dict[str, Any]:
    root = held.root
    units = {paths.text(name): [unit.key.hex(), unit.kind, unit.files, unit.bytes] for name, unit in held.units.items()}
    return {
        "far": paths.text(root.far),
        "real": paths.text(root.real),
        "role": root.role,
        "here": None if root.here is None else paths.text(root.here),
        "units": units,
    }


def load(data: bytes, base: bytes) -> Record:
    """Read the file. Raises ConfigError for anything else."""
    value = paths.read(data)
    try:
        return Record(
            str(value["python"]),
            paths.raw(value["name"]),
            paths.raw(value["prefix"]),
            str(value["machine"]),
            value["env"],
            float(value["time"]),
            [(paths.raw(far), paths.absolute(base, here)) for far, here in value["map"]],
            [_held(row) for row in value["roots"]],
            [paths.raw(path) for path in value["large"]],
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ConfigError("the mirror's record cannot be read", hint="make it anew: afield mirror sync") from None


def _held(row: Any) -> Held:
    here = row["here"]
    root = Root(paths.raw(row["far"]), paths.raw(row["real"]), row["role"], None if here is None else paths.raw(here))
    if root.here is not None and (root.here.startswith(b"/") or b".." in root.here.split(b"/")):
        raise ValueError(here)
    units = {
        paths.raw(name): Unit(bytes.fromhex(key), kind, int(files), int(size))
        for name, (key, kind, files, size) in row["units"].items()
        if "/" not in name
    }
    return Held(root, units)
