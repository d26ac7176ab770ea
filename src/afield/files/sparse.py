"""Which parts of a file are holes: zeros that take no room on the disk  [P].

Rules: only what the file system says with SEEK_DATA and SEEK_HOLE (a pass over the bytes would cost more than it saves);
where it cannot say, all is data. Nothing is read.
"""

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Tuple

SEEK_DATA = getattr(os, "SEEK_DATA", 3)
SEEK_HOLE = getattr(os, "SEEK_HOLE", 4)
# st_blocks counts these, whatever the file system's own blocks are.
SECTOR = 512
# Holes smaller than this are not worth a step of their own; disk blocks are 4 KiB nearly everywhere.
LEAST = 4096


def ranges(fd: "int", start: "int", size: "int", align: "int") -> "Iterator[Tuple[int, int, bool]]":
    """Yield (start, stop, whether it is a hole) for the bytes from ``start`` to ``size``; holes begin and end at ``align``."""
    found = os.fstat(fd)
    if found.st_blocks * SECTOR >= size or not hasattr(os, "SEEK_HOLE"):
        if start < size:
            yield start, size, False
        return
    at = start
    while at < size:
        begin, end = _next_hole(fd, at, size)
        begin = -(-begin // align) * align
        end = end if end == size else end // align * align
        if end - begin < LEAST:
            # Too small when aligned: it goes along as data, and the search goes on behind it.
            end = max(end, begin, at + align)
            yield at, min(end, size), False
        else:
            if begin > at:
                yield at, begin, False
            yield begin, end, True
        at = min(end, size)


def _next_hole(fd: "int", at: "int", size: "int") -> "Tuple[int, int]":
    """Give (begin, end) of the next hole at or behind ``at``; (size, size) when there is none."""
    try:
        begin = min(os.lseek(fd, at, SEEK_HOLE), size)
    except OSError:
        return size, size
    if begin >= size:
        return size, size
    try:
        return begin, min(os.lseek(fd, begin, SEEK_DATA), size)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return begin, size  # a hole up to the end
        return size, size
