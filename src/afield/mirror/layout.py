"""What the place told of its module folders, checked, and where each goes here. Pure.

``site`` → ``lib/pythonX.Y/site-packages``, ``stdlib`` → ``base/lib/pythonX.Y``: the paths that the interpreter of the twin reports. Every other
folder → ``far/<absolute path>``; what lies in a synced folder is mapped to that folder and not copied.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from afield.errors import ProtocolError
from afield.mirror.paths import FAR, PathMap, below, check_far

LISTED = ("site", "stdlib", "path")
ROLES = (*LISTED, "own", "inside")
MOST_ROOTS = 256
_NAME = re.compile(rb"(python|pypy)[23]\.\d{1,2}t?\Z")
_VERSION = re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}\Z")


class Root(NamedTuple):
    """One folder there; ``here`` is relative to ``.afield`` for what is copied, None for what is only mapped."""

    far: bytes
    real: bytes
    role: str
    here: bytes | None

    def key(self, name: bytes) -> str:
        """What names it in ``known``: for the environment's own folders the version, so that another environment's copy counts."""
        return f"{self.role}:{(self.far if self.role == 'path' else name).hex()}"


class Layout(NamedTuple):
    """A whole environment: version ``3.12.1``, name ``python3.12``, prefix and roots there."""

    version: str
    name: bytes
    prefix: bytes
    roots: tuple[Root, ...]

    @property
    def site(self) -> bytes:
        """The folder here that stands for the environment's site-packages."""
        return b"lib/" + self.name + b"/site-packages"

    @property
    def listed(self) -> tuple[Root, ...]:
        """The roots that are copied."""
        return tuple(root for root in self.roots if root.here is not None)


def read(value: Any) -> Layout:
    """Check what the place told. Raises ProtocolError, BadPath."""
    if not isinstance(value, dict) or not isinstance(value.get("roots"), list) or len(value["roots"]) > MOST_ROOTS:
        raise ProtocolError(f"expected a map with at most {MOST_ROOTS} roots, got {value!r:.200}")
    version, name, prefix = value.get("version"), value.get("name"), value.get("prefix")
    if not isinstance(version, str) or not _VERSION.match(version):
        raise ProtocolError(f"expected a version X.Y.Z, got {version!r:.80}")
    if not isinstance(name, bytes) or not _NAME.match(name):
        # A distribution that calls the folder otherwise: the tools here look for the usual name.
        name = b"python" + b".".join(version.encode().split(b".")[:2])
    if not isinstance(prefix, bytes):
        raise ProtocolError(f"expected a path as prefix, got {prefix!r:.80}")
    roots: list[Root] = []
    for row in value["roots"]:
        roots.append(_root(row, name, {root.role for root in roots}))
    return Layout(version, name, check_far(prefix), tuple(roots))


def _root(row: Any, name: bytes, had: set[str]) -> Root:
    good = isinstance(row, list) and len(row) == 3 and isinstance(row[0], bytes) and isinstance(row[1], bytes)
    if not good or row[2] not in ROLES or (row[2] in ("site", "stdlib") and row[2] in had):
        raise ProtocolError(f"expected [path, real path, role] of a root, got {row!r:.200}")
    far, real, role = check_far(row[0]), check_far(row[1]), row[2]
    here = {"site": b"lib/" + name + b"/site-packages", "stdlib": b"base/lib/" + name}.get(role)
    if role == "path":
        if far == b"/":
            raise ProtocolError("expected a folder of modules, got the whole disk")
        here = FAR + far
    return Root(far, real, role, here)


def path_map(layout: Layout, base: bytes, own: list[tuple[bytes, bytes]]) -> PathMap:
    """Give the map of an environment; ``own``: (far, local) folders that are synced anyway, absolute."""
    pairs: list[tuple[bytes, bytes]] = []
    for root in layout.listed:
        assert root.here is not None
        pairs += [(root.far, base + b"/" + root.here), (root.real, base + b"/" + root.here)]
    pairs += own
    known = PathMap(base, pairs)
    for root in layout.roots:
        # The same folder by another name: lib64 in a virtual environment, a link to a checkout.
        if root.here is None and root.far != root.real:
            pairs.append((root.far, known.to_here(root.real)))
    return PathMap(base, dict.fromkeys(pairs))


def path_folders(layout: Layout, paths: PathMap) -> list[bytes]:
    """Give the local folders that stand on sys.path beside the environment's own, in its order."""
    own = {paths.base + b"/" + root.here for root in layout.roots if root.role in ("site", "stdlib") and root.here}
    found = [paths.to_here(root.far) for root in layout.roots if root.role not in ("site", "stdlib")]
    # What is in a root of its own is on the path already; of lib-dynload no tool reads a source.
    return [folder for folder in found if folder not in own and not folder.endswith(b"/lib-dynload")]


def clashes(layout: Layout) -> list[Root]:
    """Give the roots whose local folder lies in that of another one: a hostile or odd place; they are left out."""
    heres = [root for root in layout.listed if root.here is not None]
    return [
        root
        for root in heres
        if any(other is not root and other.here and below(other.here, root.here or b"") is not None for other in heres)
    ]
