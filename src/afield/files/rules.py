"""Which paths of a root are left out: ``tree.ignore`` fed with the ignore files that lie in the root  [P].

Rules: only what is in the tree itself or was given with ``open`` counts, never a setting of this machine: both ends must
come to the same answer. Ignore files are read through the root's handles, at most 1 MiB of each. A folder that holds
``pyvenv.cfg`` (PEP 405) is an environment and left out.
"""

import os

from afield.errors import AfieldError
from afield.files.bundle import OPEN
from afield.files.handles import kind_of
from afield.tree.ignore import FILE_NAMES, Ignore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable, List, Optional, Set

    from afield.files.handles import Handles
    from afield.tree.ignore import Rule

VENV_MARK = b"pyvenv.cfg"
LARGEST = 1 << 20


class Rules:
    """The rules of one root; ``extra`` lines come from the settings. Made anew when an ignore file changes."""

    def __init__(self, extra: "Iterable[str]" = ()) -> "None":
        self.ignore = Ignore()
        lines = list(extra)
        if lines:
            self.ignore.add_rules(
                b"", "\n".join(lines).encode("utf-8", "surrogateescape"), "settings", level="settings"
            )
        self.known: "Set[bytes]" = set()

    def enter(self, folder: "bytes", fd: "int", names: "Iterable[bytes]") -> "None":
        """Read the ignore files among ``names`` of the folder that is open as ``fd``."""
        self.known.add(folder)
        for name in FILE_NAMES:
            if name in names:
                text = read_small(fd, name)
                if text:
                    source = folder + b"/" + name if folder else name
                    self.ignore.add_rules(folder, text, source.decode("utf-8", "backslashreplace"))

    def names_of(self, folder: "bytes") -> "Callable[[bytes, bool], Optional[Rule]]":
        """Give the function (name, is folder) → deciding rule, for names directly in a folder that is not left out.

        The rule itself, because a scan asks once for each entry and feels every call.
        """
        return self.ignore.folder(folder).rule

    def free(self, folder: "bytes", names: "List[bytes]") -> "bool":
        """Tell whether no rule says anything of any of these names in a folder; it may say no where none does."""
        return self.ignore.folder(folder).free(names)

    def decided(self, path: "bytes", is_folder: "bool") -> "bool":
        """Tell whether the path itself is left out; what is above it was decided before."""
        above, _, name = path.rpartition(b"/")
        return self.ignore.folder(above).ignored(name, is_folder)

    def left_out(self, handles: "Handles", path: "bytes") -> "bool":
        """Tell whether the path or a folder above it is left out; reads the ignore files on the way.

        Where nothing stands any more the rules from above decide; a rule for folders counts then, since what stood
        there may have been one. Raises OSError when a folder on the way cannot be read.
        """
        above, left = b"", path
        while left:
            name, _, left = left.partition(b"/")
            self._learn(handles, above)
            inner = above + b"/" + name if above else name
            kind = "d" if left else standing_kind(handles, inner)
            if self.decided(inner, kind != "f") or (kind == "" and self.decided(inner, False)):
                return True
            if kind == "d" and has_mark(handles, inner):
                return True
            above = inner
        return False

    def left_out_below(self, gone: "bytes", path: "bytes") -> "bool":
        """Tell the same for a path below ``gone``, where nothing stands and which is not left out itself."""
        cut = path.find(b"/", len(gone) + 1)
        while cut > 0:
            if self.decided(path[:cut], True):
                return True
            cut = path.find(b"/", cut + 1)
        return self.decided(path, True) or self.decided(path, False)

    def _learn(self, handles: "Handles", folder: "bytes") -> "None":
        if folder not in self.known:
            try:
                fd = handles.folder(folder)
            except (FileNotFoundError, NotADirectoryError, AfieldError):
                return  # gone, or no way through: it has no ignore files
            self.enter(folder, fd, existing(fd, FILE_NAMES))


def standing_kind(handles: "Handles", path: "bytes") -> "str":
    """Give "d" for a folder, "f" for anything else, "" when nothing stands there."""
    try:
        return "d" if kind_of(handles.lstat(path).st_mode) == "d" else "f"
    except (FileNotFoundError, NotADirectoryError, AfieldError):
        return ""


def has_mark(handles: "Handles", path: "bytes") -> "bool":
    """Tell whether the folder is a virtual environment."""
    try:
        os.stat(VENV_MARK, dir_fd=handles.folder(path), follow_symlinks=False)
    except (OSError, AfieldError):
        return False
    return True


def existing(fd: "int", names: "Iterable[bytes]") -> "List[bytes]":
    """Give those of ``names`` that exist in the folder."""
    found = []
    for name in names:
        try:
            os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError:
            continue
        found.append(name)
    return found


def read_small(fd: "int", name: "bytes") -> "bytes":
    """Read a small file of a folder; empty when it is none or cannot be read (the scan then names it)."""
    try:
        file = os.open(name, OPEN, dir_fd=fd)
    except OSError:
        return b""
    try:
        return os.read(file, LARGEST) if kind_of(os.fstat(file).st_mode) == "f" else b""
    except OSError:
        return b""
    finally:
        os.close(file)
