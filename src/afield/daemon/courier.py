"""Talks to the courier there: sends what a run needs, takes back what it changed. One process there a conversation.

Rules: what comes back is checked where it enters: only paths that were part of the plan are believed. What must not go in: which
files travel (closure), where they are put here (bringing).
"""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from afield.daemon.venvs import Entry, Tree
from afield.errors import FileFailed, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    OnEntry = Callable[[Tree, bytes, Entry | None, bytes], None]

# A record's JSON names every file of a helper: 20,000 paths.
_HEAD_LIMIT = 16 << 20
_DATA_LIMIT = 256 << 20


class Item(NamedTuple):
    """A file to be there. ``own``: it is this run's and may be changed; else it is shared by content."""

    path: bytes
    digest: str
    mode: int
    own: bool


class Plan(NamedTuple):
    """What a courier does. ``who`` names this machine and user in the store; ``stay``: something may come back."""

    who: str
    files: tuple[Item, ...]
    outputs: tuple[bytes, ...]
    folders: tuple[bytes, ...]
    fifos: tuple[bytes, ...]
    trees: tuple[Tree, ...] = ()

    @property
    def stay(self) -> bool:
        """Whether the courier stays while the program runs."""
        return bool(self.outputs or self.folders or self.fifos or self.trees or any(item.own for item in self.files))

    def value(self) -> dict[str, Any]:
        """Give it as the courier reads it."""
        return {
            "who": self.who,
            "files": [[text(item.path), item.digest, item.mode, item.own] for item in self.files],
            "outputs": [text(path) for path in self.outputs],
            "folders": [text(path) for path in self.folders],
            "fifos": [text(path) for path in self.fifos],
            "stay": self.stay,
            "trees": [
                {"there": text(tree.there), "items": [[text(path), *entry] for path, entry in tree.entries.items()]}
                for tree in self.trees
            ],
        }


def text(path: bytes) -> str:
    """Give a path as JSON can hold it."""
    return base64.b64encode(path).decode("ascii")


def program() -> bytes:
    """Give the text of the far end."""
    folder = importlib.resources.files("afield.daemon")
    names = ("trees_there.py", "sweep_there.py", "courier_there.py")
    return b"\n".join(folder.joinpath(name).read_bytes() for name in names)


class Courier:
    """A conversation on a ``process`` stream. ``on_append(path, at, data)`` hears what a program adds to its outputs."""

    def __init__(self, stream: Any, plan: Plan, *, on_append: Callable[[bytes, int, bytes], None]) -> None:
        self._stream = stream
        self._plan = plan
        self._on_append = on_append
        self._buffer = bytearray()

    async def place(self, read: Callable[[str], bytes]) -> bytes:
        """Send what is missing there (``read`` gives the bytes of a digest); gives the folder that stands for ``/``.

        Raises FileFailed and what the link says.
        """
        await self._send(self._plan.value())
        value, _ = await self._receive()
        base = _raw(value["base"]) if "base" in value else b""
        if not base.startswith(b"/"):
            raise FileFailed(f"files could not be carried there: {value.get('failed', 'no store')}")
        mine = {item.digest for item in self._plan.files}
        mine |= {entry.value for tree in self._plan.trees for entry in tree.entries.values() if entry.kind == "f"}
        for digest in value["want"]:
            if digest not in mine:
                raise ProtocolError("the place asked for a file that is no part of this run")
            await self._send({"blob": digest}, read(digest))
        value, _ = await self._receive()
        if not value.get("ready"):
            raise FileFailed(f"files could not be carried there: {value.get('failed', value)}")
        return base

    async def listen(self, on_entry: OnEntry) -> tuple[list[tuple[bytes, bytes, int]], list[bytes]]:
        """Take what comes until the report is complete: changed files (path, data, mode) and what is gone.

        Entries of environments go to ``on_entry(tree, path, entry or None, data)`` as they come.
        """
        changed: list[tuple[bytes, bytes, int]] = []
        gone: list[bytes] = []
        while True:
            value, data = await self._receive()
            if "append" in value:
                self._on_append(self._checked(_raw(value["append"])), int(value["at"]), data)
            elif "changed" in value:
                changed.append((self._checked(_raw(value["changed"])), data, int(value["mode"]) & 0o777))
            elif "tree" in value:
                if not 0 <= int(value["tree"]) < len(self._plan.trees):
                    raise ProtocolError("the place sent an environment that is no part of this run")
                gone_there = value["kind"] == "gone"
                entry = (
                    None if gone_there else Entry(str(value["kind"]), str(value["value"]), int(value["mode"]) & 0o777)
                )
                on_entry(self._plan.trees[value["tree"]], _raw(value["path"]), entry, data)
            elif "gone" in value:
                gone.append(self._checked(_raw(value["gone"])))
            elif value.get("done"):
                return changed, gone

    async def finish(self) -> None:
        """Ask for the report."""
        await self._send({"finish": True})

    def close(self) -> None:
        """End it."""
        self._stream.close()

    def _checked(self, path: bytes) -> bytes:
        plan = self._plan
        names = {item.path for item in plan.files if item.own} | set(plan.outputs)
        below = any(path.startswith(folder + b"/") for folder in (*plan.folders, *plan.outputs))
        if os.path.normpath(path) != path or (path not in names and not below):
            raise ProtocolError(f"the place sent a file that is no part of this run: {path!r:.100}")
        return path

    async def _send(self, value: dict[str, Any], data: bytes = b"") -> None:
        head = json.dumps({**value, "size": len(data)}).encode("ascii")
        await self._stream.write(len(head).to_bytes(4, "little") + head)
        if data:
            await self._stream.write(data)

    async def _receive(self) -> tuple[dict[str, Any], bytes]:
        size = int.from_bytes(await self._exactly(4), "little")
        if size > _HEAD_LIMIT:
            raise ProtocolError(f"a record of the courier has at most {_HEAD_LIMIT} bytes, got {size}")
        try:
            value = json.loads(await self._exactly(size))
            count = int(value["size"])
        except (ValueError, KeyError, TypeError) as error:
            raise ProtocolError(f"the courier there sent no record: {error}") from None
        if not 0 <= count <= _DATA_LIMIT:
            raise ProtocolError(f"a carried file has at most {_DATA_LIMIT} bytes, got {count}")
        return value, await self._exactly(count)

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            data = await self._stream.read()
            if not data:
                said = bytes(await self._stream.read_err()) if not self._stream.closed else b""
                raise FileFailed(
                    "the courier there ended early" + (": " + said.decode("utf-8", "replace")[-300:] if said else "")
                )
            self._buffer += data
        found = bytes(self._buffer[:size])
        del self._buffer[:size]
        return found


def digest_of(path: bytes) -> tuple[str, int]:
    """Give SHA-256 and mode of a file here. Raises OSError."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            found.update(piece)
        return found.hexdigest(), os.fstat(file.fileno()).st_mode & 0o777


def _raw(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, TypeError):
        raise ProtocolError("the courier there sent no path") from None
