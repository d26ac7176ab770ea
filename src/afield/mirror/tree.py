"""The folders of a mirror on the disk: read-only, built aside and moved into place, a unit at a time.

Rules: every folder from ``.afield`` down to a unit must be a folder and no link, else nothing is written; folders are 0555 but for the
moment in which a unit changes places; a unit is never half there. What must not go in: what belongs where.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Self

from afield.errors import FileFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Put = Callable[[bytes, bytes, int], None]  # (path in the root, name, folder fd)

SEALED, OPENED = 0o555, 0o755
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
STAGING = b"mirror.new"


class Tree:
    """The tree below ``base`` (the project's ``.afield``). ``close`` seals what was opened and empties the staging folder."""

    def __init__(self, base: bytes) -> None:
        self.base = base
        self._opened: list[bytes] = []
        self._staged = 0

    def __enter__(self) -> Self:
        make_folder(self.base)
        self._drop_staging()
        return self

    def __exit__(self, *_: object) -> None:
        for path in reversed(self._opened):
            with contextlib.suppress(OSError):
                os.chmod(path, SEALED)
        self._opened.clear()
        with contextlib.suppress(OSError):
            self._drop_staging()

    def _drop_staging(self) -> None:
        remove(self.base + b"/" + STAGING)

    def open(self, here: bytes) -> bytes:
        """Make a folder (relative to base) writable, it and those above it made where missing; gives its path. Raises FileFailed, OSError."""
        path = self.base
        for part in here.split(b"/"):
            path += b"/" + part
            made = make_folder(path)
            # base itself is everybody's (the shim's base/bin lies in one), so only what is the mirror's alone is sealed.
            if path in self._opened or path == self.base + b"/base":
                continue
            if not made:
                os.chmod(path, OPENED)
            self._opened.append(path)
        return path

    def stage(self, name: bytes, kind: str, paths: Iterable[bytes], put: Put) -> bytes:
        """Build a unit aside; ``put`` makes each file. Gives the path of what was built. Raises OSError."""
        staging = self.base + b"/" + STAGING
        make_folder(staging)
        self._staged += 1
        top = staging + b"/%d" % self._staged
        os.mkdir(top, 0o700)
        if kind == "f":
            fd = os.open(top, _FOLDER)
            try:
                for path in paths:
                    put(path, name, fd)
            finally:
                os.close(fd)
        else:
            os.mkdir(top + b"/" + name, OPENED)
            _fill(top, paths, put)
        return top + b"/" + name

    def swap(self, staged: bytes | None, here: bytes, name: bytes) -> None:
        """Put what was staged (None: nothing) in the place of the unit ``name`` of an open root. Raises OSError."""
        target = self.base + b"/" + here + b"/" + name
        if os.path.lexists(target):
            aside = self.base + b"/" + STAGING
            make_folder(aside)
            self._staged += 1
            old = aside + b"/%d.old" % self._staged
            _open_up(target)
            os.rename(target, old)
            if staged is not None:
                os.rename(staged, target)
            remove(old)
        elif staged is not None:
            os.rename(staged, target)
        if staged is not None and stat.S_ISDIR(os.lstat(target).st_mode):
            seal(target)


def _fill(top: bytes, paths: Iterable[bytes], put: Put) -> None:
    """Make the files of a unit, one folder after another: opening each once saves the walk down for every file."""
    by_folder: dict[bytes, list[bytes]] = {}
    for path in paths:
        folder, _, name = path.rpartition(b"/")
        by_folder.setdefault(folder, []).append(name)
    made: set[bytes] = set()
    for folder, names in sorted(by_folder.items()):
        parts = folder.split(b"/")
        for depth in range(1, len(parts) + 1):
            inner = b"/".join(parts[:depth])
            if inner not in made:
                made.add(inner)
                if depth > 1:
                    os.mkdir(top + b"/" + inner, OPENED)
        fd = os.open(top + b"/" + folder, _FOLDER)
        try:
            for name in names:
                put(folder + b"/" + name, name, fd)
        finally:
            os.close(fd)


def seal(path: bytes) -> None:
    """Make a folder and all below it read-only."""
    for folder, _, _ in os.walk(path, topdown=False, followlinks=False):
        os.chmod(folder, SEALED)


def _open_up(path: bytes) -> None:
    # Moving a folder to another parent writes its "..": the folder itself must be writable.
    if stat.S_ISDIR(os.lstat(path).st_mode):
        os.chmod(path, OPENED)


def make_folder(path: bytes) -> bool:
    """Make a folder, or see that one stands there and no link; gives whether it was made. Raises FileFailed, OSError."""
    try:
        os.mkdir(path, OPENED)
        return True
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            name = os.fsdecode(path)
            raise FileFailed(
                f"expected a folder at {name}, something else stands there",
                hint="a mirror goes only into folders of its own: remove it",
                path=name,
            ) from None
        return False


def remove(path: bytes) -> int:
    """Remove a tree of read-only folders; links are removed and not followed. Gives the number of files. Raises OSError."""
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
            return 1
    except FileNotFoundError:
        return 0
    count = 0
    os.chmod(path, 0o700)
    with os.scandir(path) as entries:
        found = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for inner, is_folder in found:
        if is_folder:
            count += remove(inner)
        else:
            os.unlink(inner)
            count += 1
    os.rmdir(path)
    return count
