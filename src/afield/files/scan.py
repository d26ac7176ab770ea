"""What stands in a root: one pass over names and stats, in slices  [P].

Rules: nothing is opened but folders (through handles, never a symlink) and ignore files; what cannot be read is named in
``errors`` and must never be taken as deleted; a mount point is not crossed. Folders come before what is in them.
Ignored folders are only measured, within bounds. Contents are not read here (``hashes.py``).
"""

import os
import sys
from time import monotonic

from afield.errors import AfieldError
from afield.files.faults import from_os_error
from afield.files.handles import FOLDER
from afield.files.parking import Listed
from afield.files.rules import VENV_MARK
from afield.tree.entries import FOLDER as FOLDER_NODE
from afield.tree.entries import OTHER, UNKNOWN, UNKNOWN_EXECUTABLE, Entry, Node, Stat, encode_entries, entry_parts
from afield.tree.ignore import FILE_NAMES
from afield.tree.listing import digest_of, pack_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

    from afield.files.early import Early
    from afield.files.handles import Handles
    from afield.files.parking import Kept
    from afield.files.rules import Rules

    Pair = Tuple[bytes, Entry]

# Encoding a part takes about 1 ms per thousand entries, and a slice is 5 ms.
PART = 4096
NAMES = 256 << 10
# Measuring ignored folders is a courtesy: a data folder of millions of files must not hold up the first sync.
MEASURED_ENTRIES, MEASURED_SECONDS = 20000, 0.1
NAMED = 10
ERRORS = 500
FORMAT, IS_FOLDER, IS_FILE, IS_LINK = 0o170000, 0o040000, 0o100000, 0o120000
_new = tuple.__new__
_ENCODING = sys.getfilesystemencoding()
_SET = frozenset(FILE_NAMES)
_LETTERS = {IS_LINK: b"l"}


def list_names(fd: "int") -> "List[bytes]":
    """Give the names in an open folder, sorted. Raises OSError."""
    # Decoding and encoding each name costs a third of what opening /proc/self/fd/N would, which gives bytes.
    names = [name.encode(_ENCODING, "surrogateescape") for name in os.listdir(fd)]
    names.sort()
    return names


def entry_of(found: "os.stat_result", name: "bytes", fd: "int") -> "Entry":
    """Make the entry for a stat; reads the target of a link. Raises OSError."""
    kind = found.st_mode & FORMAT
    if kind == IS_FILE:
        node = UNKNOWN_EXECUTABLE if found.st_mode & 0o100 else UNKNOWN
    elif kind == IS_FOLDER:
        node = FOLDER_NODE
    elif kind == IS_LINK:
        node = Node("l", False, os.readlink(name, dir_fd=fd))
    else:
        node = OTHER
    return Entry(node, Stat(found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns))


class Scan:
    """One scan: ``pairs(start, task)`` is its generator; ``count``, ``errors``, ``ignored`` tell the rest afterwards."""

    def __init__(
        self, root: "Handles", rules: "Rules", on_folder: "Optional[Callable[[bytes], None]]" = None
    ) -> "None":
        self.root = root
        self.rules = rules
        # Called before a folder is listed: a watch that is set here misses nothing.
        self.on_folder = on_folder
        self.count = 0
        self.errors: "List[List[Any]]" = []
        self.skipped: "List[bytes]" = []
        self.ignored_files = 0
        self.ignored_bytes = 0
        self.pairs: "List[Pair]" = []
        self.names = 0
        # Digests of folders as the asker knows them; those that are the same; entries that it must not take as known.
        self.known: "Dict[bytes, bytes]" = {}
        self.same: "Dict[bytes, bytes]" = {}
        self.dropped: "List[bytes]" = []
        # What a watch kept of earlier scans; filled as well.
        self.kept: "Optional[Kept]" = None
        # Holds listings while it is not known what the asker knows.
        self.early: "Optional[Early]" = None

    def run(self, start: "bytes", task: "Any") -> "Iterator[Optional[List[Pair]]]":
        """Yield lists of (path, Entry) below ``start`` (and of it), and None to give way. The rest stays in ``take``."""
        stack: "List[Tuple[bytes, Optional[os.stat_result]]]" = []
        if start:
            if not self._first(start, stack):
                return
        else:
            stack.append((b"", None))
        while stack:
            path, found = stack.pop()
            for pause in self._folder(path, found, stack):
                yield pause
            if len(self.pairs) >= PART or self.names > NAMES:
                yield self.take()
            if monotonic() >= task.until:
                self.root.forget()
                yield None

    def take(self) -> "List[Pair]":
        """Give the pairs that were found since the last time."""
        pairs, self.pairs = self.pairs, []
        self.count += len(pairs)
        self.names = 0
        return pairs

    def error(self, path: "bytes", text: "str") -> "None":
        """Name something that could not be read."""
        if len(self.errors) < ERRORS:
            self.errors.append([path, text])

    def _first(self, start: "bytes", stack: "List[Tuple[bytes, Optional[os.stat_result]]]") -> "bool":
        """Look at the start itself; True when it is a folder to go into. Raises AfieldError, OSError."""
        fd, name = self.root.locate(start)
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if found.st_mode & FORMAT == IS_FOLDER and found.st_dev == self.root.device:
            stack.append((start, found))
            return True
        self._add(start, entry_of(found, name, fd))
        return False

    def _add(self, path: "bytes", entry: "Entry") -> "None":
        self.pairs.append((path, entry))
        self.names += len(path) + len(entry.node.content or b"")

    def _folder(
        self, path: "bytes", found: "Optional[os.stat_result]", stack: "List[Any]"
    ) -> "Iterator[Optional[List[Pair]]]":
        if self.kept is not None and self._as_kept(path, stack):
            return
        if self.on_folder is not None:
            self.on_folder(path)
        fd = self._open(path, found)
        if fd < 0:
            return
        try:
            whole = True
            try:
                names = list_names(fd)
            except OSError as error:
                self.error(path, from_os_error(error, path).text)
                names, whole = [], False
            if path and VENV_MARK in names:
                self.skipped.append(path)
                self.drop(path)
                return
            if found is not None and self.early is None:
                self.add_folder(path, found)
            if not _SET.isdisjoint(names):
                self.rules.enter(path, fd, names)
            else:
                self.rules.known.add(path)
            # A folder of a million names is many slices.
            whole = whole and len(names) <= PART
            for at in range(0, len(names) or 1, PART):
                if at:
                    yield self.take()
                self._names(path, fd, names[at : at + PART], stack, None if at else found, whole=whole)
        finally:
            os.close(fd)

    def _as_kept(self, path: "bytes", stack: "List[Any]") -> "bool":
        """Take a folder as it was listed before, when that is what the asker knows."""
        assert self.kept is not None
        listed = self.kept.listed.get(path)
        if listed is None:
            return False
        if listed.digest != self.known.get(path):
            del self.kept.listed[path]
            return False
        self.same[path] = listed.digest
        self.skipped += listed.skipped
        self.ignored_files += listed.files
        self.ignored_bytes += listed.size
        stack.extend([(inner, None) for inner in reversed(listed.folders)])
        return True

    def _open(self, path: "bytes", found: "Optional[os.stat_result]") -> "int":
        """Open a folder for listing; -1 when it vanished or cannot be read (then it is an entry and an error)."""
        try:
            if not path:
                return os.open(b".", FOLDER, dir_fd=self.root.fd)
            above, _, name = path.rpartition(b"/")
            return os.open(name, FOLDER, dir_fd=self.root.folder(above))
        except FileNotFoundError:
            self.drop(path)
            return -1
        except OSError as error:
            if found is not None and self.early is None:
                self.add_folder(path, found)
            elif self.early is not None:
                self.early.add((path, found, [], None))
            self.error(path, from_os_error(error, path).text)
        except AfieldError as error:
            self.error(path, error.text)
        return -1

    def drop(self, path: "bytes") -> "None":
        """Name a folder that its unchanged parent seems to hold and that is none of the tree."""
        if self.early is not None:
            self.early.gone.append(path)
        elif path.rpartition(b"/")[0] in self.same:
            self.dropped.append(path)

    def add_folder(self, path: "bytes", found: "os.stat_result") -> "None":
        """Tell of a folder."""
        self._add(path, entry_of(found, b"", -1))

    def _names(
        self,
        path: "bytes",
        fd: "int",
        names: "List[bytes]",
        stack: "List[Any]",
        own: "Optional[os.stat_result]",
        whole: "bool",
    ) -> "None":
        prefix = path + b"/" if path else b""
        before = len(self.skipped), self.ignored_files, self.ignored_bytes
        found, sure = self._look(prefix, fd, names)
        sure = sure and whole
        if not self.rules.free(path, names):
            found = self._not_ignored(path, prefix, found)
        device = self.root.device
        folders = [(prefix + name, st) for name, st in found if st.st_mode & FORMAT == IS_FOLDER]
        for inner, st in folders:
            if st.st_dev != device:
                self.error(inner, "another file system is mounted here: it is not synced")
                sure = False
        folders = [each for each in folders if each[1].st_dev == device]
        digest = self.known.get(path) if sure else None
        listed: "Optional[Listed]" = None
        if sure and (digest is not None or self.early is not None):
            ignored = self.skipped[before[0] :], self.ignored_files - before[1], self.ignored_bytes - before[2]
            listed = Listed(listing_digest(found), [inner for inner, _ in folders], *ignored)
        if self.early is not None:
            self.early.add((path, own, found, listed))
        elif listed is not None and listed.digest == digest:
            self.same[path] = listed.digest
            folders = [(inner, None) for inner in listed.folders]
            self.keep(path, listed)
        else:
            self.take_names(prefix, fd, found)
        folders.reverse()
        stack.extend(folders)

    def _look(self, prefix: "bytes", fd: "int", names: "List[bytes]") -> "Tuple[List[Any], bool]":
        """Give (name, stat) of what stands under these names, and whether that is all there is to it."""
        found: "List[Any]" = []
        add, look, sure = found.append, os.stat, True
        for name in names:
            try:
                add((name, look(name, dir_fd=fd, follow_symlinks=False)))
            except OSError as error:
                if not isinstance(error, FileNotFoundError):
                    self.error(prefix + name, from_os_error(error, prefix + name).text)
                sure = False
        return found, sure

    def _not_ignored(self, path: "bytes", prefix: "bytes", found: "List[Any]") -> "List[Any]":
        rule_for = self.rules.names_of(path)
        left: "List[Any]" = []
        for name, st in found:
            is_folder = st.st_mode & FORMAT == IS_FOLDER
            rule = rule_for(name, is_folder)
            if rule is None or rule.pattern.negated:
                left.append((name, st))
            elif is_folder:
                self.skipped.append(prefix + name)
            else:
                self.ignored_files += 1
                self.ignored_bytes += st.st_size
        return left

    def keep(self, path: "bytes", listed: "Listed") -> "None":
        """Keep what a folder holds, where a watch tells of its changes."""
        if self.kept is not None:
            self.kept.listed[path] = listed

    def take_names(self, prefix: "bytes", fd: "int", found: "List[Any]") -> "None":
        """Make the entries of what was found in a folder; folders make theirs when they are listed."""
        add, device, size = self.pairs.append, self.root.device, 0
        for name, st in found:
            mode = st.st_mode
            inner = prefix + name
            size += len(inner)
            if mode & FORMAT == IS_FILE:
                stat = _new(Stat, (st.st_size, st.st_mtime_ns, st.st_ino, st.st_ctime_ns))
                add((inner, _new(Entry, (UNKNOWN_EXECUTABLE if mode & 0o100 else UNKNOWN, stat))))
            elif mode & FORMAT == IS_FOLDER:
                if st.st_dev != device:
                    add((inner, Entry(OTHER, Stat(st.st_size, st.st_mtime_ns, st.st_ino, st.st_ctime_ns))))
            else:
                try:
                    self._add(inner, entry_of(st, name, fd))
                except OSError:
                    continue  # a link that vanished right now
        self.names += size

    def measure(self, task: "Any") -> "Iterator[None]":
        """Tell how much is ignored: walk the skipped folders, within bounds; ``ignored`` has the answer."""
        self.sizes: "Dict[bytes, int]" = {}
        self.at_least = False
        left, spent = MEASURED_ENTRIES, 0.0
        for top in self.skipped:
            stack = [top]
            self.sizes[top] = 0
            while stack:
                if left <= 0 or spent > MEASURED_SECONDS:
                    self.at_least = True
                    return
                begun = monotonic()
                left -= self._measure_folder(stack.pop(), top, stack)
                spent += monotonic() - begun
                if monotonic() >= task.until:
                    self.root.forget()
                    yield None

    def _measure_folder(self, path: "bytes", top: "bytes", stack: "List[bytes]") -> "int":
        try:
            fd = self.root.folder(path)
            names = list_names(fd)
        except (OSError, AfieldError):
            return 1
        for name in names[:MEASURED_ENTRIES]:
            try:
                st = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except OSError:
                continue
            if st.st_mode & FORMAT == IS_FOLDER:
                if st.st_dev == self.root.device:
                    stack.append(path + b"/" + name)
            else:
                self.ignored_files += 1
                self.ignored_bytes += st.st_size
                self.sizes[top] += st.st_size
        return len(names) + 1

    def ignored(self) -> "Dict[str, Any]":
        """Give the ``ignored`` map of the result, after ``measure``."""
        sizes = sorted(self.sizes.items(), key=lambda item: item[1], reverse=True)
        return {
            "files": self.ignored_files,
            "bytes": self.ignored_bytes,
            "largest": [[path, size] for path, size in sizes[:NAMED]],
            "at_least": self.at_least,
        }


def listing_digest(found: "List[Tuple[bytes, os.stat_result]]") -> "bytes":
    """Give the digest of a folder, as ``tree/listing.py`` has it; b"" for numbers that it cannot hold."""
    names: "List[bytes]" = []
    numbers: "List[int]" = []
    for name, st in found:
        mode = st.st_mode
        kind = mode & FORMAT
        if kind == IS_FOLDER:
            names.append(b"d" + name)
            continue
        names.append((b"x" if mode & 0o100 else b"f") + name if kind == IS_FILE else _LETTERS.get(kind, b"o") + name)
        numbers += (st.st_size, st.st_mtime_ns, st.st_ino, st.st_ctime_ns)
    stats = pack_numbers(numbers)
    return digest_of(names, stats) if stats or not numbers else b""


def columns(pairs: "List[Pair]") -> "Iterator[bytes]":
    """Give pairs as the bytes of parts that fit a record each."""
    if not pairs:
        return
    if (
        len(pairs) <= 2 * PART
        and sum([len(path) for path, _ in pairs]) <= NAMES
        and not any(entry.node.kind == "l" for _, entry in pairs)
    ):
        yield encode_entries(pairs)
        return
    for part in entry_parts(pairs):
        yield encode_entries(part)
