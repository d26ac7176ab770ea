"""Files anywhere at the place, for ``afield ls`` and ``get``: list and fetch; ``store.py`` is for ``put``  [P].

Rules: these paths are the user's own words, not a peer's: absolute, ``~/``, or relative to the root (without one, to the
home folder); symlinks are followed as ``ls`` and ``cp`` do.
"""

import hashlib
import os
import stat as modes
from time import monotonic

from afield.errors import BadPath, FileChanged, WrongKind
from afield.files.bundle import PIECE, stat_of
from afield.files.faults import from_os_error, show
from afield.files.handles import kind_of
from afield.files.roots import expand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Generator, List

    from afield.files.service import Service

PART = 1000


def resolve(service: "Service", path: "Any") -> "bytes":
    """Make an absolute path of what the user wrote. Raises BadPath."""
    if not isinstance(path, bytes) or b"\0" in path:
        raise BadPath("expected a path as bytes, got %.100r" % (path,))
    if path[:1] not in (b"/", b"~") and service.root is not None:
        return os.path.join(service.root.path, path) if path else service.root.path
    return expand(path)


def list_folder(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``list``: rows [name, kind, executable, size, mtime_ns, mode, target] down to ``depth`` levels."""
    top = resolve(service, args.get("path", b""))
    depth = int(args.get("depth") or 1)
    try:
        if not modes.S_ISDIR(os.stat(top).st_mode):
            yield [row(top, os.path.basename(top))]
            return {"path": top}
        stack = [(b"", 1)]
        rows: "List[List[Any]]" = []
        while stack:
            below, level = stack.pop()
            try:
                names = sorted(os.listdir(os.path.join(top, below)))
            except OSError:
                if not below:
                    raise
                continue  # one folder that cannot be read does not hide the others
            for name in names:
                inner = os.path.join(below, name)
                try:
                    rows.append(row(os.path.join(top, inner), inner))
                except FileNotFoundError:
                    continue
                if rows[-1][1] == "d" and level < depth:
                    stack.append((inner, level + 1))
                if len(rows) >= PART or monotonic() >= task.until:
                    yield rows
                    rows = []
    except OSError as error:
        raise from_os_error(error, top)
    if rows:
        yield rows
    return {"path": top}


def row(path: "bytes", name: "bytes") -> "List[Any]":
    """Describe one entry without following it. Raises OSError."""
    st = os.lstat(path)
    kind = kind_of(st.st_mode)
    target = os.readlink(path) if kind == "l" else None
    executable = kind == "f" and bool(st.st_mode & 0o100)
    return [name, kind, executable, st.st_size, st.st_mtime_ns, modes.S_IMODE(st.st_mode), target]


def fetch(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``fetch``: the bytes of a file from ``offset`` on; the digest is that of the bytes sent.

    With ``whole`` the digest of the whole file comes too, for who goes on with a part.
    """
    path = resolve(service, args.get("path"))
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise from_os_error(error, path)
    try:
        found = os.fstat(fd)
        if kind_of(found.st_mode) != "f":
            raise WrongKind("%s: expected a file, got something else" % show(path), path=path)
        hasher, at = hashlib.sha256(), int(args.get("offset") or 0)
        whole = hashlib.sha256() if args.get("whole") and at else hasher
        left = at if whole is not hasher else 0
        while left:
            data = os.read(fd, min(PIECE, left))
            if not data:
                break
            whole.update(data)
            left -= len(data)
            if monotonic() >= task.until:
                yield None
        os.lseek(fd, at, os.SEEK_SET)
        while True:
            try:
                data = os.read(fd, PIECE)
            except OSError as error:
                raise from_os_error(error, path)
            if not data:
                break
            hasher.update(data)
            if whole is not hasher:
                whole.update(data)
            at += len(data)
            yield data
        if stat_of(os.fstat(fd))[:2] != stat_of(found)[:2]:
            raise FileChanged("%s: it changed while it was read" % show(path), hint="try again", path=path)
        return {
            "size": found.st_size,
            "digest": hasher.digest(),
            "whole": whole.digest(),
            "executable": bool(found.st_mode & 0o100),
            "mtime_ns": found.st_mtime_ns,
        }
    finally:
        os.close(fd)
