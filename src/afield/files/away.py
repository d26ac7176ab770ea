"""Files anywhere at the place, for ``afield ls``, ``get`` and ``put``: list, fetch, store  [P].

Rules: these paths are the user's own words, not a peer's: absolute, ``~/``, or relative to the root (without one, to the
home folder); symlinks are followed as ``ls`` and ``cp`` do. A file is still replaced in one step, and what is below
an open root goes to history first.
"""

import hashlib
import os
import stat as modes
from time import monotonic

from afield.errors import BadPath, FileChanged, FileFailed, NoSuchFile, WrongKind
from afield.files.bundle import PIECE, stat_of
from afield.files.faults import from_os_error, show
from afield.files.handles import kind_of
from afield.files.history import write_all
from afield.files.roots import expand
from afield.files.tasks import WAIT

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


def fetch(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":  # noqa: ARG001  all verbs are called alike
    """Verb ``fetch``: the bytes of a file from ``offset`` on; the digest is that of the bytes sent."""
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
        os.lseek(fd, at, os.SEEK_SET)
        while True:
            try:
                data = os.read(fd, PIECE)
            except OSError as error:
                raise from_os_error(error, path)
            if not data:
                break
            hasher.update(data)
            at += len(data)
            yield data
        if stat_of(os.fstat(fd))[:2] != stat_of(found)[:2]:
            raise FileChanged("%s: it changed while it was read" % show(path), hint="try again", path=path)
        return {
            "size": found.st_size,
            "digest": hasher.digest(),
            "executable": bool(found.st_mode & 0o100),
            "mtime_ns": found.st_mtime_ns,
        }
    finally:
        os.close(fd)


def store(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``store``: write follow-up data to a file; it is there as a whole when the end came, or not at all."""
    path = os.path.realpath(resolve(service, args.get("path")))
    above, name = os.path.split(path)
    if os.path.isdir(path) or not name:
        raise WrongKind("%s: expected the name of a file, got a folder" % show(path), path=path)
    if not os.path.isdir(above):
        raise NoSuchFile("%s: there is no such folder" % show(above), hint="make it first", path=above)
    temporary = staging_for(service, above) + b"/.afield-%d-%d.part" % (os.getpid(), task.number)
    mode = 0o777 if args.get("executable") else 0o666
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except OSError as error:
        raise from_os_error(error, path)
    placed = False
    try:
        while True:
            if task.inbox:
                write_all(fd, task.inbox.popleft())
                if monotonic() >= task.until:
                    yield None
            elif task.ended:
                break
            else:
                yield WAIT
        if args.get("abort"):
            raise FileFailed("%s: the source failed" % show(path))
        finish(service, fd, temporary, path, args)
        placed = True
        return {"stat": list(stat_of(os.fstat(fd))), "path": path}
    except OSError as error:
        raise from_os_error(error, path)
    finally:
        os.close(fd)
        if not placed:
            os.unlink(temporary)


def staging_for(service: "Service", above: "bytes") -> "bytes":
    """Give the folder to write in: staging for what is below the open root, so that no watch sees a half file."""
    if service.root is None or service.state is None:
        return above
    inside = (above + b"/").startswith(service.root.path + b"/")
    return service.state.staging_path if inside and os.stat(above).st_dev == service.root.device else above


def finish(service: "Service", fd: "int", temporary: "bytes", path: "bytes", args: "Dict[str, Any]") -> "None":
    """Give the written file its mode and time and put it into place. Raises OSError."""
    from afield.files.stage import keep_mode

    try:
        old = os.lstat(path)
    except FileNotFoundError:
        old = None
    executable = args.get("executable")
    if old is not None:
        keep_mode(fd, old, bool(old.st_mode & 0o100) if executable is None else bool(executable))
        keep_old(service, path, old.st_size)
    if args.get("mtime_ns") is not None:
        os.utime(fd, ns=(args["mtime_ns"], args["mtime_ns"]))
    os.rename(temporary, path)


def keep_old(service: "Service", path: "bytes", size: "int") -> "None":
    """Put what stands at an absolute path into history when it is below the open root."""
    if service.root is None or service.history is None or not path.startswith(service.root.path + b"/"):
        return
    below = path[len(service.root.path) + 1 :]
    folder, name = service.root.locate(below)
    service.history.keep_link(folder, name, below, size)
    service.root.forget()
    service.history.handles.forget()
