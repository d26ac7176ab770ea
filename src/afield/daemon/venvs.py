"""Environments that tools make inside a project on its interpreter: which ones a run needs, how they are here, what changes in them.

Rules: only an environment whose interpreter is the project's own shim, or one that the command is about to make; what comes back is
written by temporary file and rename, below the environment, never through a link, and never over what changed here meanwhile.
What must not go in: talking to the place (courier).
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from afield.daemon import arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from afield.daemon.run_wire import RunRequest

_MAKERS = (b"venv", b"virtualenv")
# An environment beyond this is no test environment.
_MOST = 60_000


class Entry(NamedTuple):
    """``kind`` f or l; ``value`` digest or target; ``mode`` of a file."""

    kind: str
    value: str
    mode: int


class Tree(NamedTuple):
    """One environment: its folder here and there, and how it is here (by relative path)."""

    here: bytes
    there: bytes
    entries: dict[bytes, Entry]


def named(request: RunRequest, project: bytes) -> list[bytes]:
    """Give the environments in the project that a run is started from, or is to make."""
    if request.mode != "python":
        return []
    found = []
    folder = os.path.dirname(request.argv0)
    top = os.path.dirname(folder)
    if os.path.basename(folder) == b"bin" and _inside(top, project) and os.path.isfile(top + b"/pyvenv.cfg"):
        found.append(top)
    found += [path for path in _made(request) if _inside(path, project)]
    return found


def _inside(path: bytes, project: bytes) -> bool:
    return path.startswith(project + b"/") and not f"{os.fsdecode(path)}/".startswith(
        f"{os.fsdecode(project)}/.afield/"
    )


def _made(request: RunRequest) -> Iterator[bytes]:
    _, program = arguments.split_python(request.argv)
    if (
        2 <= program <= len(request.argv)
        and request.argv[program - 1] in _MAKERS
        and request.argv[program - 2].endswith(b"m")
    ):
        for word in request.argv[program:]:
            if not word.startswith(b"-"):
                yield os.path.normpath(os.path.join(request.cwd, word))


def entries(top: bytes, digest: Callable[[bytes], tuple[str, int]]) -> dict[bytes, Entry]:
    """Give what stands in an environment here, compiled code left out; nothing when there is none, or too much. Reads files."""
    found: dict[bytes, Entry] = {}
    for where, folders, names in os.walk(top):
        links = [name for name in folders if os.path.islink(os.path.join(where, name))]
        folders[:] = [name for name in folders if name != b"__pycache__"]
        for name in names + links:
            path = os.path.join(where, name)
            entry = None if name.endswith((b".pyc", b".pyo")) else _entry(path, digest)
            if entry is not None:
                found[os.path.relpath(path, top)] = entry
        if len(found) > _MOST:
            return {}
    return found


def _entry(path: bytes, digest: Callable[[bytes], tuple[str, int]]) -> Entry | None:
    try:
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode):
            return Entry("l", os.fsdecode(os.readlink(path)), 0)
        return Entry("f", *digest(path)) if stat.S_ISREG(info.st_mode) else None
    except OSError:
        return None


def apply(tree: Tree, path: bytes, new: Entry | None, data: bytes, digest: Callable[[bytes], tuple[str, int]]) -> bool:
    """Make one entry here what it became there; None: it went. False: it changed here, too, or cannot stand here."""
    where = os.path.join(tree.here, path)
    if not _is_safe(tree.here, path) or _entry(where, digest) not in (tree.entries.get(path), new):
        return False
    if new is None:
        with contextlib.suppress(OSError):
            os.unlink(where)
        return True
    part = where + b".%d.afield-part" % os.getpid()
    try:
        os.makedirs(os.path.dirname(where), exist_ok=True)
        if new.kind == "l":
            os.symlink(os.fsencode(new.value), part)
        else:
            fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                os.fchmod(fd, new.mode & 0o755 | 0o600)
        os.replace(part, where)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part)
        return False
    return True


def _is_safe(top: bytes, path: bytes) -> bool:
    parts = path.split(b"/")
    if any(part in (b"", b".", b"..") for part in parts) or b"\0" in path:
        return False
    return not any(os.path.islink(os.path.join(top, *parts[:count])) for count in range(1, len(parts)))
