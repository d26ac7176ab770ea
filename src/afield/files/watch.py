"""Tells what changed below a root, with what stands there now: inotify, polling, or both  [P].

Rules: a change is never lost silently: what may have been missed is an ``overflow``; a folder is watched before it is
listed; ignored paths and what this worker applied itself are not reported; once an ignore file changed nothing is reported
by the old rules, the watch begins anew. When to report is in ``pending.py``.
"""

import errno
import os
from time import monotonic

from afield.errors import AfieldError
from afield.files import probe
from afield.files.parking import Kept
from afield.files.pending import NEW_FILE, QUIET, REMOVED, Pending
from afield.files.polling import Polling
from afield.files.rules import VENV_MARK, Rules
from afield.files.scan import Scan, entry_of
from afield.files.telling import changed, own_mark
from afield.tree.ignore import FILE_NAMES
from afield.tree.paths import parents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

    from afield.files.columns import StatRow
    from afield.files.roots import Root

    Event = Tuple[str, Dict[str, Any]]

FORMAT, IS_FOLDER, IS_FILE = 0o170000, 0o040000, 0o100000
# Forgetting what we did ourselves costs a few needless reports, remembering costs memory: about 20 MB here.
OWN_LIMIT = 100000
RULE_FILES = frozenset(FILE_NAMES + (VENV_MARK,))


class Watch:
    """Watches one root; ``new_rules`` makes fresh ignore rules, ``use_inotify`` False forces polling, ``new_events`` takes inotify's place."""

    def __init__(
        self, root: "Root", new_rules: "Callable[[], Rules]", use_inotify: "bool" = True, new_events: "Any" = None
    ) -> "None":
        self.root = root
        self.new_rules = new_rules
        self.rules = new_rules()
        self.pending = Pending()
        self.own: "Dict[bytes, Union[StatRow, bool]]" = {}
        self.polling = Polling(root)
        self.inotify: "Any" = None  # Inotify, or what new_events made
        kind = probe.file_system(root.path)
        # Events of a layered file system tell of nearly all changes: it is polled as well, but a barrier need not look at all.
        self.layered = new_events is not None or probe.is_layered(kind)
        self.new_events = new_events
        self.network = probe.is_network(kind) or self.layered
        self.kept = Kept()
        self.reporting = 0  # reports that are under way: what they took is not told yet
        self.stale = False
        self.not_before = 0.0
        self.restarted = (0.0, 0.0)  # when the last restart ended, and how long it took
        self.ready = False
        self.told = (0, 0)
        self.use_inotify = use_inotify
        self._open()

    def _open(self) -> "None":
        if not self.use_inotify:
            return
        try:
            if self.new_events is not None:
                self.inotify = self.new_events(self.root.path)
                return
            from afield.files.inotify import Inotify

            self.inotify = Inotify(self.root.path)
        except (ImportError, OSError, AttributeError):
            self.inotify = None  # another system, a Python without ctypes, or no descriptor to spare

    @property
    def mode(self) -> "str":
        """Say how changes are found."""
        if self.inotify is None:
            return "polling"
        return "both" if self.network else "inotify"

    @property
    def sees_all(self) -> "bool":
        """Whether nothing can have happened without an event."""
        if self.stale:
            return False
        return self.ready and self.mode == "inotify" and not self.polling.folders

    @property
    def _hears_of_each(self) -> "bool":
        """Whether each folder that is polled has events as well, which may tell late but tell."""
        return self.layered and self.inotify is not None and len(self.inotify.watches) >= len(self.polling.folders)

    @property
    def fd(self) -> "int":
        """Give the descriptor to select on, -1 for none."""
        return -1 if self.inotify is None else self.inotify.fd

    def start(self, task: "Any") -> "Iterator[Any]":
        """Watch every folder that is not ignored; a generator that yields events and None."""
        scan = Scan(self.root, self.rules, self.folder)
        for _ in scan.run(b"", task):
            scan.take()
            yield None
        limited = self.begin()
        if limited:
            yield limited

    def begin(self) -> "Optional[Event]":
        """Report from now on, all folders were added; gives the ``limited`` event when not all are watched."""
        self.ready = True
        return self._limited()

    def folder(self, path: "bytes") -> "None":
        """Watch one folder, or poll it."""
        if self.inotify is not None:
            try:
                self.inotify.add(path)
                if not self.network:
                    return
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP):
                    return
        self.polling.add(path)

    def _limited(self) -> "Optional[Event]":
        """Give the ``limited`` event when the number of folders without a watch changed."""
        if self.inotify is None or self.network:
            return None
        now = (len(self.inotify.watches), len(self.polling.folders))
        if now[1] == self.told[1]:
            return None
        self.told = now
        return "limited", {"watched": now[0], "unwatched": now[1]}

    def done(self, path: "bytes", stat: "Optional[StatRow]", folder: "bool" = False) -> "None":
        """Take note of what this worker did itself: a file or link with this stat, a folder, or None for a removal."""
        if len(self.own) >= OWN_LIMIT:
            self.own.clear()
        self.own[path] = folder if stat is None else stat
        if path.rpartition(b"/")[2] in RULE_FILES:
            self._rules_change(monotonic())
        if self.polling.folders:
            self.polling.warm(path.rpartition(b"/")[0], monotonic())

    def catch_up(self, folder: "bytes") -> "Iterator[None]":
        """Yield until ``read`` gives all that has happened; ``folder``: where nothing counts. The kernel's own events need no waiting."""
        if self.new_events is not None and self.inotify is not None:
            for _ in self.inotify.catch_up(folder):
                yield None

    def read(self) -> "None":
        """Take in the kernel's events that wait."""
        if self.inotify is None:
            return
        from afield.files import inotify as words

        now = monotonic()
        leaving: "Dict[int, bytes]" = {}
        for folder, name, mask, cookie in self.inotify.read():
            if mask & words.OVERFLOW:
                self.stale = True
                continue
            path = folder + b"/" + name if folder else name
            if self.rules.decided(path, bool(mask & words.ISDIR)):
                continue
            self.kept.touched(path, bool(mask & words.ISDIR))
            if name in RULE_FILES:
                self._rules_event(mask, now)
                continue
            if mask & words.MOVED_FROM:
                leaving[cookie] = path
            if mask & words.ISDIR:
                self._folder_event(path, mask, now, leaving.get(cookie))
            elif mask & words.CLOSE_WRITE:
                self.pending.closed(path, now)
            elif mask & words.MODIFY:
                self.pending.written(path, now)
            elif mask & words.MOVED_TO and cookie in leaving:
                self.pending.moved(leaving[cookie], path, now, folder=False)
            elif mask & words.MOVED_TO:
                self.pending.came(path, now)
            elif mask & (words.DELETE | words.MOVED_FROM):
                self.pending.removed(path, now)
            elif mask & words.CREATE:
                self._created(path, now)
            elif mask & words.ATTRIB:
                self.pending.touched(path, now)

    def _rules_event(self, mask: "int", now: "float") -> "None":
        """An ignore file changes: begin anew as soon as it is whole, and report nothing by the old rules until then."""
        from afield.files import inotify as words

        wait = QUIET if mask & (words.CREATE | words.MODIFY) else NEW_FILE
        if mask & (words.DELETE | words.MOVED_FROM):
            wait = REMOVED
        self._rules_change(now + (0.0 if mask & (words.CLOSE_WRITE | words.MOVED_TO) else wait))

    def _rules_change(self, when: "float") -> "None":
        # Many ignore files in a large tree: no more than half of the time goes into beginning anew.
        ended, took = self.restarted
        self.stale = True
        self.not_before = max(when, ended + took)

    def _folder_event(self, path: "bytes", mask: "int", now: "float", old: "Optional[bytes]") -> "None":
        from afield.files import inotify as words

        if mask & words.MOVED_TO and old is not None:
            self.pending.moved(old, path, now, folder=True)
        elif mask & (words.CREATE | words.MOVED_TO):
            self.pending.came(path, now)
        elif mask & words.ATTRIB and self.inotify is not None and path not in self.inotify.watches:
            self.pending.came(path, now)  # it may be read now
        elif mask & (words.DELETE | words.MOVED_FROM):
            if mask & words.DELETE:
                # It was empty: nothing below it is watched any more, and the kernel has dropped its own watch.
                self.polling.folders.pop(path, None)
            else:
                if self.inotify is not None:
                    self.inotify.remove_below(path)
                self.polling.remove_below(path)
            self.pending.removed(path, now)

    def _created(self, path: "bytes", now: "float") -> "None":
        # A link, or another name for a file that exists, is whole at once: no writer will close it.
        try:
            found = self.root.lstat(path)
        except (OSError, AfieldError):
            self.pending.removed(path, now)
            return
        if found.st_mode & FORMAT == IS_FILE and found.st_nlink == 1:
            self.pending.created(path, now)
        else:
            self.pending.came(path, now)

    def failed(self) -> "None":
        """Hear that reporting failed: begin anew, but not at once and over and over."""
        self.stale = True
        self.not_before = monotonic() + 1.0

    def deadline(self) -> "float":
        """Give the monotonic time at which ``run`` has something to do."""
        if self.stale:
            return self.not_before
        when = self.pending.deadline()
        if self.polling.folders and self.ready:
            when = min(when, self.polling.next)
        return when

    def run(self, task: "Any", everything: "bool" = False) -> "Iterator[Optional[Event]]":
        """Report what is due (``everything``: all that is known, after a full look); yields events and None."""
        self.reporting += 1
        try:
            for event in self._run(task, everything):
                yield event
        finally:
            self.reporting -= 1

    def _run(self, task: "Any", everything: "bool") -> "Iterator[Optional[Event]]":
        if self.polling.folders and (everything or monotonic() >= self.polling.next):
            for change in self.polling.run(task, everything and not self._hears_of_each):
                if change is None:
                    yield None
                else:
                    self._polled(*change)
        if not self.stale:
            paths = self.pending.take(monotonic(), everything)
            for event in self._report(paths, task):
                yield event
            self.root.forget()
        if self.stale:
            # What was due is found by who scans after the overflow, by the rules of then.
            for event in self._restart(task):
                yield event
            return
        limited = self._limited()
        if limited:
            yield limited

    def _polled(self, path: "bytes", is_folder: "bool", is_gone: "bool") -> "None":
        if self.rules.decided(path, is_folder):
            return
        if path.rpartition(b"/")[2] in RULE_FILES:
            self._rules_change(monotonic())
        if is_gone and is_folder:
            self.polling.remove_below(path)
        # The last look was long ago: there is no writer or rename to wait for that would not show in the next pass.
        self.pending.came(path, monotonic())

    def _restart(self, task: "Any") -> "Iterator[Optional[Event]]":
        """Begin anew after lost events or changed rules, then say so: what happens from now on is seen."""
        if self.inotify is not None:
            self.inotify.close()
            self.inotify = None
        self.stale = False
        self.pending.clear()
        self.own.clear()
        self.kept.forget()
        self.polling.folders.clear()
        self.rules = self.new_rules()
        self._open()
        began = monotonic()
        for event in self.start(task):
            yield event
        self.restarted = (monotonic(), monotonic() - began)
        yield "overflow", {}

    def _report(self, paths: "List[bytes]", task: "Any") -> "Iterator[Optional[Event]]":
        absent: "List[bytes]" = []
        pairs: "List[Any]" = []
        folders: "List[bytes]" = []
        covered = b"\0"
        for path in paths:
            if path.startswith(covered):
                continue  # inside a folder that will be listed as a whole
            try:
                found = self.root.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                if self.own.pop(path, None) is not False:
                    absent.append(path)
                continue
            except (OSError, AfieldError):
                continue  # unreadable is not gone
            if found.st_mode & FORMAT == IS_FOLDER:
                covered = path + b"/"
                folders.append(path)
            else:
                self._file(path, found, pairs)
            if monotonic() >= task.until:
                self.root.forget()
                yield None
        made = self._made_below(folders)
        for path in folders:
            scan = Scan(self.root, self.rules, self.folder)
            for event in self._report_folder(path, scan, task, absent, made.get(path, ())):
                yield event
        for event in changed(pairs, absent):
            yield event

    def _file(self, path: "bytes", found: "os.stat_result", pairs: "List[Any]") -> "None":
        try:
            fd, name = self.root.locate(path)
            entry = entry_of(found, name, fd)
        except (OSError, AfieldError):
            self.pending.removed(path, monotonic())
            return
        if self.own.pop(path, None) != tuple(entry.stat):
            pairs.append((path, entry))

    def _made_below(self, folders: "List[bytes]") -> "Dict[bytes, List[bytes]]":
        """Give what we made ourselves below each of these folders and nothing has told of since."""
        found: "Dict[bytes, List[bytes]]" = {path: [] for path in folders}
        for path, mark in self.own.items() if folders else ():
            for above in parents(path) if mark is not False else ():
                if above in found:
                    found[above].append(path)
        return found

    def _report_folder(
        self, path: "bytes", scan: "Scan", task: "Any", absent: "List[bytes]", made: "Sequence[bytes]"
    ) -> "Iterator[Optional[Event]]":
        """List a folder that came, watching all in it; nothing is said when all of it is our own work and still there.

        What went of ``made`` before the folder was watched gives no event of its own. What is ``absent`` is said with it (and taken from the list): a folder under a new name is then seen as such.
        """
        pairs: "List[Any]" = []
        try:
            for some in scan.run(path, task):
                if some is None:
                    yield None
                else:
                    pairs.extend(some)
        except (OSError, AfieldError):
            self.pending.removed(path, monotonic())
            return
        pairs.extend(scan.take())
        strange = [found for found, entry in pairs if self.own.get(found) != own_mark(entry)]
        for found, _ in pairs:
            self.own.pop(found, None)
        for gone_path in made:
            if self.own.get(gone_path, False) is not False:
                del self.own[gone_path]
                strange.append(gone_path)
        if strange:
            gone, absent[:] = list(absent), []
            for event in changed(pairs, gone, path):
                yield event

    def close(self) -> "None":
        """Stop watching."""
        if self.inotify is not None:
            self.inotify.close()
            self.inotify = None
