"""The verbs about single files and folders there: ls, get, put, cat.

Rules: a relative path is one below the project's folder there, ``~`` is the home there; patterns are those of globs.py.
The copying is in copies.py. What must not go in: the sync.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import TYPE_CHECKING, Any

from afield.daemon import globs
from afield.daemon.api_link import linked
from afield.daemon.copies import Tally, get_file, get_rows, put_file, put_files, tree_of
from afield.daemon.transfers import Fetch, Store, open_worker
from afield.errors import BadPath, FileFailed, NoSuchFile

if TYPE_CHECKING:
    from afield.daemon.conversation import Ask
    from afield.daemon.core import Daemon
    from afield.daemon.target import Target
    from afield.sync.endpoint import Endpoint

Args = dict[str, Any]

# Arguments of one mkdir: a thousand paths of 100 bytes stay below the 128 KiB that every system takes.
_FOLDERS = 1000


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
        rows = await list_there(worker, path, depth=max(1, min(args["depth"], globs.DEPTH)), long=args["long"])
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
    """Copy a file, a folder, or with ``glob`` what matches a pattern, from there."""
    target = await linked(daemon, ask, args)
    path, to = await place_path(target, args["path"]), os.fsencode(args["to"])
    async with open_worker(target) as worker:
        if args["glob"] and globs.has_magic(path) and await _is_absent(target, path):
            folder, rows = await _matching(worker, path)
            tally = await get_rows(worker, folder, rows, to, ask)
            return {"files": tally.files, "bytes": tally.bytes, "digest": None}
        # A folder lists what is in it, a file itself by its base name; only an empty name tells them apart.
        parts, done = await worker.collect("list", {"path": path, "long": True, "depth": globs.DEPTH})
        rows = [row for part in parts for row in part]
        if len(rows) == 1 and rows[0][1] != "d" and not await _is_folder_there(target, path):
            tally = Tally(ask, os.path.basename(args["path"]), files=1, size=rows[0][3])
            to = await asyncio.to_thread(_named, to, path) if args["glob"] else to
            return _one(await get_file(worker, rows[0], path, to, tally, mode=0o777 if rows[0][2] else None))
        tally = await get_rows(worker, bytes(done["path"]), rows, to, ask)
        return {"files": tally.files, "bytes": tally.bytes, "digest": None}


def _named(to: bytes, path: bytes) -> bytes:
    """A name that only looks like a pattern goes into the folder as what it is."""
    return os.path.join(to, os.path.basename(path)) if os.path.isdir(to) else to


def _one(copied: Any) -> dict[str, Any]:
    return {
        "files": 1,
        "bytes": copied.size,
        "digest": copied.digest.hex(),
        "size": copied.size,
        "mtime_ns": copied.mtime_ns,
    }


async def _matching(worker: Endpoint, path: bytes) -> tuple[bytes, list[Any]]:
    """Give the fixed folder of a pattern and the rows, below it, of all that matches. Raises NoSuchFile."""
    folder, parts = globs.split(path)
    rows = await list_there(worker, folder, depth=globs.depth(parts), long=True)
    names = globs.topmost([row[0] for row in rows if globs.matches(row[0], parts)])
    if not names:
        raise NoSuchFile(f"nothing there matches {os.fsdecode(path)}", hint="quote the pattern; `afield ls` lists")
    by_name = {row[0]: row for row in rows}
    found = []
    for name in names:
        found.append(by_name[name])
        if by_name[name][1] == "d":
            below = await list_there(worker, folder + b"/" + name, depth=globs.DEPTH, long=True)
            found += [[name + b"/" + row[0], *row[1:]] for row in below]
    return folder, found


async def _is_absent(target: Target, path: bytes) -> bool:
    """Whether no file has the pattern itself as its name."""
    return await target.place.connection.call("stat", {"path": path}) is None


async def _is_folder_there(target: Target, path: bytes) -> bool:
    told = await target.place.connection.call("stat", {"path": path})
    if told is not None and told["kind"] == "l":
        told = await target.place.connection.call("stat", {"path": told["real"]})
    return told is not None and told["kind"] == "d"


# ---- put


async def put(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Copy a file or a folder to there; without ``from`` the face sends the bytes."""
    target = await linked(daemon, ask, args)
    path = await place_path(target, args["path"])
    async with open_worker(target) as worker:
        if args["from"] is None:
            await make_folders(target, [os.path.dirname(path)])
            store = Store(worker, path, executable=args["executable"], was=args["was"])
            while data := await ask.want(store.size, 1 << 20):
                await store.write(data)
            await store.end()
            return {"files": 1, "bytes": store.size, "digest": store.digest.hex()}
        source = os.fsencode(args["from"])
        if await asyncio.to_thread(os.path.isdir, source):
            files, folders = await asyncio.to_thread(tree_of, source)
            await make_folders(target, [path, *(path + b"/" + name for name in folders)])
            tally = await put_files(worker, source, files, path, ask)
            return {"files": tally.files, "bytes": tally.bytes, "digest": None}
        await make_folders(target, [os.path.dirname(path)])
        tally = Tally(ask, os.path.basename(args["from"]), files=1, size=_size_of(source))
        return _one(await put_file(worker, source, path, tally, was=args["was"]))


def _size_of(path: bytes) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


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


VERBS = {"ls": ls, "cat": cat, "get": get, "put": put}
