"""What was replaced or removed, kept so that it can be brought back: ``.afield/history/TIME/ACTION/PATH``  [P].

The path of a kept file says all there is to know, so there is no index that could be out of step after a crash.
Rules: kept content is a rename or a hard link of the original, never a half copy; restore overwrites nothing, what
stands there goes to history first, and what it makes where nothing stood leaves a mark, so that it can be undone too.
An empty folder in the history is a removed folder. Bounded by age and by size, the oldest batch goes first.
"""

import os
import stat as modes
import time

from afield.errors import AfieldError, FileChanged, NoSuchFile, WrongKind
from afield.files import steps
from afield.files.faults import from_os_error, show
from afield.files.handles import Handles, kind_of
from afield.files.lossless import check_moved, link_or_copy, move_new, write_all
from afield.files.state import State, make_folder, remove_below

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Generator, Iterator, List, Optional, Tuple

    from afield.files.roots import Root

    Events = List[List[Any]]

# A month of second thoughts, and less than what a small cloud disk has to spare.
KEPT_SECONDS = 30 * 86400
KEPT_BYTES = 2 << 30
# The newest of it stays however old it seems: a clock that jumped a year must not empty the history of a project's sources.
ALWAYS_BYTES = 16 << 20
PRUNE_EVERY = 64 << 20
# One save must not cost a folder of its own: what happens within ten seconds shares a batch.
BATCH_SECONDS = 10
# An answer is one record of at most 1 MiB.
LISTED = 5000
REPLACED, REMOVED, RESTORED = b"replaced", b"removed", b"restored"
# What a mark of RESTORED says was made; the folders that were made with it follow, after NULs.
FILE_MARK, FOLDER_MARK = b"f", b"d"
PIECE = 1 << 18


class History:
    """The history of one root; with ``enabled`` False nothing is kept."""

    def __init__(self, state: "State", enabled: "bool" = True) -> "None":
        self.enabled = enabled
        self.fd = make_folder(b"history", state.fd)
        self.handles = Handles(self.fd)
        self.batch = b""
        self.until = 0.0
        self.counter = 0
        # More than any limit: the first thing after open is to prune.
        self.added = PRUNE_EVERY

    def keep_link(self, fd: "int", name: "bytes", path: "bytes", size: "int") -> "None":
        """Keep what stands at ``name`` in folder ``fd`` (its path is ``path``), which stays there. Raises OSError."""
        if self.enabled:
            self._keep(REPLACED, path, lambda there, last: link_or_copy(fd, name, there, last))
            self.added += size

    def keep_move(self, fd: "int", name: "bytes", path: "bytes", found: "os.stat_result") -> "None":
        """Move the file that was ``found`` at ``name`` in folder ``fd`` into history; unlink it when nothing is kept.

        Raises OSError, FileChanged when it is another one by now, which stays.
        """
        if not self.enabled:
            os.unlink(name, dir_fd=fd)
            return

        def move(there: "int", last: "bytes") -> "None":
            move_new(fd, name, there, last)
            check_moved(fd, name, there, last, found, path)

        self._keep(REMOVED, path, move)
        self.added += found.st_size

    def keep_folder(self, path: "bytes") -> "None":
        """Keep the name of a folder that was removed; a failure loses no content and is none."""
        if self.enabled:
            try:
                self._keep(REMOVED, path, _make_folder)
            except OSError:
                return

    def _mark(self, path: "bytes", what: "List[bytes]") -> "None":
        """Note that a restore made a path (and, with it, the folders that follow in ``what``) where nothing stood."""
        self._keep(RESTORED, path, lambda there, last: _write_mark(there, last, b"\0".join(what)))

    def _keep(self, action: "bytes", path: "bytes", act: "Any") -> "None":
        now = time.time()
        for fresh in (False, True):
            if fresh or not self.batch or now > self.until:
                self.counter += 1
                stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)).encode()
                self.batch = b"%s-%d-%d" % (stamp, os.getpid(), self.counter)
                self.until = now + BATCH_SECONDS
            above, _, name = (self.batch + b"/" + action + b"/" + path).rpartition(b"/")
            try:
                steps.at("keep")
                act(self.handles.make(above), name)
                steps.at("kept")
                return
            except (FileExistsError, NotADirectoryError, WrongKind):
                # The same path twice in a batch, or now a folder of the same name.
                if fresh:
                    raise
            except (OSError, AfieldError):
                self._drop_empty(self.batch + b"/" + action + b"/" + path)
                raise

    def events(self, below: "bytes" = b"", limit: "int" = LISTED) -> "Events":
        """List [event id, time, path, action, size], the newest first, of paths at or below ``below``.

        ``action``: replaced, removed, folder-removed, or restored (made by a restore where nothing stood).
        """
        found: "Events" = []
        for some in self.batches(below):
            found.extend(some)
            if len(found) >= limit:
                break
        return found[: min(limit, LISTED)]

    def batches(self, below: "bytes" = b"") -> "Iterator[Events]":
        """Give the events of each batch in turn, the newest batch first."""
        for batch in sorted(self._batches(), key=batch_time, reverse=True):
            kept: "Events" = []
            for path, stat in walk(self.handles, batch, empty=True):
                action, _, original = path[len(batch) + 1 :].partition(b"/")
                if original and (not below or original == below or original.startswith(below + b"/")):
                    when = max(stat.st_ctime, batch_time(batch))
                    folder = modes.S_ISDIR(stat.st_mode)
                    word = "folder-removed" if folder else action.decode("ascii", "replace")
                    size = 0 if folder or action == RESTORED else stat.st_size
                    kept.append([path, when, original, word, size])
            # A clock's tick may hold a whole restore: its mark is written last.
            kept.sort(key=lambda event: (float(event[1]), event[3] == "restored"), reverse=True)
            self.handles.forget()
            yield kept

    def _batches(self) -> "List[bytes]":
        return [os.fsencode(name) for name in os.listdir(self.fd)]

    def restore(self, root: "Root", event: "bytes") -> "bytes":
        """Undo one event and give its path: a kept file goes back, what a restore made goes; what stands there is kept.

        Raises NoSuchFile for an unknown event, WrongKind when a folder stands there, FilesError else.
        """
        rest = event.partition(b"/")[2]
        action, _, path = rest.partition(b"/")
        if action not in (REPLACED, REMOVED, RESTORED) or not path:
            raise NoSuchFile("there is no such event in the history: %s" % show(event))
        enabled, self.enabled = self.enabled, True
        source = Handles(self.fd)
        try:
            try:
                fd, name = source.locate(event)
                kept = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except OSError:
                raise NoSuchFile("there is no such event in the history: %s" % show(event))
            try:
                if action == RESTORED:
                    mark = read_mark(fd, name).split(b"\0")
                    self._take_away(root, path, mark[0], mark[1:])
                    os.unlink(name, dir_fd=fd)
                elif modes.S_ISDIR(kept.st_mode):
                    made = self._make_way(root, path)
                    if made:
                        self._mark(path, [FOLDER_MARK, *made])
                else:
                    above, _, last = path.rpartition(b"/")
                    made = self._make_way(root, above)
                    self._put_back(fd, name, root.folder(above), last, path, made)
            except OSError as error:
                raise from_os_error(error, path)
            source.forget()
            self._drop_empty(event)
        finally:
            self.enabled = enabled
            source.forget()
            root.forget()
        return path

    def _make_way(self, root: "Root", path: "bytes") -> "List[bytes]":
        """Make the folders at and above ``path``; gives those that were missing. What stands there in place of one is kept."""

        def keep(top: "bytes") -> "None":
            folder, name = root.locate(top)
            now = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if kind_of(now.st_mode) in ("f", "l"):
                self.keep_move(folder, name, top, now)

        return root.make_all(path, keep)

    def _take_away(self, root: "Root", path: "bytes", kind: "bytes", made: "List[bytes]") -> "None":
        """Remove what a restore had made: a file goes to the history, a folder only when it is empty."""
        if kind == FILE_MARK:
            folder, name = root.locate(path)
            try:
                now = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if kind_of(now.st_mode) not in ("f", "l"):
                    raise WrongKind("%s: expected the restored file, got something else" % show(path), path=path)
                self.keep_move(folder, name, path, now)
            except FileNotFoundError:
                pass
        root.forget()
        for each in reversed(made):
            try:
                folder, name = root.locate(each)
                os.rmdir(name, dir_fd=folder)
            except OSError:
                break  # somebody put something in: it stays
            self.keep_folder(each)

    def _drop_empty(self, event: "bytes") -> "None":
        """Remove the folders of the history that an event leaves empty: an empty one would mean a removed folder."""
        self.handles.forget()
        above = event
        while above:
            try:
                fd, name = self.handles.locate(above)
                if above != event or modes.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                    os.rmdir(name, dir_fd=fd)
            except FileNotFoundError:
                pass
            except OSError:
                break
            above = above.rpartition(b"/")[0]
        self.handles.forget()

    def _put_back(
        self, fd: "int", name: "bytes", target: "int", last: "bytes", path: "bytes", made: "List[bytes]"
    ) -> "None":
        try:
            now = os.stat(last, dir_fd=target, follow_symlinks=False)
        except FileNotFoundError:
            move_new(fd, name, target, last)
            self._mark(path, [FILE_MARK, *made])
            return
        if kind_of(now.st_mode) not in ("f", "l"):
            raise WrongKind(
                "%s: a folder stands where a file is to be restored" % show(path),
                hint="move or remove the folder (that goes to the history, too), then say it again",
                path=path,
            )
        self.keep_link(target, last, path, now.st_size)
        if os.stat(last, dir_fd=target, follow_symlinks=False).st_ino != now.st_ino:
            raise FileChanged("%s: it changed right now" % show(path), hint="try again", path=path)
        os.rename(name, last, src_dir_fd=fd, dst_dir_fd=target)

    def prune(self, now: "Optional[float]" = None) -> "Generator[None, None, None]":
        """Remove what is too old or too much, batch by batch; a generator, so that it can be done in slices."""
        steps.at("prune")
        self.added = 0
        now = time.time() if now is None else now
        total = 0
        for batch in sorted(self._batches(), key=batch_time, reverse=True):
            size = sum(stat.st_size for _, stat in walk(self.handles, batch))
            yield
            total += size
            old = batch_time(batch) < now - KEPT_SECONDS and total > ALWAYS_BYTES
            if batch != self.batch and (old or total > KEPT_BYTES):
                total -= size
                self._remove(batch)
                yield
        self.handles.forget()

    def _remove(self, batch: "bytes") -> "None":
        self.handles.forget()
        try:
            remove_below(self.handles.folder(batch))
            self.handles.forget()
            os.rmdir(batch, dir_fd=self.fd)
        except OSError:
            self.handles.forget()  # something in there resists: the next time tries again

    def close(self) -> "None":
        """Close the handles; a pruning that is still under way finds nothing to work on."""
        self.handles.forget()
        self.handles.fd = -1
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def batch_time(batch: "bytes") -> "float":
    """Give the start of a batch in seconds since 1970; 0 for a name that is not ours."""
    import calendar

    try:
        return calendar.timegm(time.strptime(batch[:16].decode("ascii"), "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return 0.0


def walk(handles: "Handles", path: "bytes", empty: "bool" = False) -> "Iterator[Tuple[bytes, os.stat_result]]":
    """Give (path, stat) of everything below ``path`` that is not a folder; what cannot be read is left out.

    ``empty``: empty folders too.
    """
    pending = [path]
    while pending:
        above = pending.pop()
        try:
            names = os.listdir(handles.folder(above))
            if empty and not names:
                yield above, handles.lstat(above)
        except OSError:
            continue
        for text in names:
            inner = above + b"/" + os.fsencode(text)
            try:
                stat = handles.lstat(inner)
            except OSError:
                continue
            if modes.S_ISDIR(stat.st_mode):
                pending.append(inner)
            else:
                yield inner, stat


def _make_folder(there: "int", last: "bytes") -> "None":
    try:
        os.mkdir(last, 0o700, dir_fd=there)
    except FileExistsError:
        if not modes.S_ISDIR(os.stat(last, dir_fd=there, follow_symlinks=False).st_mode):
            raise
        # Removed again: the record of before becomes that of now.
        os.utime(last, dir_fd=there, follow_symlinks=False)


def _write_mark(there: "int", last: "bytes", what: "bytes") -> "None":
    fd = os.open(last, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=there)
    try:
        write_all(fd, what)
    finally:
        os.close(fd)


def read_mark(fd: "int", name: "bytes") -> "bytes":
    """Give what a mark says; b"" for what is none. Raises OSError."""
    mark = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
    try:
        return os.read(mark, PIECE)
    finally:
        os.close(mark)
