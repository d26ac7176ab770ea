"""Builds one large file in staging from the stream that ``patch.py`` describes  [P].

Rules: nothing is at its path before length and SHA-256 of the whole are right; what is copied comes from the very file
that the op replaces; after a failure the rest of the stream is read and dropped; what was written so far is kept for
the next try when the transfer itself was interrupted. Holes stay holes.
"""

import hashlib
import os
from time import monotonic

from afield.errors import AfieldError, FileChanged, FileFailed, ProtocolError
from afield.files import partials
from afield.files.bundle import open_file, stat_of
from afield.files.faults import from_os_error, show
from afield.files.guards import forbid
from afield.files.lossless import write_all
from afield.files.patch import PatchReader
from afield.files.squeeze import unpack
from afield.files.tasks import WAIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, Optional, Tuple

    from afield.files.columns import Row
    from afield.files.roots import Root
    from afield.files.stage import Stage
    from afield.files.tasks import Task

# One copy: as much as fits into the caches of a processor while it is hashed and written.
COPY = 1 << 18


class Assembly:
    """One put that comes as a patch. ``run`` is a generator (None, WAIT); then ``fd``, ``staged``, ``tail``, ``fault`` hold."""

    def __init__(self, root: "Root", stage: "Stage", row: "Row") -> "None":
        self.root = root
        self.stage = stage
        self.row = row
        self.staged = partials.name_of(row[1])
        self.fd = self.old = self.foreign = -1
        self.size = 0
        self.hasher = hashlib.sha256()
        self.tail: "Optional[Tuple[int, bytes]]" = None
        self.fault: "Optional[Exception]" = None
        self.buffer = bytearray(COPY)

    @property
    def digest(self) -> "bytes":
        """The SHA-256 of what was built."""
        return self.hasher.digest()

    def run(self, task: "Task") -> "Iterator[Any]":
        """Take the stream until its end, or until no more comes."""
        reader: "Optional[PatchReader]" = None
        while self.tail is None:
            if not task.inbox:
                if task.ended:
                    self.fault = self.fault or FileFailed("%s: its content did not come whole" % show(self.row[1]))
                    return
                yield WAIT
                continue
            piece = unpack(task.inbox.popleft())
            reader = reader or self._begin()
            for step in reader.feed(piece):
                if step[0] == "end":
                    self.tail = (step[1], step[2])
                elif self.fault is None:
                    for pause in self._step(step, task):
                        yield pause
            if monotonic() >= task.until:
                yield None
        while not task.ended:
            # The end of the data says that the asker knows the digest, too: only then it can take the answer.
            yield WAIT
        if task.inbox:
            raise ProtocolError("expected nothing after the end of a file, got more")
        if self.fault is None:
            self._finish()

    def close(self, done: "bool") -> "None":
        """Let go of the staged file; one that was not finished is kept for the next try."""
        for fd in (self.old, self.foreign):
            if fd >= 0:
                os.close(fd)
        self.old = self.foreign = -1
        if self.fd < 0:
            return
        os.close(self.fd)
        self.fd = -1
        if not done and self.tail is None and self.fault is None:
            partials.keep(self.stage.fd, self.staged, self.stage.kept, self.staged)
        self.stage.drop(self.staged)
        if done:
            partials.drop(self.stage.kept, self.row[1], self.stage.fd)

    def _begin(self) -> "PatchReader":
        """Open what may be copied from and what may be kept; both are checked to be what they must be."""
        path, kind, was = self.row[1], self.row[2], self.row[3]
        old = kept = 0
        if kind == "f" and was is not None:
            try:
                self.old, found = open_file(self.root, path)
                if stat_of(found) != was:
                    raise FileChanged("%s: it changed since it was scanned" % show(path), path=path)
            except AfieldError as error:
                self._fail(error)
            old = was[0]
        fd = partials.open_kept(self.stage.kept, path, self.stage.fd)
        if fd >= 0:
            kept = os.fstat(fd).st_size
            os.close(fd)
        return PatchReader(self.row[4], old, kept)

    def _open(self) -> "int":
        if self.fd < 0:
            self.stage.drop(self.staged)  # of an earlier op of this worker
            self.fd = self.stage.create(self.staged, self.row[5])
        return self.fd

    def _step(self, step: "Any", task: "Task") -> "Iterator[None]":
        try:
            for pause in self._do(step, task):
                yield pause
        except (AfieldError, OSError) as error:
            self._fail(error)

    def _do(self, step: "Any", task: "Task") -> "Iterator[None]":
        kind, value, length = step
        if kind == "data":
            write_all(self._open(), value)
            self.hasher.update(value)
            self.size += len(value)
            return
        if kind == "copy":
            source, offset, left = self.old, value, length
            self._open()
        elif kind == "keep":
            taken = self._take_kept(value)
            source, offset, left = (self.fd if taken else self.foreign), 0, value
        else:
            source, offset, left = -1, 0, value
            self._open()
        while left:
            view = memoryview(self.buffer)[: min(left, COPY)]
            if source >= 0:
                view = view[: self._read(source, offset, view)]
            else:
                view[:] = bytes(len(view))
            self.hasher.update(view)
            if kind == "copy" or (kind == "keep" and source != self.fd):
                write_all(self.fd, view)
            offset += len(view)
            left -= len(view)
            if monotonic() >= task.until:
                yield None
        self.size += length if kind == "copy" else value
        if kind != "copy":
            os.lseek(self.fd, self.size, os.SEEK_SET)

    def _take_kept(self, length: "int") -> "bool":
        """Take over what was left; False when another worker holds it: then it is copied, since that one may go on."""
        self.foreign = partials.open_kept(self.stage.kept, self.row[1], self.stage.fd)
        if self.foreign < 0 or os.fstat(self.foreign).st_size < length:
            raise FileFailed("%s: what an earlier transfer left is gone" % show(self.row[1]))
        try:
            self.fd = partials.take(self.stage.kept, self.stage.fd, self.row[1], self.staged)
        except OSError:
            self._open()
            return False
        if not os.path.sameopenfile(self.fd, self.foreign):
            # The longer one, which was compared, is the other worker's: this one is no use.
            os.close(self.fd)
            self.fd = -1
            self._open()
            return False
        mode = os.fstat(self.fd).st_mode & 0o777
        # Who may read may execute, as a umask would have it.
        os.fchmod(self.fd, mode | (mode & 0o444) >> 2 if self.row[5] else mode & ~0o111)
        os.ftruncate(self.fd, length)
        return True

    def _read(self, source: "int", offset: "int", view: "Any") -> "int":
        os.lseek(source, offset, os.SEEK_SET)
        count = os.readv(source, [view])
        if not count:
            raise FileChanged("%s: it became shorter while it was copied" % show(self.row[1]), path=self.row[1])
        return count

    def _finish(self) -> "None":
        """Give the file its length: a hole at the end is not written."""
        try:
            os.ftruncate(self._open(), self.size)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: "Exception") -> "None":
        self.fault = from_os_error(error, self.row[1]) if isinstance(error, OSError) else error
        # Its room is wanted by what comes after it.
        if self.fd >= 0:
            self.stage.drop(self.staged)


def assemble(root: "Root", stage: "Stage", row: "Row", task: "Task", place: "Callable[..., bool]") -> "Iterator[Any]":
    """Build the file of one put, then ``place(fd, staged name, size, tail, digest, fault)`` says whether it went in."""
    forbid(row[1])
    work = Assembly(root, stage, row)
    done = False
    try:
        for pause in work.run(task):
            yield pause
        done = place(work.fd, work.staged, work.size, work.tail, work.digest, work.fault)
    finally:
        work.close(done)
