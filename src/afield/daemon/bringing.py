"""Brings back what a run changed outside the project: into the files that its command named, and no others.

Rules: a file is replaced by a temporary one and a rename, and only when it is still the one that was sent; nothing is written where
packages are installed, and no compiled code; what a program appends while it runs is appended here, because somebody may be
reading along. What must not go in: talking to the place (courier).
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from afield.daemon import closure
from afield.daemon.courier import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class Bringer:
    """What one run may change here. ``sent``: digest by path, None for what was not there; ``folders`` may get new files."""

    def __init__(self, sent: Mapping[bytes, str | None], folders: frozenset[bytes]) -> None:
        self._sent = dict(sent)
        self._folders = folders
        self._appended: dict[bytes, tuple[int, int]] = {}  # inode and size of what we have written so far

    def append(self, path: bytes, at: int, data: bytes) -> None:
        """Add to a file what the program added there; nothing when the file here is not as far."""
        if not self._is_ours(path):
            return
        before = self._appended.get(path)
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            created = before is None and self._sent.get(path) is None
            fd = os.open(path, flags | (os.O_CREAT | os.O_EXCL if created else 0), 0o600)
            with os.fdopen(fd, "wb", buffering=0) as file:
                info = os.fstat(fd)
                if not stat.S_ISREG(info.st_mode) or info.st_size != at or before not in (None, (info.st_ino, at)):
                    return
                file.write(data)
                self._appended[path] = (info.st_ino, at + len(data))

    def finish(self, changed: list[tuple[bytes, bytes, int]], gone: list[bytes]) -> list[bytes]:
        """Write what changed, remove what went; gives the paths that were left alone because they changed here, too."""
        kept = []
        for path, data, mode in changed:
            if not self._is_ours(path) or not self._unchanged(path):
                if not self._complete(path, data):
                    kept.append(path)
                continue
            if not self._complete(path, data):
                self._write(path, data, mode)
        for path in gone:
            if self._is_ours(path) and self._sent.get(path) and self._unchanged(path):
                with contextlib.suppress(OSError):
                    os.unlink(path)
        return kept

    def _is_ours(self, path: bytes) -> bool:
        parts = path.split(b"/")
        if b"site-packages" in parts or b"dist-packages" in parts or b"__pycache__" in parts:
            return False
        if path.endswith((b".pyc", b".pyo")):
            return False
        return path in self._sent or any(closure.is_below(path, folder) for folder in (*self._folders, *self._new()))

    def _new(self) -> list[bytes]:
        return [path for path, digest in self._sent.items() if digest is None]

    def _unchanged(self, path: bytes) -> bool:
        """Say whether the file here is the one that was sent, or still missing."""
        if path in self._appended:
            info = _status(path)
            return info is not None and (info.st_ino, info.st_size) == self._appended[path]
        wanted = self._sent.get(path)
        try:
            return digest_of(path)[0] == wanted
        except OSError:
            return wanted is None

    def _complete(self, path: bytes, data: bytes) -> bool:
        """Finish a file that was followed: it has what there is, or what is missing is appended."""
        if path not in self._appended:
            return False
        with contextlib.suppress(OSError):
            with open(path, "rb") as file:
                have = file.read()
            if data.startswith(have):
                self.append(path, len(have), data[len(have) :])
                return True
        return False

    def _write(self, path: bytes, data: bytes, mode: int) -> None:
        folder = os.path.dirname(path)
        before = _status(path)
        if path not in self._sent or any(closure.is_below(folder, new) for new in self._new()):
            os.makedirs(folder, exist_ok=True)
        part = path + b".%d.afield-part" % os.getpid()
        try:
            fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                os.fchmod(fd, stat.S_IMODE(before.st_mode) if before else mode & 0o755 | 0o600)
            os.replace(part, path)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(part)


def _status(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None
