"""Finds changes by looking again: for folders that no kernel event covers  [P].

Rules: a folder is remembered name by name with what its stat said; a pass is a generator that gives way. Folders in which
something changed of late (hot ones) are in every pass, the others take turns, so that all passes together take about a
twentieth of the time however many folders there are. Nothing is decided about what a change means.
"""

import os
from time import monotonic

from afield.errors import AfieldError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple

    from afield.files.handles import Handles

    Look = Dict[bytes, Tuple[int, int, int, int, int]]

FORMAT, IS_FOLDER = 0o170000, 0o040000
# A person notices a second, a shared file server notices more often.
EVERY, SHARE = 1.0, 20
# Who saved a file saves there again within minutes; more hot folders than this are no hint any more.
HOT, HOT_MOST = 300.0, 500


class Polling:
    """The folders that are looked at: ``add`` takes the first look, ``run`` gives (path, is folder, is gone)."""

    def __init__(self, root: "Handles") -> "None":
        self.root = root
        self.folders: "Dict[bytes, Look]" = {}
        self.next = 0.0
        self.hot: "Dict[bytes, float]" = {}
        # Folders whose turn is still to come in this round, the next one last.
        self.turns: "List[bytes]" = []
        self.spent = 0.0

    def add(self, path: "bytes") -> "None":
        """Start looking at a folder, or look anew."""
        self.folders[path] = self._look(path) or {}

    def warm(self, path: "bytes", now: "float") -> "None":
        """Something happens in this folder: look at it often."""
        if path in self.folders:
            if len(self.hot) >= HOT_MOST and path not in self.hot:
                self.hot.pop(min(self.hot, key=self.hot.__getitem__))
            self.hot[path] = now

    def remove_below(self, path: "bytes") -> "None":
        """Stop looking at a folder and what is below it."""
        if not self.folders:
            return
        prefix = path + b"/"
        for found in [known for known in self.folders if known == path or known.startswith(prefix)]:
            del self.folders[found]

    def _look(self, path: "bytes") -> "Optional[Look]":
        try:
            fd = self.root.folder(path)
            names = os.listdir(fd)
        except FileNotFoundError:
            return {}
        except (OSError, AfieldError):
            return None  # unreadable is not empty
        seen: "Look" = {}
        for text in names:
            name = os.fsencode(text)
            try:
                st = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except OSError:
                continue
            if st.st_mode & FORMAT == IS_FOLDER:
                # The times of a folder say nothing that a look into it does not say.
                seen[name] = (st.st_mode & FORMAT, 0, 0, st.st_ino, 0)
            else:
                seen[name] = (st.st_mode, st.st_size, st.st_mtime_ns, st.st_ino, st.st_ctime_ns)
        return seen

    def run(self, task: "Any", everything: "bool" = False) -> "Iterator[Optional[Tuple[bytes, bool, bool]]]":
        """One pass: the hot folders and as many others as there is time for, or ``everything``.

        Yields what differs, and None to give way.
        """
        begun = monotonic()
        self.hot = {path: when for path, when in self.hot.items() if when > begun - HOT and path in self.folders}
        spent = 0.0
        for path in list(self.folders) if everything else self._due():
            old = self.folders.get(path)
            new = None if old is None else self._look(path)
            if old is not None and new is not None and new != old:
                self.folders[path] = new
                self.warm(path, monotonic())
                for change in compare(path, old, new):
                    yield change
            if monotonic() >= task.until:
                spent += monotonic() - begun
                self.root.forget()
                yield None
                begun = monotonic()
            self.spent = spent + monotonic() - begun
        self.root.forget()
        self.next = monotonic() + max(EVERY, SHARE * (spent + monotonic() - begun))

    def _due(self) -> "Iterator[bytes]":
        """The hot folders, then the others in turn until this pass has had its share of the time."""
        self.spent = 0.0
        for path in sorted(self.hot, key=self.hot.__getitem__, reverse=True):
            yield path
        if not self.turns:
            self.turns = list(self.folders)
            self.turns.reverse()
        begun = self.spent
        while self.turns and self.spent - begun < EVERY / SHARE:
            path = self.turns.pop()
            if path not in self.hot:
                yield path


def compare(path: "bytes", old: "Look", new: "Look") -> "Iterator[Tuple[bytes, bool, bool]]":
    """Give (path, is folder, is gone) for each name that differs between two looks at a folder."""
    prefix = path + b"/" if path else b""
    for name, was in old.items():
        now = new.get(name)
        if now is None:
            yield prefix + name, was[0] & FORMAT == IS_FOLDER, True
        elif now != was:
            yield prefix + name, now[0] & FORMAT == IS_FOLDER, False
    for name, now in new.items():
        if name not in old:
            yield prefix + name, now[0] & FORMAT == IS_FOLDER, False
