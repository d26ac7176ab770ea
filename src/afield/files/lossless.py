"""Moves, links and copies of one file that write over nothing: the ways into the history and out of it  [P].

Rules: a move of what was looked at checks behind it that it moved just that, and puts back what came in between; a copy
that fails leaves nothing.
"""

import os
import stat as modes

from afield.errors import FileChanged
from afield.files.faults import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PIECE = 1 << 18


def move_new(fd: "int", name: "bytes", there: "int", last: "bytes") -> "None":
    """Move ``name`` in ``fd`` to ``last`` in ``there``, a folder in which nobody else makes names. Raises OSError."""
    try:
        os.stat(last, dir_fd=there, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(name, last, src_dir_fd=fd, dst_dir_fd=there)
        return
    raise FileExistsError(17, "something stands there already")


def is_still(found: "os.stat_result", now: "os.stat_result") -> "bool":
    """Tell whether a file is the one that was found, with its content, whatever name it has by now."""
    before = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode)
    return before == (now.st_ino, now.st_size, now.st_mtime_ns, now.st_mode)


def check_moved(
    fd: "int", name: "bytes", there: "int", last: "bytes", found: "os.stat_result", path: "bytes"
) -> "os.stat_result":
    """Give the stat of ``last`` in ``there``, which was moved from ``name`` in ``fd`` when it was ``found``.

    Somebody may have put another file in its place right before: that one goes back and FileChanged is raised. Raises OSError.
    """
    now = os.stat(last, dir_fd=there, follow_symlinks=False)
    if is_still(found, now):
        return now
    give_back(fd, name, there, last)
    raise FileChanged("%s: it changed right now" % show(path), hint="try again", path=path)


def give_back(fd: "int", name: "bytes", there: "int", last: "bytes") -> "None":
    """Move a file back to a name that was its own; it stays where it is when that was taken meanwhile. Raises OSError."""
    try:
        os.link(last, name, src_dir_fd=there, dst_dir_fd=fd, follow_symlinks=False)
    except FileExistsError:
        return
    except OSError:
        # No hard links here, or none to a folder or to a file of somebody else.
        try:
            move_new(there, last, fd, name)
        except FileExistsError:
            return
    else:
        os.unlink(last, dir_fd=there)


def link_or_copy(fd: "int", name: "bytes", there: "int", last: "bytes") -> "None":
    """Link ``name`` in ``fd`` to ``last`` in ``there``; copy where links are not allowed. Raises OSError."""
    try:
        os.link(name, last, src_dir_fd=fd, dst_dir_fd=there, follow_symlinks=False)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:
        # No hard links on this file system, too many of them, or not ours (fs.protected_hardlinks).
        if modes.S_ISLNK(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
            os.symlink(os.readlink(name, dir_fd=fd), last, dir_fd=there)
        else:
            _copy(fd, name, there, last)


def _copy(fd: "int", name: "bytes", there: "int", last: "bytes") -> "None":
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
    try:
        target = os.open(last, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=there)
        try:
            stat = os.fstat(source)
            while True:
                piece = os.read(source, PIECE)
                if not piece:
                    break
                write_all(target, piece)
            os.fchmod(target, modes.S_IMODE(stat.st_mode))
            os.utime(target, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
        except OSError:
            os.unlink(last, dir_fd=there)
            raise
        finally:
            os.close(target)
    finally:
        os.close(source)


def write_all(fd: "int", data: "Any") -> "None":
    """Write all of ``data``: a write may take less when the disk fills up. Raises OSError."""
    done = os.write(fd, data)
    while done < len(data):
        done += os.write(fd, data[done:])
