"""The kernel's change events, through ctypes: watches on folders, events as (folder, name, mask, cookie)  [P].

Source: inotify(7). Rules: only folders are watched, never through a symlink; a watch is set before the folder is
listed by whoever adds it, so nothing falls between. No decision about events here.
"""

import ctypes
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Tuple

MODIFY, ATTRIB, CLOSE_WRITE, MOVED_FROM, MOVED_TO = 0x2, 0x4, 0x8, 0x40, 0x80
CREATE, DELETE, DELETE_SELF, MOVE_SELF = 0x100, 0x200, 0x400, 0x800
OVERFLOW, IGNORED, ISDIR = 0x4000, 0x8000, 0x40000000
_ONLYDIR, _DONT_FOLLOW, _EXCL_UNLINK = 0x01000000, 0x02000000, 0x04000000
WANTED = (
    MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | _ONLYDIR | _DONT_FOLLOW | _EXCL_UNLINK
)
_EVENT = struct.Struct("iIII")
# Several hundred events a read, far below the kernel's queue of 16384.
_READ = 1 << 16


class Inotify:
    """An inotify descriptor ``fd`` and the folders it watches, below the absolute path ``base``."""

    def __init__(self, base: "bytes") -> "None":
        """Raises OSError when the system has no inotify or no descriptor to spare, AttributeError without the call."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._add, self._remove = libc.inotify_add_watch, libc.inotify_rm_watch
        self._add.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32]
        self.base = base
        self.folders: "Dict[int, bytes]" = {}
        self.watches: "Dict[bytes, int]" = {}
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify cannot be used")

    def add(self, path: "bytes") -> "None":
        """Watch a folder (relative to the base). Raises OSError: ENOSPC when the system's watches are used up."""
        watch = self._add(self.fd, self.base + b"/" + path if path else self.base + b"/.", WANTED)
        if watch < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        old = self.folders.get(watch)
        if old is not None and old != path and self.watches.get(old) == watch:
            del self.watches[old]
        self.folders[watch] = path
        self.watches[path] = watch

    def remove_below(self, path: "bytes") -> "None":
        """Stop watching a folder and what is below it: it was moved or removed."""
        prefix = path + b"/"
        for found in [known for known in self.watches if known == path or known.startswith(prefix)]:
            watch = self.watches.pop(found)
            self.folders.pop(watch, None)
            self._remove(self.fd, watch)

    def read(self) -> "Iterator[Tuple[bytes, bytes, int, int]]":
        """Give the events that wait: (folder, name, mask, cookie); OVERFLOW comes with an empty folder and name.

        Both events of a rename have the same cookie, all others 0.
        """
        while True:
            try:
                data = os.read(self.fd, _READ)
            except BlockingIOError:
                return
            for event in self._parse(data):
                yield event
            if len(data) < _READ - 4096:
                return

    def _parse(self, data: "bytes") -> "List[Tuple[bytes, bytes, int, int]]":
        found, at, end, folders = [], 0, len(data), self.folders
        unpack, size = _EVENT.unpack_from, _EVENT.size
        while at < end:
            watch, mask, cookie, length = unpack(data, at)
            at += size
            name = data[at : at + length].rstrip(b"\0")
            at += length
            if mask & OVERFLOW:
                found.append((b"", b"", OVERFLOW, 0))
            elif mask & IGNORED:
                path = folders.pop(watch, None)
                if path is not None and self.watches.get(path) == watch:
                    del self.watches[path]
            elif watch in folders and name:
                found.append((folders[watch], name, mask, cookie))
        return found

    def close(self) -> "None":
        """Close the descriptor: all watches go with it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
