"""The content store: every source once, named by its SHA-256, for all environments, projects and machines of a user.

Rules: a content is whole when nobody may write to its file and it has the size of what was asked for and the time that its digest gives;
anything else is one that was cut off or written to, and is made anew. The number of hard links tells how many mirrors use a content, and the
inode's change time since when none does: no list of users has to be kept. A sync holds the lock shared, the garbage
collection alone. What must not go in: what a mirror looks like.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import time
from typing import TYPE_CHECKING, Self

from afield.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

MODE = 0o444
# Long enough to change an environment and back without a transfer; short enough that nobody misses the space.
KEPT_SECONDS = 7 * 86400.0
_DAY = 86400.0
# The time of a file is made from its digest: equal contents look unchanged to every tool, different ones never do (mypy and others
# compare size and time), and one that was written to shows it. Between 2001 and 2017.
_FIRST_SECOND, _SECONDS = 1_000_000_000, 500_000_000
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
# First digit of the digest: ext4 spreads folders over the disk, and 256 of them made a first sync up to three times slower.
_FOLDERS = "0123456789abcdef"
# More than this many contents are looked up by listing the store's folders instead of one by one.
_MANY = 2000
EMPTY = hashlib.sha256().digest()


def default_folder() -> bytes:
    """Give the store's folder: in the user's cache (XDG base directory specification), for all of it can be fetched again."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.fsencode(os.path.join(base, "afield", "mirror"))


def time_of(digest: bytes) -> int:
    """Give the modification time of a content in nanoseconds."""
    return (_FIRST_SECOND + int.from_bytes(digest[:6], "big") % _SECONDS) * 1_000_000_000


class Store:
    """``with Store(folder)`` holds the lock shared. Raises OSError where it says so of no other error."""

    def __init__(self, folder: bytes) -> None:
        self.folder = folder
        self._lock = -1
        self._made: set[bytes] = set()
        self._count = 0

    def __enter__(self) -> Self:
        os.makedirs(self.folder + b"/new", mode=0o700, exist_ok=True)
        self._lock = os.open(self.folder + b"/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)
        self._lock = -1

    def path(self, digest: bytes) -> bytes:
        """Give the path of a content."""
        name = digest.hex().encode()
        return b"/".join((self.folder, name[:1], name[1:]))

    def whole(self, digest: bytes, size: int | None = None) -> bool:
        """Whether a content is there and as it was put; size in bytes where it is known."""
        try:
            found = os.lstat(self.path(digest))
        except OSError:
            return False
        return _sealed(found, digest) and (size is None or found.st_size == size)

    def lacks(self, wanted: dict[bytes, int]) -> set[bytes]:
        """Give those of ``wanted`` (digest → size) that are not there."""
        if len(wanted) <= _MANY:
            return {digest for digest, size in wanted.items() if not self.whole(digest, size)}
        missing = set()
        there: set[str] = set()
        for front in _FOLDERS:
            with contextlib.suppress(OSError):
                there.update(front + name for name in os.listdir(os.fsdecode(self.folder) + "/" + front))
        for digest, size in wanted.items():
            if digest.hex() not in there or not self.whole(digest, size):
                missing.add(digest)
        return missing

    def put(self, data: bytes | memoryview, expected: bytes | None = None) -> bytes:
        """Keep a content and give its digest; nothing is written when it is not the expected one. Raises ProtocolError then, OSError."""
        digest = hashlib.sha256(data).digest()
        if expected is not None and digest != expected:
            raise ProtocolError("expected the content that was listed, got another one")
        path = self.path(digest)
        folder = path[:-64]
        if folder not in self._made:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            self._made.add(folder)
        try:
            _write(path, data, digest)
        except FileExistsError:
            if not self.whole(digest, len(data)):
                self._replace(path, data, digest)
        return digest

    def _replace(self, path: bytes, data: bytes | memoryview, digest: bytes) -> None:
        self._count += 1
        part = b"%s/new/%d-%d" % (self.folder, os.getpid(), self._count)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
        try:
            _write(part, data, digest)
            os.rename(part, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise

    def read(self, digest: bytes) -> bytes:
        """Give a content. Raises OSError."""
        with open(self.path(digest), "rb") as file:
            return file.read()

    def link(self, digest: bytes, name: bytes, folder_fd: int) -> None:
        """Make ``name`` in the open folder a hard link to the content, or a copy where links cannot be. Raises OSError."""
        path = self.path(digest)
        try:
            os.link(path, name, dst_dir_fd=folder_fd, follow_symlinks=False)
        except OSError as error:
            if error.errno == errno.EMLINK:
                # ext4 gives a file 65,000 names, and an empty `__init__.py` comes near: the next ones get a new file.
                self._replace(path, self.read(digest), digest)
                os.link(path, name, dst_dir_fd=folder_fd, follow_symlinks=False)
            elif error.errno in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                _write(name, self.read(digest), digest, folder_fd)
            else:
                raise

    # ---- what nobody uses

    def collect(self, age: float = KEPT_SECONDS, *, now: float | None = None) -> tuple[int, int]:
        """Remove contents that no mirror has used for ``age`` seconds; gives (files, bytes). (0, 0) while a sync runs elsewhere."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0, 0
        try:
            before = (time.time() if now is None else now) - age
            files = size = 0
            for name in os.listdir(self.folder + b"/new"):  # of processes that were killed
                os.unlink(self.folder + b"/new/" + name)
            for path, found in self._contents():
                if found.st_nlink <= 1 and found.st_ctime <= before:
                    os.unlink(path)
                    files, size = files + 1, size + found.st_size
            _touch(self.folder + b"/collected")
            return files, size
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    def due(self) -> bool:
        """Whether the last collection is more than a day ago."""
        try:
            return time.time() - os.lstat(self.folder + b"/collected").st_mtime > _DAY
        except FileNotFoundError:
            _touch(self.folder + b"/collected")
            return False

    def size(self) -> tuple[int, int]:
        """Give (files, bytes) of all contents."""
        files = size = 0
        for _, found in self._contents():
            files, size = files + 1, size + found.st_size
        return files, size

    def _contents(self) -> Iterator[tuple[bytes, os.stat_result]]:
        for front in _FOLDERS:
            with contextlib.suppress(FileNotFoundError), os.scandir(self.folder + b"/" + front.encode()) as entries:
                for entry in entries:
                    yield entry.path, entry.stat(follow_symlinks=False)


def _sealed(found: os.stat_result, digest: bytes) -> bool:
    return found.st_mode & 0o170222 == 0o100000 and found.st_mtime_ns == time_of(digest)


def _write(path: bytes, data: bytes | memoryview, digest: bytes, folder_fd: int | None = None) -> None:
    """Write a file that is whole when it has its time: the last thing that it gets. Four calls of the system."""
    fd = os.open(path, _NEW, MODE, dir_fd=folder_fd)
    try:
        left = len(data)
        while left:
            left -= os.write(fd, data[-left:] if left < len(data) else data)
        moment = time_of(digest)
        os.utime(fd, ns=(moment, moment))
    finally:
        os.close(fd)


def _touch(path: bytes) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    os.utime(path)
