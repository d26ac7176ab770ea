"""The two verbs that read for a large file: ``signature`` where it is to go, ``patch`` where it comes from  [P].

Rules: a file that is not the one that was asked for, before or after it was read, is marked bad and never put in place;
the rows of the other end may come while this end reads; no more than a search window of the file is in memory. What
is found is decided in ``delta.py``; what the stream looks like stands in ``patch.py`` and ``blocks.py``.
"""

import hashlib
import os
from time import monotonic

from afield.errors import FileChanged, ProtocolError
from afield.files import partials, patch
from afield.files.blocks import KEPT, OLD, SMALLEST, Table, TableReader, block_size, digest_of, rows_of, table_head
from afield.files.bundle import PIECE, open_file, stat_of
from afield.files.columns import stat_row
from afield.files.delta import NEED, REST, Matcher
from afield.files.faults import from_os_error, show
from afield.files.sparse import ranges
from afield.files.squeeze import Squeezer
from afield.files.tasks import WAIT
from afield.tree.paths import check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Generator, Iterator, List, Optional

    from afield.files.service import Service

# One read of the side that only hashes: a few blocks at once, and a slice is not much longer than it should be.
READ = 1 << 20
# Rows go out often, so that the other end compares while this one goes on hashing: about 40 MB of a file at a time.
ROWS_PART = 32 << 10
# So do long copies, so that the other end builds while this one goes on comparing.
TOLD_PART = 16 << 20


def signature(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``signature``: parts are bytes of tables (``blocks.py``), of what is kept of ``path`` and of the file there."""
    root, path, was, block = service.need_state(), check(args.get("path", b"")), args.get("was"), args.get("block")
    assert service.state is not None
    if type(block) is not int or block_size(0) is None or block < SMALLEST:
        raise ProtocolError("expected signature with a block size, got %.100r" % (args,))
    sizes = {"kept": 0, "old": 0}
    kept = partials.open_kept(service.state.stages, path, service.state.staging)
    if kept >= 0:
        for part in _rows(kept, KEPT, os.fstat(kept).st_size, block, task):
            yield part
        sizes["kept"] = 1
    if was is not None:
        fd, found = open_file(root, path)
        root.forget()
        if stat_of(found) != stat_row(was):
            os.close(fd)
            raise FileChanged("%s: it changed since it was scanned" % show(path), path=path)
        for part in _rows(fd, OLD, found.st_size, block, task):
            yield part
        sizes["old"] = 1
    return sizes


def _rows(fd: "int", which: "int", size: "int", block: "int", task: "Any") -> "Iterator[Optional[bytes]]":
    """Yield the table of an open file and close it; a file that shrinks meanwhile gives rows that match nothing."""
    try:
        Table(size, block)  # says no to sizes that the other end would refuse
        ready = table_head(which, size, block)
        step = max(block, READ // block * block)
        for start in range(0, size, step):
            length = min(step, size - start)
            data = os.pread(fd, length, start)
            ready += b"".join(rows_of(data.ljust(length, b"\0"), block))
            if len(ready) >= ROWS_PART or start == 0:
                yield ready
                ready = b""
            elif monotonic() >= task.until:
                yield None
        if ready:
            yield ready
    finally:
        os.close(fd)


class Patch:
    """Makes the stream for one open file; ``covered`` counts the bytes of the file that it stands for."""

    def __init__(
        self, fd: "int", size: "int", tables: "TableReader", task: "Any", level: "int", known: "Optional[bytes]" = None
    ) -> "None":
        self.fd = fd
        self.size = size
        self.tables = tables
        self.task = task
        self.squeezer = Squeezer(level)
        # A digest that was taken of this very file saves a pass: the other end computes its own in any case.
        self.known = known
        self.whole = hashlib.sha256()
        self.covered = 0
        self.told = 0
        self.ready: "List[Any]" = []
        self.waiting = 0
        # A copy that may still grow: (offset, length), not yet in ``ready``.
        self.run = (0, 0)

    def parts(self) -> "Iterator[Any]":
        """Yield [covered, bytes] parts, None and WAIT. Raises OSError, ProtocolError, FileChanged."""
        start = 0
        for part in self._keep():
            yield part
        start = self.covered
        while OLD not in self.tables.tables and not self.task.ended:
            yield self._feed()
        table = self.tables.tables.get(OLD)
        if table is None:
            self._check_end()
        matcher = None if table is None else Matcher(self.read, self.size, table)
        if matcher is not None:
            matcher.begin_at(start)
        align = 4096 if table is None else table.block
        for begin, stop, is_hole in ranges(self.fd, start, self.size, align):
            if is_hole:
                steps = self._hole(stop - begin)
                if matcher is not None:
                    matcher.expected += (stop - begin) // align
            elif matcher is None:
                steps = self._plain(begin, stop)
            else:
                steps = self._matched(matcher, begin, stop)
            for part in steps:
                yield part
        self._flush_run()

    def last(self, bad: "bool") -> "Any":
        """Give the last part: what is left and the end of the stream."""
        self._add(patch.end(self.digest, bad))
        return self._take()

    @property
    def digest(self) -> "bytes":
        """The SHA-256 of the whole file."""
        return self.known or self.whole.digest()

    def _hash(self, data: "Any") -> "None":
        if self.known is None:
            self.whole.update(data)

    def read(self, offset: "int", length: "int") -> "bytes":
        """Read so many bytes; a file that became shorter cannot be sent. Raises FileChanged, OSError."""
        data = os.pread(self.fd, length, offset)
        while len(data) < length:
            more = os.pread(self.fd, length - len(data), offset + len(data))
            if not more:
                raise FileChanged("it became shorter while it was read")
            data += more
        return data

    def _feed(self) -> "Any":
        """Take rows that came; gives what to yield."""
        if self.task.inbox:
            while self.task.inbox:
                self.tables.feed(self.task.inbox.popleft())
            return None
        if self.task.ended:
            self._check_end()
            raise ProtocolError("the table of blocks ended too early")
        return WAIT

    def _check_end(self) -> "None":
        while self.task.inbox:
            self.tables.feed(self.task.inbox.popleft())
        if self.task.ended:
            self.tables.end()

    def _keep(self) -> "Iterator[Any]":
        """Compare what an earlier transfer left, from the beginning up to the first block that differs."""
        while not self.tables.tables and not self.task.ended:
            yield self._feed()
        self._check_end()
        table = self.tables.tables.get(KEPT)
        if table is None:
            return
        number = 0
        while number < table.total and (number + 1) * table.block <= min(table.size, self.size):
            while number >= table.count:
                yield self._feed()
            data = self.read(number * table.block, table.block)
            if digest_of(data) != table.digests[number]:
                break
            self._hash(data)
            number += 1
            if monotonic() >= self.task.until:
                yield None
        while not table.complete:
            yield self._feed()
        self.covered = number * table.block
        if number:
            self._add(patch.keep(self.covered))

    def _plain(self, begin: "int", stop: "int") -> "Iterator[Any]":
        for at in range(begin, stop, PIECE):
            for part in self._data(self.read(at, min(PIECE, stop - at))):
                yield part

    def _hole(self, length: "int") -> "Iterator[Any]":
        self._flush_run()
        self._add(patch.hole(length))
        zeros = bytes(min(length, READ))
        left = length
        while left:
            self._hash(zeros if left >= len(zeros) else zeros[:left])
            left -= min(left, len(zeros))
            if monotonic() >= self.task.until:
                yield None
        self.covered += length

    def _matched(self, matcher: "Matcher", begin: "int", stop: "int") -> "Iterator[Any]":
        for step in matcher.steps(begin, stop):
            kind, offset, view = step
            if step is NEED:
                yield self._feed()
                continue
            if step is not REST:
                if kind == "copy":
                    self._copy(offset, view)
                    if self.covered - self.told >= TOLD_PART:
                        self._flush_run()
                        yield self._take()
                else:
                    for at in range(0, len(view), PIECE):
                        for part in self._data(view[at : at + PIECE]):
                            yield part
            if monotonic() >= self.task.until:
                yield None

    def _copy(self, offset: "int", view: "Any") -> "None":
        self._hash(view)
        self.covered += len(view)
        begin, length = self.run
        if length and begin + length == offset:
            self.run = (begin, length + len(view))
            return
        self._flush_run()
        self.run = (offset, len(view))

    def _flush_run(self) -> "None":
        if self.run[1]:
            self._add(patch.copy(*self.run))
            self.run = (0, 0)

    def _data(self, piece: "Any") -> "Iterator[Any]":
        self._flush_run()
        self._hash(piece)
        self.covered += len(piece)
        self._add(patch.data(len(piece)))
        self._add(piece)
        if self.waiting >= PIECE:
            yield self._take()

    def _add(self, data: "Any") -> "None":
        self.ready.append(data)
        self.waiting += len(data)

    def _take(self) -> "Any":
        whole = b"".join(self.ready)
        self.ready, self.waiting = [], 0
        told, self.told = self.told, self.covered
        return [self.covered - told, self.squeezer.pack(whole)]


def patch_file(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``patch``: the rows come as follow-up data; parts are [bytes of the file, piece], done says the digest."""
    root, path, level = service.need_root(), check(args.get("path", b"")), args.get("squeeze", 0)
    if type(level) is not int or not 0 <= level <= 9:
        raise ProtocolError("expected patch with squeeze from 0 to 9, got %.100r" % (args,))
    stat, known = stat_row(args.get("stat")), args.get("digest")
    if known is not None and (not isinstance(known, bytes) or len(known) != 32):
        raise ProtocolError("expected patch with a SHA-256 or none, got %.100r" % (known,))
    fd, found = open_file(root, path)
    root.forget()
    try:
        if stat_of(found) != stat:
            raise FileChanged("%s: it changed since it was scanned" % show(path), path=path)
        work = Patch(fd, found.st_size, TableReader(), task, level, known)
        for part in work.parts():
            yield part
        changed = stat_of(os.fstat(fd)) != stat
        yield work.last(changed)
        if changed:
            raise FileChanged("%s: it changed while it was read" % show(path), path=path)
        return {"digest": work.digest}
    except OSError as error:
        raise from_os_error(error, path)
    finally:
        os.close(fd)
