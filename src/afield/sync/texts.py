"""The texts that both sides last agreed on, kept so that a conflict can be merged: a small store beside the base.

Rules: only texts up to a limit, compressed, by their SHA-256; it is a convenience and never the truth: a store that is
missing, broken or full loses a merge and no file. It is filled behind the sync, a few files at a time, and gives way
to it. When a text is not in the store, the history of either side and git are asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import sqlite3
import subprocess
import threading
import zlib
from typing import TYPE_CHECKING

from afield.errors import AfieldError
from afield.sync.contents import read_contents
from afield.sync.merge import is_text
from afield.sync.together import ended

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from afield.sync.base import Row
    from afield.sync.picture import Picture
    from afield.sync.side import Side
    from afield.tree.entries import Stat

# Source files are smaller; what is bigger is data or generated.
KEPT_SIZE = 256 << 10
# Compressed, in all: some 20,000 source files. The oldest go first.
KEPT_BYTES = 64 << 20
# A tree with more entries is not all source: then only what changes is kept.
MANY = 30_000
# One step: a worker is busy for a few milliseconds with it, and its content is no burden in memory.
STEP_FILES, STEP_BYTES = 64, 1 << 20
# Between steps: a tenth of one core at most goes into this, and whoever waits for the worker gets his turn.
PAUSE = 0.05


class Texts:
    """The store at ``path``. Each call blocks for its disk I/O, and for a call of another thread.

    The lock is for a close while a call that nobody waits for any more is still under way in its thread: sqlite would
    free what that call uses.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None
        self._lock = threading.RLock()

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            os.makedirs(os.path.dirname(self.path) or ".", mode=0o700, exist_ok=True)
            db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5.0)
            try:
                os.chmod(self.path, 0o600)
                # A power cut may break it: then it is made anew.
                db.execute("PRAGMA synchronous=OFF")
                db.execute(
                    "CREATE TABLE IF NOT EXISTS texts (id INTEGER PRIMARY KEY, digest BLOB UNIQUE NOT NULL,"
                    " size INTEGER NOT NULL, data BLOB NOT NULL)"
                )
            except sqlite3.Error:
                db.close()
                raise
            self._db = db
        return self._db

    def known(self) -> set[bytes]:
        """The digests of all texts that are kept; empty when the store cannot be read (it is then made anew)."""
        try:
            with self._lock:
                return {bytes(row[0]) for row in self._open().execute("SELECT digest FROM texts")}
        except sqlite3.Error:
            self.close()
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            return set()

    def get(self, digest: bytes) -> bytes | None:
        """The text of a digest."""
        try:
            with self._lock:
                row = self._open().execute("SELECT data FROM texts WHERE digest = ?", (digest,)).fetchone()
            text = zlib.decompress(row[0]) if row is not None else None
        except (sqlite3.Error, zlib.error):
            return None
        return text if text is not None and hashlib.sha256(text).digest() == digest else None

    def add(self, texts: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep (digest, text) pairs; the oldest make room. Raises sqlite3.Error."""
        packed = [(digest, zlib.compress(text, 1)) for digest, text in texts]
        with self._lock:
            self._add(self._open(), packed)

    def _add(self, db: sqlite3.Connection, packed: list[tuple[bytes, bytes]]) -> None:
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany(
                "INSERT OR IGNORE INTO texts (digest, size, data) VALUES (?, ?, ?)",
                ((digest, len(data), data) for digest, data in packed),
            )
            (total,) = db.execute("SELECT coalesce(sum(size), 0) FROM texts").fetchone()
            while total > KEPT_BYTES:
                place, size = db.execute("SELECT id, size FROM texts ORDER BY id LIMIT 1").fetchone()
                db.execute("DELETE FROM texts WHERE id = ?", (place,))
                total -= size
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            db, self._db = self._db, None
            if db is not None:
                with contextlib.suppress(sqlite3.Error):
                    db.close()


class Keeper:
    """Fills the store behind the sync of a picture. ``start`` and ``close`` bound its life."""

    def __init__(self, picture: Picture, path: str) -> None:
        self.picture = picture
        self.texts = Texts(path)
        self._known: set[bytes] | None = None
        self._wanted: dict[bytes, None] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin with what is not kept yet; it is looked for when the caller has gone on."""
        if self._task is None:
            self._idle.clear()
            self._task = asyncio.get_running_loop().create_task(self._run(), name="afield-texts")

    async def close(self) -> None:
        """Stop; what is kept stays."""
        task, self._task = self._task, None
        await ended(task)
        await asyncio.to_thread(self.texts.close)

    def agreed(self, paths: Collection[bytes]) -> None:
        """Note paths that were just agreed on; before ``start`` that is not needed."""
        if self._task is None:
            return
        if len(paths) <= MANY:
            found = (path for path in paths if self._is_wanted(self.picture.rows.get(path)))
            self._wanted.update(dict.fromkeys(found))
        if self._wanted:
            self._idle.clear()
            self._wake.set()
        elif not self._wake.is_set():
            self._idle.set()

    async def settled(self) -> None:
        """Wait until all that was noted is kept (or cannot be)."""
        await self._idle.wait()

    def _is_wanted(self, row: Row | None) -> bool:
        return (
            row is not None
            and row.node.kind == "f"
            and 0 < row.here.size <= KEPT_SIZE
            and (self._known is None or row.node.content not in self._known)
        )

    async def _run(self) -> None:
        self._known = await asyncio.to_thread(self.texts.known)
        self.agreed(self.picture.rows)
        while True:
            if not self._wanted:
                self._wake.clear()
                self._idle.set()
                await self._wake.wait()
            with contextlib.suppress(AfieldError, sqlite3.Error, OSError):
                await self._step()
            await asyncio.sleep(PAUSE)

    async def _step(self) -> None:
        assert self._known is not None
        rows: dict[bytes, Row] = {}
        size = 0
        while self._wanted and len(rows) < STEP_FILES and size < STEP_BYTES:
            path = next(iter(self._wanted))
            del self._wanted[path]
            row = self.picture.rows.get(path)
            if row is not None and self._is_wanted(row):
                rows[path] = row
                size += row.here.size
        if not rows:
            return
        found = await self._read(rows)
        texts = []
        for path, row in rows.items():
            data, digest = found.get(path), row.node.content
            # Content that changed meanwhile comes with its own row.
            if data is not None and digest is not None and hashlib.sha256(data).digest() == digest:
                self._known.add(digest)
                if is_text(data):
                    texts.append((digest, data))
        await asyncio.to_thread(self.texts.add, texts)

    async def _read(self, rows: dict[bytes, Row]) -> dict[bytes, bytes]:
        """Read from this side, and what has changed here already from the other."""
        here = {path: row.here for path, row in rows.items() if self._stands(self.picture.here, path, row.here)}
        there = {
            path: row.there
            for path, row in rows.items()
            if path not in here and self._stands(self.picture.there, path, row.there)
        }
        found = await read_contents(self.picture.here, here)
        return {**found, **await read_contents(self.picture.there, there)}

    @staticmethod
    def _stands(side: Side, path: bytes, stat: Stat) -> bool:
        entry = side.tree.get(path)
        return entry is not None and entry.stat == stat

    async def base_of(self, path: bytes) -> bytes | None:
        """The text that was agreed on at a path; None when nothing has it any more. Raises LinkLost and the like."""
        row = self.picture.rows.get(path)
        if row is None or row.node.kind != "f" or row.node.content is None:
            return None
        digest = row.node.content
        found = await asyncio.to_thread(self.texts.get, digest)
        if found is None:
            found = await self._in_history(path, digest, row.here.size)
        if found is None and self.picture.here.opened is not None:
            found = await asyncio.to_thread(in_git, self.picture.here.opened.root, path, digest)
        return found

    async def _in_history(self, path: bytes, digest: bytes, size: int) -> bytes | None:
        for side in (self.picture.here, self.picture.there):
            events = await side.asked().request("history", {"path": path})
            for event, _, where, _, kept in events:
                if where == path and kept == size <= KEPT_SIZE:
                    pieces, _ = await side.asked().collect("fetch", {"path": b".afield/history/" + bytes(event)})
                    data = b"".join(pieces)
                    if hashlib.sha256(data).digest() == digest:
                        return data
        return None


def in_git(root: bytes, path: bytes, digest: bytes) -> bytes | None:
    """The content of a path in the last commit, when it is the one with this SHA-256."""
    try:
        done = subprocess.run(
            ["git", "-C", root, "--no-optional-locks", "show", b"HEAD:./" + path],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=10.0,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 and hashlib.sha256(done.stdout).digest() == digest else None
