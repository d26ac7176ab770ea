"""Makes ops happen, in their order; each one is checked right before it takes effect  [P].

Rules: an op does all or nothing; one that cannot be done never stops the others; no path below ``.afield`` and none with
a ``.git`` part is touched; symlinks are never followed. How a file gets into place is in ``stage.py``, how a new folder
does in ``fresh.py``, what an op looks like in ``columns.py``.
"""

import hashlib
import os
from time import monotonic

from afield.errors import AfieldError, FileChanged, FileFailed, WrongKind
from afield.files import squeeze, steps
from afield.files.acts import ACTS
from afield.files.bundle import Unpack
from afield.files.columns import encode_results
from afield.files.copying import copy_file
from afield.files.faults import from_os_error, show
from afield.files.fresh import Fresh
from afield.files.guards import check_content, check_form, forbid, kind_in_the_way, raise_again
from afield.files.handles import kind_of
from afield.files.lossless import write_all
from afield.files.stage import Refused, Stage, standing
from afield.files.tasks import WAIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, List, Optional, Tuple

    from afield.files.columns import Row, StatRow
    from afield.files.history import History
    from afield.files.roots import Root
    from afield.files.tasks import Task

# New folders are shown when the request ends; one that brings much more shows them earlier, as a first upload should.
PUBLISH_BYTES = 32 << 20
# A part of results stays far below the record limit: a refusal has about 100 bytes.
PART_RESULTS = 2000
NO_DATA = "no content came with the op"


class Apply:
    """One apply request: ``run(task)`` is its generator; ``report(path, stat, is folder)`` hears of each thing done."""

    def __init__(
        self, root: "Root", stage: "Stage", history: "History", report: "Callable[..., None]", form: "str" = "bundle"
    ) -> "None":
        self.root = root
        # How the contents of puts come: "bundle", "squeezed" (a bundle in packed pieces) or "patch" (one large file).
        self.form = form
        self.stage = stage
        self.history = history
        self.report = report
        self.fresh = Fresh(stage.fd)
        self.results: "List[Tuple[int, str, Any]]" = []

    def run(self, rows: "List[Row]", as_columns: "bool", task: "Task") -> "Iterator[Any]":
        """Do the rows; yields parts (see files-service.md), None and WAIT."""
        check_form(self.form, rows)
        steps.at("apply")
        unpack = Unpack()
        try:
            for index, row in enumerate(rows):
                if row[0] == "P":
                    entry = unpack.whole()
                    if entry is not None:
                        self._put(index, row, entry)
                    else:
                        way = self._assemble(index, row, task) if self.form == "patch" else None
                        for pause in way or self._get(index, row, unpack, task):
                            for part in self._parts(as_columns):
                                yield part
                            self._let_go()
                            yield pause
                    if self.fresh.size > PUBLISH_BYTES:
                        self.publish()
                elif row[0] == "C":
                    for pause in copy_file(self, index, row, task):
                        for part in self._parts(as_columns):
                            yield part
                        self._let_go()
                        yield pause
                else:
                    self._act(index, row)
                if monotonic() >= task.until or len(self.results) >= PART_RESULTS:
                    for part in self._parts(as_columns):
                        yield part
                    self._let_go()
                    yield None
            self.publish()
            for part in self._parts(as_columns):
                yield part
        finally:
            self.fresh.discard()
            self.root.forget()
            self.history.handles.forget()

    def _let_go(self) -> "None":
        # No handle outlives a slice: a folder that is moved away must not be written to for longer.
        self.root.forget()
        self.fresh.handles.forget()
        self.history.handles.forget()

    def _parts(self, as_columns: "bool") -> "Iterator[Any]":
        results, self.results = self.results, []
        for start in range(0, len(results), PART_RESULTS):
            some = results[start : start + PART_RESULTS]
            yield encode_results(some) if as_columns else [list(result) for result in some]

    def publish(self) -> "None":
        """Show the new folders now; their results come with it."""
        if self.fresh.trees:
            self.results.extend(self.fresh.publish(self.root))

    def _act(self, index: "int", row: "Row") -> "None":
        if row[0] == "D":
            self.guarded(index, row[1], lambda: self._dir(index, row))
        else:
            self.guarded(index, row[1], lambda: ACTS[row[0]](self, row))

    def guarded(self, index: "int", path: "bytes", act: "Callable[[], Any]") -> "None":
        """Do ``act`` and note (index, "ok", its stat) unless it noted for itself (True); note refusals and errors."""
        try:
            stat = act()
            if stat is not True:
                self.results.append((index, "ok", stat))
        except Refused as why:
            self.results.append((index, "refused", "%s: %s" % (show(path), why)))
        except AfieldError as error:
            self.results.append((index, "error", {"code": error.code, "text": error.text}))
        except OSError as error:
            fault = from_os_error(error, path)
            self.results.append((index, "error", {"code": fault.code, "text": fault.text}))
        except OverflowError:
            text = "%s: its time is outside of what the system can keep" % show(path)
            self.results.append((index, "error", {"code": FileFailed.code, "text": text}))

    def locate(self, path: "bytes") -> "Tuple[int, bytes]":
        """Find folder and name of a path outside the fresh folders; Refused when the way there is not what it was."""
        forbid(path)
        try:
            return self.root.locate(path)
        except WrongKind as error:
            raise Refused(error.text)
        except OSError as error:
            if kind_in_the_way(error):
                raise Refused("the folder it is in is gone or is none any more")
            raise

    # put

    def _put(self, index: "int", row: "Row", entry: "Tuple[memoryview, int, bytes]") -> "None":
        data, status, digest = entry
        path = row[1]
        above, _, name = path.rpartition(b"/")
        place = self.fresh.places.get(above)
        try:
            if status or hashlib.sha256(data).digest() != digest or len(data) != row[4] or row[7] not in (None, digest):
                check_content(path, row, len(data), status, digest, hashlib.sha256(data).digest())
            if place is not None and row[2] is None:
                if name[:1] == b".":
                    forbid(path)
                stat = self.fresh.put(data, place[1], name, row)
                self.report(path, stat)
                place[0].results.append((index, "ok", stat))
                return
        except (AfieldError, OSError, OverflowError) as error:
            fault = error
            self.guarded(index, path, lambda: raise_again(fault))
            return
        self.guarded(index, path, lambda: self._put_real(data, row))

    def _put_real(self, data: "Any", row: "Row") -> "StatRow":
        folder, name = self.locate_real(row[1])
        stat = self.stage.put(data, folder, name, row)
        self.report(row[1], stat)
        return stat

    def locate_real(self, path: "bytes") -> "Tuple[int, bytes]":
        """As ``locate``; what is in a fresh folder is shown first."""
        if self.fresh.places and (path.rpartition(b"/")[0] in self.fresh.places or path in self.fresh.places):
            self.publish()
        return self.locate(path)

    def _get(self, index: "int", row: "Row", unpack: "Unpack", task: "Task") -> "Iterator[Any]":
        """Wait for the content of a put and do it; content that is too large to hold is written as it comes."""
        while True:
            entry = unpack.whole()
            if entry is not None:
                self._put(index, row, entry)
                return
            size = unpack.length()
            if size is not None and size > Unpack.WHOLE:
                for pause in self._stream(index, row, unpack, task, size):
                    yield pause
                return
            if task.inbox:
                unpack.feed(self._piece(task))
            elif task.ended:
                self.results.append(
                    (index, "error", {"code": FileFailed.code, "text": "%s: %s" % (show(row[1]), NO_DATA)})
                )
                return
            else:
                yield WAIT

    def _piece(self, task: "Task") -> "bytes":
        piece = task.inbox.popleft()
        return piece if self.form == "bundle" else bytes(squeeze.unpack(piece))

    def _assemble(self, index: "int", row: "Row", task: "Task") -> "Iterator[Any]":
        from afield.files.assemble import assemble

        def place(*made: "Any") -> "bool":
            self.guarded(index, row[1], lambda: self.place(index, made[0], made[1], row, *made[2:]))
            return self.results[-1][1] == "ok"

        return assemble(self.root, self.stage, row, task, place)

    def _stream(self, index: "int", row: "Row", unpack: "Unpack", task: "Task", size: "int") -> "Iterator[Any]":
        """Write large content to staging as it comes. After a failure the rest is read and dropped."""
        unpack.skip_head()
        hasher = hashlib.sha256()
        staged, fd = self.stage.name(), -1
        fault: "Optional[Exception]" = None
        if size != row[4]:
            # Not a byte of it is written: a peer must not fill the disk with what nobody asked for.
            fault = FileChanged("%s: expected %d bytes as scanned, got %d" % (show(row[1]), row[4], size), path=row[1])
        left = size
        tail: "Optional[Tuple[int, bytes]]" = None
        try:
            while tail is None:
                piece = unpack.some(left)
                if piece:
                    left -= len(piece)
                    hasher.update(piece)
                    if fault is None:
                        try:
                            fd = self.stage.create(staged, row[5]) if fd < 0 else fd
                            write_all(fd, piece)
                        except OSError as error:
                            fault = from_os_error(error, row[1])
                            # Its room is wanted by what comes after it.
                            self.stage.drop(staged)
                    if monotonic() >= task.until:
                        yield None
                    continue
                if not left:
                    tail = unpack.tail()
                if tail is None:
                    if task.inbox:
                        unpack.feed(self._piece(task))
                    elif task.ended:
                        fault = FileFailed("%s: %s" % (show(row[1]), NO_DATA))
                        break
                    else:
                        yield WAIT
            self.guarded(index, row[1], lambda: self.place(index, fd, staged, row, size, tail, hasher.digest(), fault))
        finally:
            if fd >= 0:
                os.close(fd)
                self.stage.drop(staged)

    def place(
        self,
        index: "int",
        fd: "int",
        staged: "bytes",
        row: "Row",
        size: "int",
        tail: "Optional[Tuple[int, bytes]]",
        digest: "bytes",
        fault: "Optional[Exception]",
    ) -> "Any":
        """Put a written file (open as ``fd``) into place when its content is the one that was told. Raises as ``Stage.place``."""
        if fault is not None or tail is None:
            raise fault or FileFailed(NO_DATA)
        check_content(row[1], row, size, tail[0], tail[1], digest)
        place = self.fresh.places.get(row[1].rpartition(b"/")[0])
        if place is not None and row[2] is None:
            forbid(row[1])
            stat = self.fresh.adopt(fd, staged, place[1], row)
            self.report(row[1], stat)
            place[0].results.append((index, "ok", stat))
            return True
        folder, name = self.locate_real(row[1])
        stat = self.stage.place(fd, staged, folder, name, row)
        self.report(row[1], stat)
        return stat

    # the other ops

    def _dir(self, index: "int", row: "Row") -> "Any":
        path, kind, was = row[1], row[2], row[3]
        forbid(path)
        above, _, name = path.rpartition(b"/")
        if above in self.fresh.places:
            if path not in self.fresh.places:
                tree = self.fresh.add_folder(path, above, name)
                self.report(path, None, True)
            else:
                tree = self.fresh.places[path][0]
            tree.results.append((index, "ok", None))
            return True
        if path in self.fresh.places:
            self.fresh.places[path][0].results.append((index, "ok", None))
            return True
        folder, name = self.locate(path)
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            found = None
        if found is not None:
            if kind_of(found.st_mode) == "d":
                return None
            standing(folder, name, kind, was)
            self.history.keep_move(folder, name, path, found)
        elif kind not in (None, "d"):
            raise Refused("it is gone")
        self.fresh.begin(path, self.stage.name()).results.append((index, "ok", None))
        self.report(path, None, True)
        return True
