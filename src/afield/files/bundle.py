"""The read side: many files as one stream of bytes, and the parser of that stream  [P].

For each file: u64 LE length, bytes, one status byte (0 good, 1 bad), SHA-256 of the bytes. Rules: a file is good only
if it was the one that was asked for before *and* after it was read; a length that was promised is always delivered
(padded with zeros when the file shrank), so the stream never loses its step. Nothing is written here.
"""

import hashlib
import os
import struct
from time import monotonic

from afield.errors import AfieldError, FileChanged, ProtocolError, WrongKind
from afield.files.faults import from_os_error, show
from afield.files.handles import kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, List, Optional, Tuple

    from afield.files.columns import StatRow
    from afield.files.handles import Handles

HEAD = struct.Struct("<Q")
TAIL = 33
GOOD, BAD = b"\0", b"\1"
# Large enough that the cost of a record vanishes, small enough that other requests get in between.
PIECE = 1 << 18
OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
EMPTY_BAD = HEAD.pack(0) + BAD + hashlib.sha256().digest()
ZEROS = b"\0" * PIECE


def stat_of(found: "os.stat_result") -> "StatRow":
    """Give (size, mtime_ns, ino, ctime_ns)."""
    return (found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns)


def open_file(handles: "Handles", path: "bytes") -> "Tuple[int, os.stat_result]":
    """Open a plain file below the root for reading. Raises an AfieldError that says why not."""
    try:
        folder, name = handles.locate(path)
        # NONBLOCK: opening a fifo must not hang; what is no file is turned away below, before a byte is read.
        fd = os.open(name, OPEN, dir_fd=folder)
    except OSError as error:
        raise from_os_error(error, path)
    found = os.fstat(fd)
    if kind_of(found.st_mode) != "f":
        os.close(fd)
        raise WrongKind("%s: expected a file, got something else" % show(path), path=path)
    return fd, found


class Pack:
    """Makes the stream for (path, stat or None) items; ``failed`` fills with [path, code, text]."""

    def __init__(self, handles: "Handles", items: "List[Tuple[bytes, Optional[StatRow]]]") -> "None":
        self.handles = handles
        self.items = items
        self.failed: "List[List[Any]]" = []
        self.pending: "List[bytes]" = []
        self.size = 0

    def run(self, task: "Any") -> "Iterator[Optional[bytes]]":
        """Yield pieces of at least 256 KiB (the last may be smaller), and None when ``task.until`` has come."""
        for path, stat in self.items:
            try:
                fd, found = open_file(self.handles, path)
            except AfieldError as error:
                self._fail(path, error)
                continue
            try:
                if stat is not None and stat_of(found) != stat:
                    self._fail(path, FileChanged("%s: it changed since it was scanned" % show(path)))
                elif found.st_size <= PIECE:
                    self._small(fd, path, found)
                else:
                    for piece in self._large(fd, path, found):
                        yield piece
                        self.handles.forget()
            finally:
                os.close(fd)
            if self.size >= PIECE:
                yield self._take()
                self.handles.forget()
            elif monotonic() >= task.until:
                yield None
                self.handles.forget()
        if self.size:
            yield self._take()

    def _fail(self, path: "bytes", error: "AfieldError") -> "None":
        self.failed.append([path, error.code, error.text])
        self._add(EMPTY_BAD)

    def _add(self, data: "bytes") -> "None":
        self.pending.append(data)
        self.size += len(data)

    def _take(self) -> "bytes":
        whole = b"".join(self.pending)
        self.pending, self.size = [], 0
        return whole

    def _small(self, fd: "int", path: "bytes", found: "os.stat_result") -> "None":
        size = found.st_size
        try:
            # One byte more than promised tells of growth without another call.
            data = os.read(fd, size + 1)
        except OSError as error:
            self._fail(path, from_os_error(error, path))
            return
        if len(data) != size or stat_of(os.fstat(fd)) != stat_of(found):
            self._fail(path, FileChanged("%s: it changed while it was read" % show(path)))
            return
        self.pending.append(b"".join((HEAD.pack(size), data, GOOD, hashlib.sha256(data).digest())))
        self.size += size + 41

    def _large(self, fd: "int", path: "bytes", found: "os.stat_result") -> "Iterator[bytes]":
        self._add(HEAD.pack(found.st_size))
        hasher = hashlib.sha256()
        left = found.st_size
        fault: "Optional[AfieldError]" = None
        while left:
            data = b""
            if fault is None:
                try:
                    data = os.read(fd, min(left, PIECE))
                except OSError as error:
                    fault = from_os_error(error, path)
                if not data and fault is None:
                    fault = FileChanged("%s: it became shorter while it was read" % show(path))
            if fault is not None:
                data = ZEROS[: min(left, PIECE)]
            hasher.update(data)
            left -= len(data)
            self._add(data)
            yield self._take()
        if fault is None and stat_of(os.fstat(fd)) != stat_of(found):
            fault = FileChanged("%s: it changed while it was read" % show(path))
        if fault is not None:
            self.failed.append([path, fault.code, fault.text])
        self._add((BAD if fault else GOOD) + hasher.digest())


class Unpack:
    """Cuts the stream back into files: whole ones when they are here, pieces of those that are larger than a few."""

    # A file up to this size waits until it is here as a whole: one write, one hash.
    WHOLE = 2 * PIECE

    def __init__(self) -> "None":
        self.data = b""
        self.view = memoryview(b"")
        self.at = 0

    def feed(self, piece: "bytes") -> "None":
        """Take the next piece; what is not used up yet stays."""
        self.data = self.data[self.at :] + piece if self.at < len(self.data) else piece
        self.view = memoryview(self.data)
        self.at = 0

    def length(self) -> "Optional[int]":
        """Give the length of the file that comes next without taking it, None while it is not here."""
        if len(self.data) - self.at < 8:
            return None
        size: "int" = HEAD.unpack_from(self.data, self.at)[0]
        if size >= 1 << 63:
            raise ProtocolError("expected the length of a file, got %d" % size)
        return size

    def whole(self) -> "Optional[Tuple[memoryview, int, bytes]]":
        """Give (content, status, digest) of the next file when all of it is here, else None."""
        start = self.at + 8
        if len(self.data) < start:
            return None
        stop = start + HEAD.unpack_from(self.data, self.at)[0]
        if len(self.data) < stop + TAIL:
            return None
        self.at = stop + TAIL
        return self.view[start:stop], self.data[stop], self.data[stop + 1 : self.at]

    def skip_head(self) -> "None":
        """Step over the length: the content is then taken with ``some``."""
        self.at += 8

    def some(self, most: "int") -> "memoryview":
        """Give what is here of the content, at most ``most`` bytes; empty when nothing is."""
        found = self.view[self.at : self.at + most]
        self.at += len(found)
        return found

    def tail(self) -> "Optional[Tuple[int, bytes]]":
        """Give (status, digest) after the content, None while they are not here."""
        if len(self.data) - self.at < TAIL:
            return None
        start = self.at
        self.at += TAIL
        return self.data[start], self.data[start + 1 : self.at]
