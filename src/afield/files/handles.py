"""Folder handles below one base folder: every path is resolved without ever following a symlink  [P].

Rules: one component at a time with O_DIRECTORY | O_NOFOLLOW, so a link that is swapped in between a check and its
use leads nowhere. Handles are cached for one slice of work only (``forget``): a folder that is moved away meanwhile
must not be written to for longer than that. Which paths may be touched is not decided here.
"""

import os
import stat as modes

from afield.errors import BadPath, WrongKind
from afield.files.faults import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Tuple

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# The agent promises at most 20 open files at a place; three caches of this kind and about six others are open.
HANDLES = 6
KINDS = {modes.S_IFDIR: "d", modes.S_IFREG: "f", modes.S_IFLNK: "l"}


def kind_of(mode: "int") -> "str":
    """Give the kind letter for a mode: d, f, l, or o for sockets, fifos and devices."""
    return KINDS.get(modes.S_IFMT(mode), "o")


def open_folder(name: "bytes", above: "int") -> "int":
    """Open one folder in another by handle, never through a symlink. Raises OSError."""
    return os.open(name, FOLDER, dir_fd=above)


class Handles:
    """Handles of the folders below ``fd``, which the caller owns; ``device`` is the file system they must be on."""

    __slots__ = ("device", "fd", "folders")

    def __init__(self, fd: "int") -> "None":
        self.fd = fd
        self.device = os.fstat(fd).st_dev
        self.folders: "Dict[bytes, int]" = {}

    def folder(self, path: "bytes") -> "int":
        """Give the handle of the folder at ``path`` (relative; b"" is the base). It stays ours: do not close it.

        Raises OSError as the system does, BadPath for a part that is no name, WrongKind for another file system.
        """
        if not path:
            return self.fd
        found = self.folders.get(path)
        if found is not None:
            return found
        above, _, name = path.rpartition(b"/")
        if name in (b"", b".", b"..") or b"\0" in name or path[:1] == b"/":
            raise BadPath("expected a path below the root, got %s" % show(path), path=path)
        fd = open_folder(name, self.folder(above))
        if os.fstat(fd).st_dev != self.device:
            os.close(fd)
            raise WrongKind("%s: another file system is mounted here" % show(path), path=path)
        if len(self.folders) >= HANDLES:
            self._drop_one(above)
        self.folders[path] = fd
        return fd

    def make(self, path: "bytes", mode: "int" = 0o700) -> "int":
        """Give the handle of the folder at ``path``, made with its parents when missing. Raises as ``folder``."""
        try:
            return self.folder(path)
        except FileNotFoundError:
            above, _, name = path.rpartition(b"/")
            try:
                os.mkdir(name, mode, dir_fd=self.make(above, mode))
            except FileExistsError:
                pass
            return self.folder(path)

    def _drop_one(self, kept: "bytes") -> "None":
        # The oldest that is not on the way to the new one: siblings come one after another.
        for path in list(self.folders):
            if kept != path and not kept.startswith(path + b"/"):
                break
        else:
            path = next(iter(self.folders))
        os.close(self.folders.pop(path))

    def locate(self, path: "bytes") -> "Tuple[int, bytes]":
        """Give (handle of the folder, name in it) for the entry at ``path``. Raises as ``folder``."""
        above, _, name = path.rpartition(b"/")
        if name in (b"", b".", b"..") or b"\0" in name or (not above and path[:1] == b"/"):
            raise BadPath("expected a path below the root, got %s" % show(path), path=path)
        return self.folder(above), name

    def lstat(self, path: "bytes") -> "os.stat_result":
        """Look at the entry itself, never at what it points to. Raises OSError, BadPath, WrongKind."""
        if not path:
            return os.fstat(self.fd)
        fd, name = self.locate(path)
        return os.stat(name, dir_fd=fd, follow_symlinks=False)

    def forget(self) -> "None":
        """Close all cached handles."""
        folders, self.folders = self.folders, {}
        for fd in folders.values():
            os.close(fd)
