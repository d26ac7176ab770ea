"""The base store: what both sides last agreed on, in one SQLite file.

A row says: at this path both sides had this node, and its stat was so here and so there. Rules: a row is written only
after both sides answered; one transaction per cycle; a store that is missing, broken, of another format or of another
pair of folders counts as empty, which makes the next sync a careful first one (same content agrees, different content
conflicts, nothing is deleted). No reconciling in here.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from afield.errors import DiskFull, FileFailed, FilesError
from afield.files.faults import from_os_error
from afield.sync.packed import Row, Rows, is_row, pack_row

__all__ = ["FORMAT", "BaseStore", "Loaded", "Row", "Rows"]

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# Raised whenever the meaning of a row changes: an older store is then a lost one, never a misread one.
FORMAT = "2"
# Primary result codes (sqlite.org/rescode.html) that speak of the disk, or of another process, not of what is in the file.
OF_THE_DISK = frozenset(
    (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_CANTOPEN,
    )
)
# What a full disk looks like when the files beside the store cannot be made; they take this much (sqlite.org/walformat.html).
OF_A_FULL_DISK = frozenset((sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN))
BESIDE = 64 << 10

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS agreed (path BLOB PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
"""


class Loaded(NamedTuple):
    """What a store held. ``trouble`` says why it counts as empty, when it had to be thrown away."""

    rows: Rows
    trouble: str | None


class BaseStore:
    """The store at ``path`` (its folder is made, 0700). Not for two threads at once; each call blocks for its disk I/O."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None
        self._ahead: Rows | None = None

    @property
    def is_open(self) -> bool:
        """Whether it was loaded."""
        return self._db is not None

    @property
    def exists(self) -> bool:
        """Whether there is a file to load."""
        return os.path.exists(self.path)

    def identity_of(self, asked: str) -> str | None:
        """Give the identity of the folders when something was agreed on between them; nothing is opened or changed.

        ``asked``: how the pair was named (its ``asked`` in ``load``); None for another one, and for a broken store.
        Raises DiskFull and FileFailed, as ``load``.
        """
        if not self.exists:
            return None
        try:
            with contextlib.closing(sqlite3.connect(self.path, timeout=5.0)) as db:
                meta = dict(db.execute("SELECT key, value FROM meta"))
                if (meta.get("asked"), meta.get("format")) == (asked, FORMAT) and db.execute(
                    "SELECT 1 FROM agreed LIMIT 1"
                ).fetchone():
                    return str(meta["identity"])
        except sqlite3.Error as error:
            self._blame_the_disk(error)
        return None

    def read_ahead(self) -> Rows:
        """Give what the store holds before it is known whether it belongs to these folders; ``load`` says so and goes on with it.

        Empty for a broken one. The digests of its folders are made as well: a scan wants them next. Raises DiskFull and FileFailed, as ``load``.
        """
        rows = Rows()
        if self.exists:
            try:
                with contextlib.closing(sqlite3.connect(self.path, timeout=5.0)) as db:
                    rows = _read(db)
            except (sqlite3.Error, ValueError) as error:
                self._blame_the_disk(error)
                rows = Rows()
        rows.folders()
        self._ahead = rows
        return rows

    def load(self, pair: Mapping[str, str]) -> Loaded:
        """Open the store and read it all. ``pair`` names what it belongs to (identity, mode, folders).

        A store that cannot be used is put aside as ``….broken`` (the last one is kept for whoever wants to look).
        Raises DiskFull and FileFailed when the disk does not let it be read or written, which says nothing against the store.
        """
        try:
            os.makedirs(os.path.dirname(self.path) or ".", mode=0o700, exist_ok=True)
            found = self._open(pair)
        except OSError as error:
            raise from_os_error(error, os.fsencode(self.path)) from error
        except (sqlite3.Error, ValueError) as error:
            self._blame_the_disk(error)
            trouble = str(error) or type(error).__name__
        else:
            if found is not None:
                return Loaded(found, None)
            trouble = "it belongs to another pair of folders or to another version of afield"
        self.close()
        try:
            self._put_aside()
            self._open(pair)
        except OSError as error:
            raise from_os_error(error, os.fsencode(self.path)) from error
        except sqlite3.Error as error:
            raise refused(error, self.path) from error
        return Loaded(Rows(), trouble)

    def _blame_the_disk(self, error: Exception) -> None:
        """Raise what an error means that says nothing against the store; another one is the store's."""
        if isinstance(error, sqlite3.Error) and is_of_the_disk(error):
            self.close()
            raise refused(error, self.path) from error

    def _open(self, pair: Mapping[str, str]) -> Rows | None:
        fresh = not os.path.exists(self.path)
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5.0)
        self._db = db
        if fresh:
            os.chmod(self.path, 0o600)
        db.execute("PRAGMA journal_mode=WAL")
        # NORMAL: a power cut may lose the last cycles, never the file's health; an older base only makes sync careful.
        db.execute("PRAGMA synchronous=NORMAL")
        db.executescript(SCHEMA)
        meta: dict[str, str] = dict(db.execute("SELECT key, value FROM meta"))
        wanted = {**pair, "format": FORMAT}
        if not meta:
            with self._transaction():
                db.executemany("INSERT INTO meta VALUES (?, ?)", wanted.items())
        elif meta != wanted:
            return None
        check = db.execute("PRAGMA quick_check(1)").fetchone()
        if check != ("ok",):
            raise sqlite3.DatabaseError(f"quick_check: {check}")
        ahead, self._ahead = self._ahead, None
        return ahead or _read(db)

    def _put_aside(self) -> None:
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path + suffix)
        with contextlib.suppress(FileNotFoundError):
            os.replace(self.path, self.path + ".broken")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        assert self._db is not None
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself after some failures.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def remember(self, rows: Iterable[tuple[bytes, Row]], gone: Iterable[bytes]) -> None:
        """Write what one cycle agreed on, and drop what both sides no longer have, in one transaction.

        Raises DiskFull, FileFailed; nothing is written then.
        """
        assert self._db is not None
        try:
            with self._transaction():
                self._db.executemany("DELETE FROM agreed WHERE path = ?", ((path,) for path in gone))
                self._db.executemany(
                    "INSERT OR REPLACE INTO agreed VALUES (?, ?)", ((path, pack_row(row)) for path, row in rows)
                )
        except sqlite3.Error as error:
            raise refused(error, self.path) from error

    def forget_all(self) -> None:
        """Empty the store: the next sync is a careful first one. Raises DiskFull, FileFailed."""
        assert self._db is not None
        try:
            with self._transaction():
                self._db.execute("DELETE FROM agreed")
        except sqlite3.Error as error:
            raise refused(error, self.path) from error

    def close(self) -> None:
        """Close the file; what was remembered is on disk."""
        db, self._db = self._db, None
        if db is not None:
            with contextlib.suppress(sqlite3.Error):
                db.close()


def is_of_the_disk(error: sqlite3.Error) -> bool:
    """Whether SQLite could not read or write, so that the content of the store is not to blame."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in OF_THE_DISK


def refused(error: sqlite3.Error, path: str) -> FilesError:
    """Give the error of ours for one of SQLite."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or (code in OF_A_FULL_DISK and not has_room(path)):
        return DiskFull(f"{path}: the disk is full here", hint="free some space here; the sync goes on by itself")
    return FileFailed(f"{path}: what was agreed on cannot be kept: {error}", hint="is that disk full, or not writable?")


def has_room(path: str) -> bool:
    """Whether the disk can take the smallest files that SQLite needs beside a store."""
    try:
        room = os.statvfs(os.path.dirname(path) or ".")
    except OSError:
        return True
    return room.f_bavail * room.f_frsize >= BESIDE


def _read(db: sqlite3.Connection) -> Rows:
    """All rows. Raises sqlite3.Error, ValueError for one that cannot be."""
    packed: dict[bytes, bytes] = dict(db.execute("SELECT path, row FROM agreed"))
    for path, data in packed.items():
        if not is_row(path, data):
            raise ValueError(f"a row that cannot be: {path!r:.80} {data!r:.40}")
    return Rows(packed)
