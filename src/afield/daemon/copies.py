"""Copies files and folders between here and there, several at a time; what was cut off is gone on with.

Rules: a file appears whole and with the right SHA-256, or not at all; a part is gone on with only when it is of the same
version of the source (size and time) and its bytes are the same; names that come from there are checked before anything is
made here, and nothing is written outside the folder that was asked for. What must not go in: verbs, faces, the sync.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import stat
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from afield.daemon.transfers import Fetch, Store, check_name
from afield.errors import BadPath, FileChanged, FileFailed, NoSuchFile, WrongKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import BinaryIO

    from afield.sync.endpoint import Endpoint

# Files on their way at once: hides the round trip of small ones, and keeps the promise of few open files there.
AT_ONCE = 8
# A smaller file is sent again as a whole before two questions about its part have been answered.
RESUMED = 4 << 20
PIECE = 256 << 10
_PART = re.compile(rb"[0-9a-f]+-[0-9a-f]+\Z")


class Tells(Protocol):
    """Who is told how far a file is."""

    def progress(self, **values: Any) -> None:
        """Take what, done, total, bytes, bytes_total."""


class Copied(NamedTuple):
    """One file that was copied: SHA-256, size in bytes, and the time in ns of the version there."""

    digest: bytes
    size: int
    mtime_ns: int | None


class Tally:
    """Counts the files and bytes of many copies and tells of them."""

    def __init__(self, tells: Tells, what: str, *, files: int, size: int) -> None:
        self._tells, self._what = tells, what
        self._files, self._size = files, size
        self.files = 0
        self.bytes = 0

    def add(self, count: int, *, files: int = 0) -> None:
        """Bytes that passed, and files that ended."""
        self.bytes += count
        self.files += files
        self._tells.progress(
            what=self._what, done=self.files, total=self._files, bytes=self.bytes, bytes_total=self._size
        )


async def at_once(jobs: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Do jobs, AT_ONCE at a time; the first failure stops the rest and is raised."""
    waiting = iter(jobs)

    async def work() -> None:
        for job in waiting:
            await job()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


# ---- from there


async def get_file(
    worker: Endpoint, row: list[Any], path: bytes, to: bytes, tally: Tally, *, mode: int | None = None
) -> Copied:
    """Copy one file: go on with the part that is there, check, rename.

    The part's name holds size and time of the file there: a part of another version is never taken up. ``mode``: before
    the umask.
    """
    _refuse_folder(to)
    stamp = b"%x-%x" % (row[3], row[4]) if row[1] == "f" else os.urandom(8).hex().encode()
    front = b"." + os.path.basename(to)[:150] + b"."
    part = os.path.join(os.path.dirname(to), front + stamp + b".afield-part")
    _drop_others(part, front)
    with _open_part(part, to) as file:
        handle = file.fileno()
        begin = os.fstat(handle).st_size
        known = await asyncio.to_thread(_digest_of, handle, begin) if begin else hashlib.sha256()
        tally.add(begin)
        fetch = Fetch(worker, path, begin)
        try:
            async for data in fetch.pieces():
                _write_all(handle, data)
                known.update(data)
                tally.add(len(data))
            if row[1] == "f" and (fetch.size, fetch.mtime_ns, fetch.offset) != (row[3], row[4], row[3]):
                raise FileChanged(
                    f"{os.fsdecode(path)} changes while it is read", hint="try again when nobody writes it"
                )
            if fetch.whole not in (None, known.digest()):
                raise FileChanged(f"{os.fsdecode(part)} held other bytes than the file there", hint="try again")
        except BaseException as error:
            if isinstance(error, FileChanged) or os.fstat(handle).st_size == 0 or row[1] != "f":
                _remove(part)
            raise
        os.fchmod(handle, (0o666 if mode is None else mode) & ~_umask())
        os.replace(part, to)
    tally.add(0, files=1)
    return Copied(known.digest(), fetch.offset, fetch.mtime_ns)


async def get_rows(worker: Endpoint, path: bytes, rows: list[Any], to: bytes, tells: Tells) -> Tally:
    """Copy what ``rows`` list below the folder ``path`` there into the folder ``to`` here, which is made."""
    files = [row for row in rows if row[1] == "f"]
    tally = Tally(tells, "get", files=len(files), size=sum(row[3] for row in files))
    root = _make_root(to)
    for row in rows:
        name = row[0] if row[1] == "d" else row[0].rpartition(b"/")[0]
        if name:
            os.makedirs(_inside(root, name), exist_ok=True)

    def job(row: list[Any]) -> Callable[[], Awaitable[None]]:
        async def copy() -> None:
            to = _inside(root, row[0])
            await get_file(worker, row, path + b"/" + row[0], to, tally, mode=0o777 if row[2] else None)

        return copy

    await at_once(map(job, files))
    # Links last, so that no file is written through one of them.
    for row in rows:
        if row[1] == "l":
            _link(row[6], _inside(root, row[0]))
    return tally


def _refuse_folder(to: bytes) -> None:
    if os.path.isdir(to):
        raise BadPath(f"{os.fsdecode(to)} is a folder here", hint="name the file to write")


def _make_root(to: bytes) -> bytes:
    os.makedirs(to, exist_ok=True)
    return os.path.realpath(to)


def _drop_others(part: bytes, front: bytes) -> None:
    """Remove the parts of other versions of the file."""
    folder, kept = os.path.split(part)
    with contextlib.suppress(OSError):
        for name in os.listdir(folder or b"."):
            stamp = name[len(front) : -len(b".afield-part")]
            if name != kept and name.startswith(front) and name.endswith(b".afield-part") and _PART.match(stamp):
                _remove(os.path.join(folder, name))


def _remove(path: bytes) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _open_part(part: bytes, to: bytes) -> BinaryIO:
    try:
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        hint = "make its folder first" if isinstance(error, FileNotFoundError) else None
        raise FileFailed(f"{os.fsdecode(to)} cannot be written: {error.strerror}", hint=hint) from None
    return open(handle, "r+b", buffering=0)


def _digest_of(handle: int, size: int) -> Any:
    """Give the hash of the first ``size`` bytes."""
    known, at = hashlib.sha256(), 0
    while at < size and (data := os.pread(handle, min(1 << 20, size - at), at)):
        known.update(data)
        at += len(data)
    return known


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(handle, view) :]
    except OSError as error:
        raise FileFailed(f"the file cannot be written here: {error.strerror}", hint="is the disk full?") from None


def _inside(root: bytes, name: bytes) -> bytes:
    """Give the local path of a name that came from there. Raises BadPath when it would leave root."""
    path = os.path.join(root, check_name(name))
    parent = os.path.realpath(os.path.dirname(path))
    if parent != root and not parent.startswith(root.rstrip(b"/") + b"/"):
        raise BadPath(
            f"{os.fsdecode(name)} leads out of {os.fsdecode(root)} through a link here",
            hint="get it into an empty folder",
        )
    return path


def _link(text: bytes, path: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        if os.path.islink(path):
            os.unlink(path)
    with contextlib.suppress(FileExistsError):
        os.symlink(text, path)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


# ---- to there


async def put_file(
    worker: Endpoint, source: bytes, path: bytes, tally: Tally, *, was: list[int] | None = None
) -> Copied:
    """Copy one file to there; a large one goes on with the part that an earlier try left."""
    with _open_source(source) as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise WrongKind(f"{os.fsdecode(source)} is not a file")
        stamp = b"%x-%x" % (info.st_size, info.st_mtime_ns) if info.st_size >= RESUMED else None
        offset, known = await _part_there(worker, path, stamp, file.fileno()) if stamp else (0, None)
        tally.add(offset)
        file.seek(offset)
        executable = bool(info.st_mode & 0o100)
        store = Store(
            worker,
            path,
            executable=executable,
            mtime_ns=info.st_mtime_ns,
            resume=stamp,
            offset=offset,
            known=known,
            was=was,
        )
        try:
            while data := file.read(PIECE):
                await store.write(data)
                tally.add(len(data))
            now = os.fstat(file.fileno())
            if (now.st_size, now.st_mtime_ns, store.size) != (info.st_size, info.st_mtime_ns, info.st_size):
                raise FileChanged(
                    f"{os.fsdecode(source)} changes while it is read", hint="try again when nobody writes it"
                )
            await store.end()
        except BaseException:
            store.cancel()
            raise
    tally.add(0, files=1)
    return Copied(store.digest, store.size, info.st_mtime_ns)


async def _part_there(worker: Endpoint, path: bytes, stamp: bytes, handle: int) -> tuple[int, Any]:
    """Give how much of this version is there already, and the hash of that much of ours when it is the same."""
    told = await worker.request("part", {"path": path, "resume": stamp})
    offset = int(told["offset"])
    if not 0 < offset <= os.fstat(handle).st_size:
        return 0, None
    known = await asyncio.to_thread(_digest_of, handle, offset)
    return (offset, known) if known.digest() == told["digest"] else (0, None)


def _open_source(source: bytes) -> BinaryIO:
    try:
        handle = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise NoSuchFile(f"{os.fsdecode(source)} does not exist") from None
    except OSError as error:
        raise FileFailed(f"{os.fsdecode(source)} cannot be read: {error.strerror}") from None
    return open(handle, "rb", buffering=0)


async def put_files(
    worker: Endpoint, source: bytes, files: list[tuple[bytes, int]], path: bytes, tells: Tells
) -> Tally:
    """Copy files (name, size) below the folder ``source`` to below ``path`` there, whose folders exist."""
    tally = Tally(tells, "put", files=len(files), size=sum(size for _, size in files))

    def job(name: bytes) -> Callable[[], Awaitable[None]]:
        async def copy() -> None:
            await put_file(worker, os.path.join(source, name), path + b"/" + name, tally)

        return copy

    await at_once(job(name) for name, _ in files)
    return tally


def tree_of(root: bytes) -> tuple[list[tuple[bytes, int]], list[bytes]]:
    """Give (files with their sizes, folders) below root, relative; links and devices are left out. Blocks on the disk."""
    files, below = [], []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not os.path.islink(os.path.join(folder, name)))
        below += [os.path.relpath(os.path.join(folder, name), root) for name in folders]
        for name in sorted(names):
            path = os.path.join(folder, name)
            info = os.lstat(path)
            if stat.S_ISREG(info.st_mode):
                files.append((os.path.relpath(path, root), info.st_size))
    return files, below
