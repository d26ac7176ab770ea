"""Finds changes by looking again: for folders that no kernel event covers  [P].

Rules: a folder is remembered name by name with what its stat said; a pass is a generator that gives way; a pass takes
at most a twentieth of the time. Nothing is decided about what a change means.
"""

import os
from time import monotonic

from afield.errors import AfieldError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Optional, Tuple

    from afield.files.handles import Handles

    Look = Dict[bytes, Tuple[int, int, int, int, int]]

FORMAT, IS_FOLDER = 0o170000, 0o040000
# A person notices a second, a shared file server notices more often.
EVERY, SHARE = 1.0, 20


class Polling:
    """The folders that are looked at: ``add`` takes the first look, ``run`` gives (path, is folder, is gone)."""

    def __init__(self, root: "Handles") -> "None":
        self.root = root
        self.folders: "Dict[bytes, Look]" = {}
        self.next = 0.0

    def add(self, path: "bytes") -> "None":
        """Start looking at a folder, or look anew."""
        self.folders[path] = self._look(path) or {}

    def remove_below(self, path: "bytes") -> "None":
        """Stop looking at a folder and what is below it."""
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

    def run(self, task: "Any") -> "Iterator[Optional[Tuple[bytes, bool, bool]]]":
        """One pass over all folders; yields what differs, and None to give way."""
        spent, begun = 0.0, monotonic()
        for path in list(self.folders):
            old = self.folders.get(path)
            if old is None:
                continue
            new = self._look(path)
            if new is not None and new != old:
                self.folders[path] = new
                for change in compare(path, old, new):
                    yield change
            if monotonic() >= task.until:
                spent += monotonic() - begun
                self.root.forget()
                yield None
                begun = monotonic()
        self.root.forget()
        spent += monotonic() - begun
        self.next = monotonic() + max(EVERY, SHARE * spent)


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
