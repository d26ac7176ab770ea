"""One file to anywhere at the place, for ``afield put``: verb ``store``, and ``part`` to go on with a broken one  [P].

Rules: the user's own paths, links followed as ``cp`` does; the file is there as a whole and with the right SHA-256, or not
at all; it replaces what stands there in one step, and what is below an open root goes to history first. With ``resume``
(a name for this version of the source) what came so far is kept beside the target when the transfer breaks.
"""

import hashlib
import os
import re
from time import monotonic

from afield.errors import BadPath, FileChanged, FileFailed, NoSuchFile, WrongKind
from afield.files import steps
from afield.files.away import resolve
from afield.files.bundle import PIECE, stat_of
from afield.files.faults import from_os_error, show
from afield.files.lossless import write_all
from afield.files.tasks import WAIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Generator, Optional, Tuple

    from afield.files.service import Service

STAMP = re.compile(rb"[0-9a-f-]{1,80}\Z")
# The last bytes of the data are the SHA-256 of all before them when ``trailer`` is asked for.
DIGEST = 32
# A name is at most 255 bytes; the stamp and our suffix need their share.
NAME_KEPT = 140
SUFFIX = b".afield-part"


def target_of(service: "Service", args: "Dict[str, Any]") -> "Tuple[bytes, bytes, bytes]":
    """Give (path, folder, name) of the file to write. Raises WrongKind, NoSuchFile, BadPath."""
    path = os.path.realpath(resolve(service, args.get("path")))
    above, name = os.path.split(path)
    if os.path.isdir(path) or not name:
        raise WrongKind("%s: expected the name of a file, got a folder" % show(path), path=path)
    if not os.path.isdir(above):
        raise NoSuchFile("%s: there is no such folder" % show(above), hint="make it first", path=above)
    return path, above, name


def part_path(service: "Service", above: "bytes", name: "bytes", stamp: "Any") -> "bytes":
    """Give where the beginning of this version of a file is kept. Raises BadPath."""
    if not isinstance(stamp, bytes) or not STAMP.match(stamp):
        raise BadPath("expected resume as hexadecimal digits, got %.100r" % (stamp,))
    return staging_for(service, above) + b"/." + name[:NAME_KEPT] + b"." + stamp + SUFFIX


def part(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``part``: how much of this version (``resume``) is there, and its SHA-256. Parts of other versions go."""
    _, above, name = target_of(service, args)
    path = part_path(service, above, name, args.get("resume"))
    drop_others(path, name)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return {"offset": 0, "digest": hashlib.sha256().digest()}
    hasher, size = hashlib.sha256(), 0
    try:
        while True:
            data = os.read(fd, PIECE)
            if not data:
                break
            hasher.update(data)
            size += len(data)
            if monotonic() >= task.until:
                yield None
    except OSError as error:
        raise from_os_error(error, path)
    finally:
        os.close(fd)
    service.hashed = (path, size, hasher)
    return {"offset": size, "digest": hasher.digest()}


def drop_others(kept: "bytes", name: "bytes") -> "None":
    """Remove the beginnings of other versions of the file: nobody goes on with them."""
    folder, last = os.path.split(kept)
    front = b"." + name[:NAME_KEPT] + b"."
    for other in os.listdir(folder):
        if other != last and other.startswith(front) and other.endswith(SUFFIX):
            if STAMP.match(other[len(front) : -len(SUFFIX)]):
                os.unlink(os.path.join(folder, other))


def store(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``store``: write follow-up data to a file; it is there as a whole when the end came, or not at all.

    ``was`` [size, mtime in ns]: only when the file that stands there is still this one. ``offset``: go on behind so many
    bytes of the part that ``resume`` names.
    """
    path, above, name = target_of(service, args)
    stamp = args.get("resume")
    if stamp is None:
        temporary = staging_for(service, above) + b"/.afield-%d-%d.part" % (os.getpid(), task.number)
    else:
        temporary = part_path(service, above, name, stamp)
    try:
        work = Incoming(service, temporary, args)
    except OSError as error:
        raise from_os_error(error, path)
    placed = False
    try:
        for _ in work.prepare(task):
            yield None
        while True:
            if task.inbox:
                work.take(task.inbox.popleft())
                if monotonic() >= task.until:
                    yield None
            elif task.ended:
                break
            else:
                yield WAIT
        work.check(path)
        steps.at("store")
        finish(service, work.fd, temporary, path, args)
        steps.at("stored")
        placed = True
        return {"stat": list(stat_of(os.fstat(work.fd))), "path": path, "digest": work.hasher.digest()}
    except OSError as error:
        raise from_os_error(error, path)
    finally:
        os.close(work.fd)
        if not placed and (stamp is None or work.broken):
            os.unlink(temporary)


class Incoming:
    """The file that is being written, and the digest of what it holds."""

    def __init__(self, service: "Service", path: "bytes", args: "Dict[str, Any]") -> "None":
        mode = 0o777 if args.get("executable") else 0o666
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self.fd = os.open(path, flags if args.get("resume") is not None else flags | os.O_EXCL, mode)
        self.path = path
        self.offset = int(args.get("offset") or 0)
        self.trailer = bool(args.get("trailer"))
        self.hasher = hashlib.sha256()
        self.tail = b""
        self.broken = False
        self.known, service.hashed = service.hashed, None

    def prepare(self, task: "Any") -> "Generator[None, None, None]":
        """Stand behind the part that is there: its digest was worked out just before, or is now. Raises FileChanged."""
        if os.fstat(self.fd).st_size < self.offset:
            raise FileChanged("%s: the part that was to be gone on with is gone" % show(self.path), hint="try again")
        if self.offset and self.known is not None and self.known[:2] == (self.path, self.offset):
            self.hasher = self.known[2]
        else:
            left = self.offset
            while left:
                data = os.read(self.fd, min(PIECE, left))
                if not data:
                    raise FileChanged("%s: the part changed while it was read" % show(self.path), hint="try again")
                self.hasher.update(data)
                left -= len(data)
                if monotonic() >= task.until:
                    yield None
        os.ftruncate(self.fd, self.offset)
        os.lseek(self.fd, self.offset, os.SEEK_SET)

    def take(self, data: "bytes") -> "None":
        """Write a piece; the last 32 bytes wait, as they may be the digest. Raises OSError."""
        if self.trailer:
            data = self.tail + data
            self.tail = data[-DIGEST:]
            data = data[: max(0, len(data) - DIGEST)]
        self.hasher.update(data)
        write_all(self.fd, data)

    def check(self, path: "bytes") -> "None":
        """Raise FileFailed unless the file has the digest that was sent with it."""
        if self.trailer and self.tail != self.hasher.digest():
            self.broken = True
            raise FileFailed("%s: it arrived damaged: its SHA-256 is another one" % show(path), hint="try again")


def staging_for(service: "Service", above: "bytes") -> "bytes":
    """Give the folder to write in: staging for what is below the open root, so that no watch sees a half file."""
    if service.root is None or service.state is None:
        return above
    inside = (above + b"/").startswith(service.root.path + b"/")
    return service.state.staging_path if inside and os.stat(above).st_dev == service.root.device else above


def finish(service: "Service", fd: "int", temporary: "bytes", path: "bytes", args: "Dict[str, Any]") -> "None":
    """Give the written file its mode and time and put it into place. Raises OSError, FileChanged."""
    from afield.files.stage import keep_mode

    old: "Optional[os.stat_result]" = None
    try:
        old = os.lstat(path)
    except FileNotFoundError:
        pass
    was = args.get("was")
    if was is not None and (old is None or [old.st_size, old.st_mtime_ns] != list(was)):
        raise FileChanged("%s: it changed meanwhile" % show(path), hint="look at both versions", path=path)
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
