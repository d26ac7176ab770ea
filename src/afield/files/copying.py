"""Makes a file from one that is here already: op ``copy`` of an apply, for content that the other end need not send  [P].

Rules: what is copied is read as it stands, and only what has the size and the SHA-256 of the op gets its name: no stat of
the original is trusted. Holes stay holes. The original may be any file below the root that a peer may write to.
"""

import hashlib
import os
from time import monotonic

from afield.errors import AfieldError
from afield.files import steps
from afield.files.bundle import ZEROS, open_file
from afield.files.faults import from_os_error, show
from afield.files.guards import forbid, raise_again
from afield.files.lossless import write_all
from afield.files.stage import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

    from afield.files.apply import Apply
    from afield.files.columns import Row
    from afield.files.tasks import Task

PIECE = len(ZEROS)


def copy_file(work: "Apply", index: "int", row: "Row", task: "Task") -> "Iterator[None]":
    """Do one copy, in slices; notes its result, which is ``refused`` when the original is not that content any more."""
    staged, fd = work.stage.name(), -1
    try:
        fault: "Any" = None
        digest = b""
        try:
            forbid(row[8])
            source, found = open_file(work.root, row[8])
            try:
                if found.st_size != row[4]:
                    raise Refused("%s is not what was to be copied" % show(row[8]))
                steps.at("copy")
                fd = work.stage.create(staged, row[5])
                hasher = hashlib.sha256()
                for _ in _copy(source, fd, row[4], hasher, task):
                    yield
                digest = hasher.digest()
                if digest != row[7]:
                    raise Refused("%s is not what was to be copied" % show(row[8]))
            finally:
                os.close(source)
        except (Refused, AfieldError) as error:
            fault = error
        except OSError as error:
            fault = from_os_error(error, row[1])
        if fault is not None:
            work.guarded(index, row[1], lambda: raise_again(fault))
        else:
            work.guarded(index, row[1], lambda: work.place(index, fd, staged, row, row[4], (0, digest), digest, None))
        steps.at("copied")
    finally:
        if fd >= 0:
            os.close(fd)
            work.stage.drop(staged)


def _copy(source: "int", target: "int", size: "int", hasher: "Any", task: "Task") -> "Iterator[None]":
    """Copy ``size`` bytes; a file that ends early gives another digest."""
    left = size
    while left:
        data = os.read(source, min(PIECE, left))
        if not data:
            return
        hasher.update(data)
        left -= len(data)
        if data == ZEROS[: len(data)]:
            os.lseek(target, len(data), os.SEEK_CUR)
        else:
            write_all(target, data)
        if monotonic() >= task.until:
            yield
    os.ftruncate(target, size)
