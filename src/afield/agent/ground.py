"""Where a folder can be shown at a place: how each path above it comes to be, decided by looking only  [P].

A path may lack at the place, or go through a symlink. What lacks is made where the user may make folders; elsewhere the folder
above is *replaced*: a small one in memory takes its place, in which every other entry stands as before. Rules: a folder in which the
user could make files is never replaced, because what he makes there would be lost; symlinks are replaced by what they lead to, because
``getcwd`` must give the path that was asked for. Nothing is changed in here.
"""

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, List, Set, Tuple

# What the system or every program needs where it is.
KERNEL = (b"/proc", b"/sys", b"/dev")
NEEDED = (b"/usr", b"/etc", b"/bin", b"/lib", b"/lib64", b"/run", b"/tmp", b"/var")
# Entries of a replaced folder: each is a mount, 10 microseconds; a shared /home of a university has thousands.
MOST_ENTRIES = 8192


class UnsuitableError(Exception):
    """This path cannot be shown there; the text says why, for people."""


class Ground:
    """What to do before folders can be shown at their paths.

    ``replaced``: folder -> {entry: what it leads to} for entries that are symlinks there; ``made``: (path shown, real path), parents first;
    ``in_memory``: paths to be made in what is replaced.
    """

    def __init__(self) -> "None":
        self.replaced: "Dict[bytes, Dict[bytes, bytes]]" = {}
        self.made: "List[Tuple[bytes, bytes]]" = []
        self.in_memory: "List[bytes]" = []
        self._new: "Set[bytes]" = set()

    def prepare(self, target: "bytes", needed: "Iterable[bytes]" = ()) -> "None":
        """Plan for one path; needed are paths that must stay visible. Raises UnsuitableError, OSError."""
        check(target, needed)
        shown, real = b"/", b"/"
        for name in target.split(b"/")[1:]:
            above, shown_above = real, shown
            shown = os.path.join(shown, name)
            real = os.path.join(real, name)
            if shown_above in self._new:
                self._add(shown, real, in_memory=shown_above in self.in_memory)
            else:
                real = self._step(shown_above, above, shown, real, name)

    def _step(self, shown_above: "bytes", above: "bytes", shown: "bytes", real: "bytes", name: "bytes") -> "bytes":
        if shown in self._new:
            return real
        known = self.replaced.get(shown_above, {}).get(name)
        if known is not None:
            return known
        try:
            mode = os.lstat(real).st_mode
        except (FileNotFoundError, NotADirectoryError):
            in_memory = shown_above in self.replaced or not _may_make(above)
            if in_memory:
                self._replace(shown_above, above)
            self._add(shown, real, in_memory=in_memory)
            return real
        if stat.S_ISDIR(mode):
            return real
        if not stat.S_ISLNK(mode) or not os.path.isdir(real):
            raise UnsuitableError("%s is no folder there" % os.fsdecode(shown))
        if shown_above != b"/" and _may_make(above):
            raise UnsuitableError("%s is a symlink there, in a folder that you can write to" % os.fsdecode(shown))
        self._replace(shown_above, above)
        self.replaced[shown_above][name] = os.path.realpath(real)
        return self.replaced[shown_above][name]

    def _add(self, shown: "bytes", real: "bytes", *, in_memory: "bool") -> "None":
        if shown in self._new:
            return
        self._new.add(shown)
        if in_memory:
            self.in_memory.append(shown)
        else:
            self.made.append((shown, real))

    def _replace(self, shown: "bytes", real: "bytes") -> "None":
        if shown in self.replaced:
            return
        try:
            count = len(os.listdir(real))
        except OSError as error:
            raise UnsuitableError("%s cannot be read there (%s)" % (os.fsdecode(shown), error.strerror)) from None
        if count > MOST_ENTRIES:
            raise UnsuitableError(
                "%s has %d entries there, at most %d are shown again" % (os.fsdecode(shown), count, MOST_ENTRIES)
            )
        self.replaced[shown] = {}


def _may_make(folder: "bytes") -> "bool":
    return os.access(folder, os.W_OK | os.X_OK)


def check(target: "bytes", needed: "Iterable[bytes]" = ()) -> "None":
    """Refuse what is no path for a folder of a user. Raises UnsuitableError."""
    text = os.fsdecode(target)
    if not target.startswith(b"/") or b"\0" in target or os.path.normpath(target) != target or target.startswith(b"//"):
        raise UnsuitableError("%r is no plain absolute path" % text)
    if target == b"/":
        raise UnsuitableError("the root folder cannot be shown elsewhere")
    for folder in KERNEL:
        if is_below(target, folder):
            raise UnsuitableError("%s belongs to the system" % text)
    for folder in (*NEEDED, *KERNEL, *needed):
        if is_below(folder, target):
            raise UnsuitableError("%s would hide %s there" % (text, os.fsdecode(folder)))


def is_below(path: "bytes", folder: "bytes") -> "bool":
    """Tell whether path is folder or below it."""
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")
