"""Start a program by vfork: nothing of the agent is copied, and the child is C from its first instruction  [P].

Measured with an agent of 15 MB, start to end of ``true``: 0.5 ms against 1.9 ms by fork. Python offers it from 3.10 on, in the
module below ``subprocess`` (importing that one costs 12 ms). Rules: whatever does not simply work is left to the fork in spawn.py,
which knows all the answers; and because the agent stands still until the program is executed, no folder or file that
another machine may have to answer for is touched this way.
"""

import os
import sys
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence

# A list of what answers at once: one of the others that is missing here costs a millisecond, the reverse could stop every link.
LOCAL = frozenset(
    b"bcachefs btrfs devtmpfs erofs ext2 ext3 ext4 f2fs jfs overlay ramfs reiserfs rootfs squashfs tmpfs ubifs vfat xfs zfs".split()
)
FRESH = 30.0  # seconds that the table of mounts is believed: reading it for every program would cost a tenth of what is gained
MOST_FOLDERS = 1024  # remembered answers; one is 100 bytes


class Mounts:
    """Which folders lie on a file system of this machine, as /proc/self/mountinfo tells (proc(5)); without one, none does."""

    def __init__(self, path: "str" = "/proc/self/mountinfo") -> "None":
        self._path = path
        self._read_at = 0.0
        self._kinds: "Dict[bytes, bytes]" = {}
        self._known: "Dict[bytes, bool]" = {}

    def is_local(self, folder: "bytes", now: "float") -> "bool":
        """Tell whether this absolute folder does; a link on the way is not looked through, as looking could wait, too."""
        if now >= self._read_at + FRESH or not self._read_at or len(self._known) > MOST_FOLDERS:
            self._read(now)
        known = self._known.get(folder)
        if known is None:
            known = self._known[folder] = self._look(folder)
        return known

    def _look(self, folder: "bytes") -> "bool":
        parts = folder.split(b"/")
        if b".." in parts or not folder.startswith(b"/"):
            return False
        while parts:
            kind = self._kinds.get(b"/".join(parts) or b"/")
            if kind is not None:
                return kind in LOCAL
            parts.pop()
        return False

    def _read(self, now: "float") -> "None":
        self._read_at = now
        self._known.clear()
        self._kinds.clear()
        try:
            with open(self._path, "rb", 0) as file:
                lines = file.readall().split(b"\n")
        except OSError:
            return
        for line in lines:
            fields, _, more = line.partition(b" - ")
            words = fields.split(b" ")
            if more and len(words) > 4:
                # The last mount on a folder is the one that is seen. Odd characters are octal escapes: such names are looked up.
                self._kinds[_unescaped(words[4])] = more.split(b" ")[0]


def _unescaped(name: "bytes") -> "bytes":
    for char in b" \t\n\\":
        name = name.replace(b"\\%03o" % char, bytes((char,)))
    return name


_mounts = Mounts()
local_folder = _mounts.is_local


def fork_exec(
    files: "List[bytes]", argv: "List[bytes]", env: "Dict[bytes, bytes]", folder: "bytes", stdio: "Sequence[int]"
) -> "Optional[int]":
    """Execute the first of files that is there, in its own session, with these descriptors as 0, 1, 2; give its pid.

    None: it cannot be done this way, or it failed; nothing is left of the attempt.
    """
    if sys.version_info < (3, 10) or not _all_local(files, folder):
        return None
    try:
        import _posixsubprocess
    except ImportError:
        return None
    start: "Any" = _posixsubprocess.fork_exec  # its arguments are those of no release's type stubs
    told, tell = os.pipe()
    try:
        words: "List[object]" = [argv, files, True, (tell,), folder, [b"=".join(item) for item in env.items()]]
        words += [stdio[0], -1, -1, stdio[1], -1, stdio[2], told, tell]
        pid: "int" = start(*words, *_options())
        os.close(tell)
        tell = -1
        if not os.read(told, 256):
            return pid
        os.waitpid(pid, 0)
    except (OSError, TypeError, ValueError):  # another release's idea of the arguments; no process; too many arguments
        pass
    finally:
        os.close(told)
        if tell >= 0:
            os.close(tell)
    return None


def _options() -> "List[object]":
    """Give the arguments from restore_signals on, as this release of Python takes them: a session of its own, same user and mask."""
    version = sys.version_info[:2]
    group: "List[object]" = [-1] if version >= (3, 11) else []
    allow: "List[object]" = [True] if (3, 11) <= version < (3, 14) else []
    return [True, True, *group, None, None, None, -1, None, *allow]


def _all_local(files: "List[bytes]", folder: "bytes") -> "bool":
    now = monotonic()
    return _mounts.is_local(folder, now) and all(_mounts.is_local(os.path.dirname(path), now) for path in files)
