"""The verbs about single files and folders there: ls, get, put, cat.

Rules: a relative path is one below the project's folder there, ``~`` is the home there; names that come from there are
checked before a file is made here, and nothing is written outside the folder that was asked for; a file appears here
whole and with the right digest, or not at all. What must not go in: the sync.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import stat
from typing import TYPE_CHECKING, Any

from afield.daemon.api_link import linked
from afield.daemon.transfers import Fetch, Store, check_name, open_worker
from afield.errors import BadPath, FileChanged, FileFailed, NoSuchFile, WrongKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from afield.daemon.conversation import Ask
    from afield.daemon.core import Daemon
    from afield.daemon.projects import Target
    from afield.sync.endpoint import Endpoint

Args = dict[str, Any]

# A tree that is deeper than this is a loop of bind mounts or an accident.
_DEPTH = 64
# Progress is told at most this often (bytes): a bar needs no more.
_TELL = 1 << 20


def place_path(target: Target, path: str) -> bytes:
    """Give the path as the worker there takes it: absolute, or below ``~``. Raises BadPath."""
    if path == "~" or path.startswith(("/", "~/")):
        return os.fsencode(path)
    if ".." in path.split("/"):
        raise BadPath(
            f"{path} leaves the project's folder there", hint="write the whole path, or one that begins with ~/"
        )
    return os.fsencode(os.path.join(target.machine.folder, path) if path not in ("", ".") else target.machine.folder)


async def ls(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """List a folder there."""
    target = await linked(daemon, ask, args)
    path = place_path(target, args["path"])
    async with open_worker(target) as worker:
        rows = await list_there(worker, path, depth=max(1, min(args["depth"], _DEPTH)), long=args["long"])
    return [
        {
            "name": name,
            "kind": kind,
            "executable": executable,
            "size": size,
            "mtime": mtime / 1e9 if mtime is not None else None,
            "mode": mode,
            "target": link,
        }
        for name, kind, executable, size, mtime, mode, link in rows
    ]


async def list_there(worker: Endpoint, path: bytes, *, depth: int, long: bool) -> list[Any]:
    """Give the rows of a folder there."""
    parts, _ = await worker.collect("list", {"path": path, "long": long, "depth": depth})
    return [row for part in parts for row in part]


async def cat(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Send a file to the face."""
    target = await linked(daemon, ask, args)
    async with open_worker(target) as worker:
        fetch = Fetch(worker, place_path(target, args["path"]), args["offset"])
        async for data in fetch.pieces():
            await ask.data(data)
    return {"size": fetch.size, "digest": fetch.digest.hex() if fetch.digest else None}


# ---- get


async def get(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Copy a file or a folder from there."""
    target = await linked(daemon, ask, args)
    path, to = place_path(target, args["path"]), os.fsencode(args["to"])
    async with open_worker(target) as worker:
        try:
            digest, size = await get_file(worker, path, to, ask)
        except WrongKind:
            return await _get_folder(worker, path, to, ask)
    return {"files": 1, "bytes": size, "digest": digest.hex()}


async def get_file(worker: Endpoint, path: bytes, to: bytes, ask: Ask, *, mode: int | None = None) -> tuple[bytes, int]:
    """Copy one file: resume the part that is there, check the digest, rename. Gives (digest, size)."""
    part = os.path.join(os.path.dirname(to), b"." + os.path.basename(to)[:200] + b".afield-part")
    if _is_folder(to):
        raise BadPath(f"{os.fsdecode(to)} is a folder here", hint="name the file to write")
    for attempt in (1, 2):
        digest, size, good = await _fetch_part(worker, path, part, ask)
        if good:
            break
        # The file changed since the part was begun: once more from the start.
        os.unlink(part)
        if attempt == 2:
            raise FileChanged(f"{os.fsdecode(path)} changes while it is read", hint="try again when nobody writes it")
    if mode is not None:
        os.chmod(part, mode)
    os.replace(part, to)
    return digest, size


async def _fetch_part(worker: Endpoint, path: bytes, part: bytes, ask: Ask) -> tuple[bytes, int, bool]:
    with _open_part(part) as file:
        handle = file.fileno()
        begin = os.fstat(handle).st_size
        known = await asyncio.to_thread(_digest_of, handle) if begin else hashlib.sha256()
        fetch = Fetch(worker, path, begin)
        told = begin
        try:
            async for data in fetch.pieces():
                _write_all(handle, data)
                known.update(data)
                if fetch.offset - told >= _TELL:
                    told = fetch.offset
                    ask.progress(
                        what=os.fsdecode(os.path.basename(path)), done=0, total=1, bytes=told, bytes_total=None
                    )
        except BaseException:
            if os.fstat(handle).st_size == 0:
                with contextlib.suppress(OSError):
                    os.unlink(part)
            raise
        size = os.fstat(handle).st_size
    return known.digest(), size, fetch.size == size and fetch.digest in (None, known.digest())


def _open_part(part: bytes) -> BinaryIO:
    try:
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise FileFailed(f"{os.fsdecode(part)} cannot be written: {error.strerror}") from None
    return open(handle, "r+b", buffering=0)


def _is_folder(path: bytes) -> bool:
    return os.path.isdir(path)


def _make_root(to: bytes) -> bytes:
    os.makedirs(to, exist_ok=True)
    return os.path.realpath(to)


def _digest_of(handle: int) -> Any:
    known, at = hashlib.sha256(), 0
    while data := os.pread(handle, 1 << 20, at):
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


async def _get_folder(worker: Endpoint, path: bytes, to: bytes, ask: Ask) -> dict[str, Any]:
    rows = await list_there(worker, path, depth=_DEPTH, long=True)
    files = [row for row in rows if row[1] == "f"]
    total = sum(row[3] or 0 for row in files)
    root = _make_root(to)
    for name in (row[0] for row in rows if row[1] == "d"):
        os.makedirs(_inside(root, name), exist_ok=True)
    count = 0
    done = 0
    for name, _, executable, _, _, mode, _ in files:
        ask.progress(what="get", done=count, total=len(files), bytes=done, bytes_total=total)
        bits = 0o777 if executable or (mode or 0) & 0o100 else 0o666
        _, size = await get_file(worker, path + b"/" + name, _inside(root, name), ask, mode=bits & ~_umask())
        count, done = count + 1, done + size
    # Links last, so that no file is written through one of them.
    for row in rows:
        if row[1] == "l":
            _link(row[6], _inside(root, row[0]))
    return {"files": count, "bytes": done, "digest": None}


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


# ---- put


async def put(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Copy a file or a folder to there; without ``from`` the face sends the bytes."""
    target = await linked(daemon, ask, args)
    path = place_path(target, args["path"])
    async with open_worker(target) as worker:
        if args["from"] is None:
            store = Store(worker, path, executable=args["executable"])
            while data := await ask.want(store.size, 1 << 20):
                await store.write(data)
            await store.end()
            return {"files": 1, "bytes": store.size, "digest": store.digest.hex()}
        source = os.fsencode(args["from"])
        if _is_folder(source):
            return await _put_folder(worker, source, path, ask)
        digest, size = await put_file(worker, source, path, ask, total=None)
        return {"files": 1, "bytes": size, "digest": digest.hex()}


async def put_file(worker: Endpoint, source: bytes, path: bytes, ask: Ask, *, total: int | None) -> tuple[bytes, int]:
    """Copy one file to there. Gives (digest, size)."""
    with _open_source(source) as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise WrongKind(f"{os.fsdecode(source)} is not a file")
        store = Store(worker, path, executable=bool(info.st_mode & 0o100), mtime_ns=info.st_mtime_ns)
        while data := file.read(1 << 18):
            await store.write(data)
            if total is None and store.size % _TELL < len(data):
                ask.progress(
                    what=os.fsdecode(os.path.basename(source)),
                    done=0,
                    total=1,
                    bytes=store.size,
                    bytes_total=info.st_size,
                )
        await store.end()
    return store.digest, store.size


def _open_source(source: bytes) -> BinaryIO:
    try:
        handle = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise NoSuchFile(f"{os.fsdecode(source)} does not exist") from None
    except OSError as error:
        raise FileFailed(f"{os.fsdecode(source)} cannot be read: {error.strerror}") from None
    return open(handle, "rb", buffering=0)


async def _put_folder(worker: Endpoint, source: bytes, path: bytes, ask: Ask) -> dict[str, Any]:
    files = list(_files_of(source))
    total = sum(size for _, size in files)
    done = 0
    for count, (name, _) in enumerate(files):
        ask.progress(what="put", done=count, total=len(files), bytes=done, bytes_total=total)
        _, size = await put_file(worker, os.path.join(source, name), path + b"/" + name, ask, total=total)
        done += size
    return {"files": len(files), "bytes": done, "digest": None}


def _files_of(root: bytes) -> Iterator[tuple[bytes, int]]:
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            info = os.lstat(path)
            if stat.S_ISREG(info.st_mode):
                yield os.path.relpath(path, root), info.st_size


VERBS = {"ls": ls, "cat": cat, "get": get, "put": put}
