"""Patterns for names there, as a shell has them: ``*`` ``?`` ``[a-z]`` within a name, ``**`` over any number of folders. Pure.

A name that begins with a dot is matched only by a pattern part that does (POSIX shell, 2.13.3).
"""

from __future__ import annotations

import fnmatch
import re

_MAGIC = re.compile(rb"[*?\[]")
# A tree that is deeper than this is a loop of bind mounts or an accident.
DEPTH = 64


def has_magic(path: bytes) -> bool:
    """Whether a path holds a pattern."""
    return _MAGIC.search(path) is not None


def split(path: bytes) -> tuple[bytes, list[bytes]]:
    """Give (the folder before the first pattern, the parts from there on)."""
    parts = path.split(b"/")
    first = next(place for place, part in enumerate(parts) if has_magic(part))
    front = b"/".join(parts[:first])
    return front or (b"/" if path.startswith(b"/") else b""), [part for part in parts[first:] if part]


def depth(parts: list[bytes]) -> int:
    """How many levels below the fixed folder a match can be."""
    return DEPTH if b"**" in parts else len(parts)


def matches(name: bytes, parts: list[bytes]) -> bool:
    """Whether a path below the fixed folder matches the parts."""
    return _match(name.split(b"/"), parts)


def _match(names: list[bytes], parts: list[bytes]) -> bool:
    if not parts:
        return not names
    if parts[0] == b"**":
        if len(parts) == 1:
            return bool(names) and not any(name.startswith(b".") for name in names)
        skips = range(len(names))
        return any(
            _match(names[skip:], parts[1:]) for skip in skips if not any(name.startswith(b".") for name in names[:skip])
        )
    return bool(names) and _fits(names[0], parts[0]) and _match(names[1:], parts[1:])


def _fits(name: bytes, part: bytes) -> bool:
    if name.startswith(b".") and not part.startswith(b"."):
        return False
    return fnmatch.fnmatchcase(name, part)


def topmost(names: list[bytes]) -> list[bytes]:
    """Names without those that are below another of them, sorted: a folder that matches comes whole."""
    found: list[bytes] = []
    tops: set[bytes] = set()
    for name in sorted(names, key=lambda each: each.split(b"/")):
        above = name
        while b"/" in above:
            above = above.rpartition(b"/")[0]
            if above in tops:
                break
        else:
            tops.add(name)
            found.append(name)
    return found
