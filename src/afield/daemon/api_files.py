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
from typing import TYPE_CHECKING, Any, Protocol

from afield.daemon.api_link import linked
from afield.daemon.transfers import Fetch, Store, check_name, open_worker
from afield.errors import BadPath, FileChanged, FileFailed, NoSuchFile, WrongKind

if TYPE_CHECKING:
    from typing import BinaryIO

    from afield.daemon.conversation import Ask
    from afield.daemon.core import Daemon
    from afield.daemon.projects import Target
    from afield.sync.endpoint import Endpoint

Args = dict[str, Any]

# A tree that is deeper than this is a loop of bind mounts or an accident.
_DEPTH = 64
# Arguments of one mkdir: a thousand paths of 100 bytes stay below the 128 KiB that every system takes.
_FOLDERS = 1000


class Tells(Protocol):
    """Who is told how far a file is."""

    def progress(self, **values: Any) -> None:
        """Take what, done, total, bytes, bytes_total."""


class _Quiet:
    """Tells nobody: the folder as a whole is told."""

    def progress(self, **values: Any) -> None:
        """See Tells."""


async def place_path(target: Target, path: str) -> bytes:
    """Give the absolute path there. Raises BadPath."""
    if path == "~" or path.startswith("~/"):
        return await target.place.home() + os.fsencode(path[1:])
    if path.startswith("/"):
        return os.fsencode(path)
    if ".." in path.split("/"):
        raise BadPath(
            f"{path} leaves the project's folder there", hint="write the whole path, or one that begins with ~/"
        )
    folder = await target.there()
    return folder + b"/" + os.fsencode(path) if path not in ("", ".") else folder


async def ls(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """List a folder there."""
    target = await linked(daemon, ask, args)
    path = await place_path(target, args["path"])
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
    known = hashlib.sha256()
    async with open_worker(target) as worker:
        fetch = Fetch(worker, await place_path(target, args["path"]), args["offset"])
        async for data in fetch.pieces():
            known.update(data)
            await ask.data(data)
    return {"size": fetch.size, "digest": known.hexdigest()}


# ---- get


async def get(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Copy a file or a folder from there."""
    target = await linked(daemon, ask, args)
    path, to = await place_path(target, args["path"]), os.fsencode(args["to"])
    async with open_worker(target) as worker:
        # A folder lists what is in it, a file itself by its base name; only an empty name tells them apart.
        parts, done = await worker.collect("list", {"path": path, "long": True, "depth": _DEPTH})
        rows = [row for part in parts for row in part]
        if len(rows) == 1 and rows[0][1] != "d" and not await _is_folder_there(target, path):
            digest, size = await get_file(worker, rows[0], path, to, ask)
            return {"files": 1, "bytes": size, "digest": digest.hex()}
        return await _get_folder(worker, bytes(done["path"]), rows, to, ask)


async def _is_folder_there(target: Target, path: bytes) -> bool:
    told = await target.place.connection.call("stat", {"path": path})
    if told is not None and told["kind"] == "l":
        told = await target.place.connection.call("stat", {"path": told["real"]})
    return told is not None and told["kind"] == "d"


async def get_file(
    worker: Endpoint, row: list[Any], path: bytes, to: bytes, ask: Tells, *, mode: int | None = None
) -> tuple[bytes, int]:
    """Copy one file: resume the part that is there, check, rename. Gives (digest, size).

    The part's name holds size and time of the file there: a part of another version is never taken up.
    """
    if _is_folder(to):
        raise BadPath(f"{os.fsdecode(to)} is a folder here", hint="name the file to write")
    stamp = b"%x-%x" % (row[3], row[4]) if row[1] == "f" else os.urandom(8).hex().encode()
    part = os.path.join(os.path.dirname(to), b"." + os.path.basename(to)[:150] + b"." + stamp + b".afield-part")
    with _open_part(part) as file:
        handle = file.fileno()
        begin = os.fstat(handle).st_size
        known = await asyncio.to_thread(_digest_of, handle) if begin else hashlib.sha256()
        fetch = Fetch(worker, path, begin)
        try:
            async for data in fetch.pieces():
                _write_all(handle, data)
                known.update(data)
                ask.progress(
                    what=os.fsdecode(os.path.basename(path)), done=0, total=1, bytes=fetch.offset, bytes_total=row[3]
                )
            if row[1] == "f" and (fetch.size, fetch.mtime_ns, fetch.offset) != (row[3], row[4], row[3]):
                raise FileChanged(
                    f"{os.fsdecode(path)} changes while it is read", hint="try again when nobody writes it"
                )
        except BaseException as error:
            if isinstance(error, FileChanged) or os.fstat(handle).st_size == 0 or row[1] != "f":
                _remove(part)
            raise
        os.fchmod(handle, 0o666 & ~_umask() if mode is None else mode)
        os.replace(part, to)
    return known.digest(), fetch.offset


def _remove(path: bytes) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


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


async def _get_folder(worker: Endpoint, path: bytes, rows: list[Any], to: bytes, ask: Ask) -> dict[str, Any]:
    files = [row for row in rows if row[1] == "f"]
    total = sum(row[3] for row in files)
    root = _make_root(to)
    for name in (row[0] for row in rows if row[1] == "d"):
        os.makedirs(_inside(root, name), exist_ok=True)
    done = 0
    for count, row in enumerate(files):
        ask.progress(what="get", done=count, total=len(files), bytes=done, bytes_total=total)
        mode = (0o777 if row[2] else 0o666) & ~_umask()
        _, size = await get_file(worker, row, path + b"/" + row[0], _inside(root, row[0]), _Quiet(), mode=mode)
        done += size
    # Links last, so that no file is written through one of them.
    for row in rows:
        if row[1] == "l":
            _link(row[6], _inside(root, row[0]))
    return {"files": len(files), "bytes": done, "digest": None}


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
    path = await place_path(target, args["path"])
    async with open_worker(target) as worker:
        if args["from"] is None:
            await make_folders(target, [os.path.dirname(path)])
            store = Store(worker, path, executable=args["executable"])
            while data := await ask.want(store.size, 1 << 20):
                await store.write(data)
            await store.end()
            return {"files": 1, "bytes": store.size, "digest": store.digest.hex()}
        source = os.fsencode(args["from"])
        if _is_folder(source):
            return await _put_folder(target, worker, source, path, ask)
        await make_folders(target, [os.path.dirname(path)])
        digest, size = await put_file(worker, source, path, ask)
        return {"files": 1, "bytes": size, "digest": digest.hex()}


async def put_file(worker: Endpoint, source: bytes, path: bytes, ask: Tells) -> tuple[bytes, int]:
    """Copy one file to there. Gives (digest, size)."""
    with _open_source(source) as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise WrongKind(f"{os.fsdecode(source)} is not a file")
        store = Store(worker, path, executable=bool(info.st_mode & 0o100), mtime_ns=info.st_mtime_ns)
        while data := file.read(1 << 18):
            await store.write(data)
            ask.progress(
                what=os.fsdecode(os.path.basename(source)), done=0, total=1, bytes=store.size, bytes_total=info.st_size
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


async def _put_folder(target: Target, worker: Endpoint, source: bytes, path: bytes, ask: Ask) -> dict[str, Any]:
    files, folders = await asyncio.to_thread(_tree_of, source)
    await make_folders(target, [path, *(path + b"/" + name for name in folders)])
    total = sum(size for _, size in files)
    done = 0
    for count, (name, _) in enumerate(files):
        ask.progress(what="put", done=count, total=len(files), bytes=done, bytes_total=total)
        _, size = await put_file(worker, os.path.join(source, name), path + b"/" + name, _Quiet())
        done += size
    return {"files": len(files), "bytes": done, "digest": None}


async def make_folders(target: Target, folders: list[bytes]) -> None:
    """Make folders there, with those above them. Raises FileFailed with what mkdir said."""
    for start in range(0, len(folders), _FOLDERS):
        argv = [b"mkdir", b"-p", b"--", *folders[start : start + _FOLDERS]]
        stream = target.place.connection.open_stream(
            {
                "do": "process",
                "argv": argv,
                "cwd": None,
                "env": {},
                "unset": [],
                "tty": None,
                "login": False,
                "id": os.urandom(16),
                "label": "mkdir",
                "mkdir": False,
            }
        )
        said = bytearray()

        def take(data: memoryview, err: bool, stream: Any = stream, said: bytearray = said) -> None:
            del err
            said += data
            stream.consumed(len(data))

        stream.set_sink(take)
        stream.write_end_nowait()
        code = None
        async for message in stream.messages():
            code = message.get("exit", message.get("killed", code))
        if code != 0:
            raise FileFailed(f"the folder cannot be made there: {said.decode('utf-8', 'replace').strip() or code}")


def _tree_of(root: bytes) -> tuple[list[tuple[bytes, int]], list[bytes]]:
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


VERBS = {"ls": ls, "cat": cat, "get": get, "put": put}
