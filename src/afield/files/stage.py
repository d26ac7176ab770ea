"""Putting one file into place: written under a name of its own in staging, then linked or renamed  [P].

Rules: at its path a file is the old one or the whole new one at every moment; a name that was free is taken with a
call that fails when it is taken meanwhile; what is replaced is in history before. No fsync: a killed process leaves
whole files, and after a power cut the next scan sees what is there. Permission bits and owner of a replaced file stay.
"""

import errno
import os
import stat as modes

from afield.files import steps
from afield.files.bundle import stat_of
from afield.files.handles import kind_of
from afield.files.lossless import is_still, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from afield.files.columns import StatRow
    from afield.files.history import History

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
NO_LINKS = (errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES)


class Refused(Exception):  # noqa: N818  an answer, not an error: what stands there is simply something else
    """What stands at the path is not what the op said; the text says what."""


def standing(fd: "int", name: "bytes", kind: "Optional[str]", was: "Optional[StatRow]") -> "Optional[os.stat_result]":
    """Look at what stands at ``name``; raise Refused unless it is what the op said. Raises OSError."""
    try:
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        if kind is None:
            return None
        raise Refused("it is gone")
    if kind is None:
        raise Refused("something stands there already")
    is_now = kind_of(found.st_mode)
    if is_now == "o" or is_now != kind:
        raise Refused("expected kind %s, got %s" % (kind, is_now))
    if kind != "d" and stat_of(found) != was:
        raise Refused("it changed since it was scanned")
    return found


class Stage:
    """Staged files of one worker in the folder handle ``fd``."""

    def __init__(self, fd: "int", history: "History", kept: "int" = -1) -> "None":
        self.fd = fd
        # The folder above, where unfinished large files of all workers are kept.
        self.kept = kept
        self.history = history
        self.counter = 0
        self.links = True

    def name(self) -> "bytes":
        """Give a name that is free in staging."""
        self.counter += 1
        return b"%d" % self.counter

    def create(self, name: "bytes", executable: "bool") -> "int":
        """Open a new staged file for writing. Raises OSError."""
        steps.at("stage")
        return os.open(name, CREATE, 0o777 if executable else 0o666, dir_fd=self.fd)

    def drop(self, name: "bytes") -> "None":
        """Remove a staged file that is not wanted any more."""
        try:
            os.unlink(name, dir_fd=self.fd)
        except OSError:
            pass  # it went into place, or the next open sweeps

    def put(self, data: "Any", folder: "int", name: "bytes", row: "Any") -> "StatRow":
        """Write ``data`` and put it into place. Raises Refused, OSError; nothing is changed then."""
        staged = self.name()
        fd = self.create(staged, row[5])
        try:
            write_all(fd, data)
            return self.place(fd, staged, folder, name, row)
        except BaseException:
            self.drop(staged)
            raise
        finally:
            os.close(fd)

    def place(self, fd: "int", staged: "bytes", folder: "int", name: "bytes", row: "Any") -> "StatRow":
        """Move the written file (open as ``fd``) to ``name`` in ``folder``, as the put ``row`` says. Raises as ``put``."""
        _, path, kind, was, _, executable, mtime, _, _ = row
        steps.at("staged")
        found = standing(folder, name, kind, was)
        if kind == "f" and found is not None:
            keep_mode(fd, found, executable)
        os.utime(fd, ns=(mtime, mtime))
        steps.at("place")
        if found is None or kind == "d":
            if kind == "d":
                remove_folder(folder, name)
            self.take_free_name(staged, folder, name)
        else:
            self.swap(staged, folder, name, path, found)
        steps.at("placed")
        return stat_of(os.fstat(fd))

    def swap(self, staged: "bytes", folder: "int", name: "bytes", path: "bytes", found: "os.stat_result") -> "None":
        """Keep what stands at ``name`` (which was ``found``), then replace it in one step. Raises Refused, OSError."""
        if self.history.enabled:
            self.history.keep_link(folder, name, path, found.st_size)
            # Linking takes a moment and changes the ctime: look at the rest again.
            now = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not is_still(found, now):
                raise Refused("it changed right now")
        os.rename(staged, name, src_dir_fd=self.fd, dst_dir_fd=folder)

    def take_free_name(self, staged: "bytes", folder: "int", name: "bytes") -> "None":
        """Move a staged file to a name that must be free. Raises Refused, OSError."""
        if self.links:
            try:
                os.link(staged, name, src_dir_fd=self.fd, dst_dir_fd=folder, follow_symlinks=False)
                os.unlink(staged, dir_fd=self.fd)
                return
            except FileExistsError:
                raise Refused("something stands there already")
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                if error.errno not in (errno.EACCES, errno.EPERM):
                    self.links = False
        standing(folder, name, None, None)
        os.rename(staged, name, src_dir_fd=self.fd, dst_dir_fd=folder)


def keep_mode(fd: "int", old: "os.stat_result", executable: "bool") -> "None":
    """Give the new file the permission bits of the old one but for the executable bits, and its owner if allowed."""
    mode = modes.S_IMODE(old.st_mode) & ~0o111
    if executable:
        # Who may read may execute, as a umask would have it; bits that stood stay as they were.
        mode = old.st_mode & 0o777 if old.st_mode & 0o100 else mode | (mode & 0o444) >> 2
    now = os.fstat(fd)
    if (old.st_uid, old.st_gid) != (now.st_uid, now.st_gid):
        try:
            os.fchown(fd, old.st_uid, old.st_gid)
        except OSError:
            mode &= 0o777  # set-id bits must not pass to another owner
    if modes.S_IMODE(now.st_mode) != mode:
        os.fchmod(fd, mode)


def remove_folder(fd: "int", name: "bytes") -> "None":
    """Remove an empty folder, or one with nothing but Python's caches in it. Raises Refused, OSError."""
    try:
        os.rmdir(name, dir_fd=fd)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if not _drop_caches(fd, name):
            raise Refused("the folder is not empty: what is in it is not synced or is new")
        os.rmdir(name, dir_fd=fd)


def _drop_caches(fd: "int", name: "bytes") -> "bool":
    from afield.files.handles import open_folder

    folder = open_folder(name, fd)
    try:
        if os.listdir(folder) != ["__pycache__"]:
            return False
        cache = open_folder(b"__pycache__", folder)
        try:
            names = os.listdir(cache)
            if not all(".pyc" in inner for inner in names):
                return False
            for inner in names:
                os.unlink(os.fsencode(inner), dir_fd=cache)
        finally:
            os.close(cache)
        os.rmdir(b"__pycache__", dir_fd=folder)
        return True
    finally:
        os.close(folder)
