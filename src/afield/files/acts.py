"""The ops of an apply that bring no content: link, mode, remove, move  [P].

Rules: each looks right before it takes effect whether there stands what its row says, and is refused otherwise; what it
replaces or removes goes to history.
"""

import os

from afield.errors import BadPath
from afield.files import steps
from afield.files.bundle import OPEN, stat_of
from afield.files.faults import show
from afield.files.lossless import check_moved
from afield.files.stage import Refused, keep_mode, remove_folder, standing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from afield.files.apply import Apply
    from afield.files.columns import Row, StatRow


def link(work: "Apply", row: "Row") -> "StatRow":
    """Op ``link``. Raises Refused, FilesError, OSError."""
    path, kind, was, target = row[1], row[2], row[3], row[8]
    if not target:
        raise BadPath("%s: expected the target of a link, got nothing" % show(path), path=path)
    folder, name = work.locate_real(path)
    found = standing(folder, name, kind, was)
    if found is not None and kind == "d":
        remove_folder(folder, name)
        found = None
    if found is None:
        try:
            os.symlink(target, name, dir_fd=folder)
        except FileExistsError:
            raise Refused("something stands there already")
    else:
        staged = work.stage.name()
        os.symlink(target, staged, dir_fd=work.stage.fd)
        try:
            work.stage.swap(staged, folder, name, path, found)
        finally:
            work.stage.drop(staged)
    stat = stat_of(os.stat(name, dir_fd=folder, follow_symlinks=False))
    work.report(path, stat)
    return stat


def mode(work: "Apply", row: "Row") -> "StatRow":
    """Op ``mode``. Raises Refused, FilesError, OSError."""
    path, kind, was, executable = row[1], row[2], row[3], row[5]
    folder, name = work.locate_real(path)
    found = standing(folder, name, kind, was)
    if found is None or kind != "f":
        raise Refused("only a file has an executable bit")
    fd = os.open(name, OPEN, dir_fd=folder)
    try:
        if stat_of(os.fstat(fd)) != was:
            raise Refused("it changed since it was scanned")
        steps.at("mode")
        keep_mode(fd, found, executable)
        stat = stat_of(os.fstat(fd))
    finally:
        os.close(fd)
    work.report(path, stat)
    return stat


def remove(work: "Apply", row: "Row") -> "None":
    """Op ``remove``. Raises Refused, FilesError, OSError."""
    path, kind, was = row[1], row[2], row[3]
    folder, name = work.locate_real(path)
    found = standing(folder, name, kind, was)
    if found is None:
        raise Refused("it is gone")
    if kind == "d":
        work.root.forget()
        folder, name = work.locate(path)
        steps.at("remove")
        remove_folder(folder, name)
        steps.at("removed")
        work.history.keep_folder(path)
    else:
        work.history.keep_move(folder, name, path, found)
    work.report(path, None)


def move(work: "Apply", row: "Row") -> "Optional[StatRow]":
    """Op ``move``: a rename, when nothing stands at the other path. Raises Refused, FilesError, OSError."""
    path, kind, was, to = row[1], row[2], row[3], row[8]
    work.publish()
    folder, name = work.locate(path)
    found = standing(folder, name, kind, was)
    if found is None:
        raise Refused("it is gone")
    target, last = work.locate(to)
    try:
        there = os.stat(last, dir_fd=target, follow_symlinks=False)
        # On a file system that takes Readme for README both names are the same entry, and a rename is meant.
        if there.st_ino != found.st_ino or path.lower() != to.lower() or path == to:
            raise Refused("something stands at %s already" % show(to))
    except FileNotFoundError:
        pass
    steps.at("move")
    os.rename(name, last, src_dir_fd=folder, dst_dir_fd=target)
    steps.at("moved")
    if kind == "d":
        work.report(path, None)
        work.root.forget()
        return None
    stat = stat_of(check_moved(folder, name, target, last, found, path))
    work.report(path, None)
    work.report(to, stat)
    return stat


ACTS = {"L": link, "M": mode, "R": remove, "V": move}
