"""The files worker of here on macOS: events come from FSEvents through watchfiles; ``main(in, out)`` serves as the portable worker does.

The source watches the whole tree at once and tells late and in no order, so: only what happens in folders that were added counts, what
stands at a path is looked up when its event is read, a folder that came or went is listed anew, and who needs to be sure
writes a cookie and waits for its event. What it may lose all the same, the worker's slow look at everything finds (mode ``both``).
Source: watchfiles' documented Rust API, ``RustNotify``.
"""

from __future__ import annotations

import importlib.util
import os
import stat
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    Events = Iterator[tuple[bytes, bytes, int, int]]

# Milliseconds: a burst goes on for at most so long; until an event is told, and between looks of an idle laptop for one.
_BURST: Final = 50
_STEP: Final = 20
_IDLE: Final = 5000
# Seconds until a cookie that does not come is waited for no more: FSEvents on a busy disk.
_COOKIE_SECONDS: Final = 2.0
# Of its kinds of change; what is gone is seen by looking.
_ADDED, _MODIFIED = 1, 2
CODE: Final = "import sys; sys.path += sys.argv[1:]; from afield.sync.nearwatch import main; sys.exit(main(0, 1))"


def library() -> str | None:
    """Give the folder that holds watchfiles; None where it is not wanted (Linux has inotify) or not there."""
    if sys.platform != "darwin":
        return None
    return find_library()


def find_library() -> str | None:
    """Give the folder that holds watchfiles, or None."""
    found = importlib.util.find_spec("watchfiles")
    return None if found is None or found.origin is None else os.path.dirname(os.path.dirname(found.origin))


class Notified:
    """Looks to ``files.watch`` as ``files.inotify.Inotify`` does: ``fd`` is readable when ``read`` has events."""

    def __init__(self, base: bytes) -> None:
        """``base``: absolute, without symlinks. Raises OSError when it cannot be watched."""
        from watchfiles._rust_notify import RustNotify

        self.base = base
        self.watches: dict[bytes, int] = {}
        self._queue: deque[set[tuple[int, str]] | None] = deque()
        self._cookies: set[str] = set()
        self._moves = 0
        self._stop = threading.Event()
        try:
            self._notify: Any = RustNotify([os.fsdecode(base)], False, False, 0, True, True)
        except RuntimeError as error:  # what it makes of a watcher that cannot be had
            raise OSError(str(error)) from None
        self.fd, self._told = os.pipe()
        for fd in (self.fd, self._told):
            os.set_blocking(fd, False)
        self._thread = threading.Thread(target=self._listen, name="afield-watch", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                found = self._notify.watch(_BURST, _STEP, _IDLE, self._stop)
            except Exception:  # events were lost, a path could not be told, the folder is gone
                self._tell(None)
                return
            if isinstance(found, set) and found:
                self._tell(found)
                self._cookies.difference_update(path for _, path in found)

    def _tell(self, found: set[tuple[int, str]] | None) -> None:
        self._queue.append(found)
        try:
            os.write(self._told, b"x")
        except OSError:  # full: whoever reads has been told; closed: nobody reads
            return

    def add(self, path: bytes) -> None:
        """Let what happens in a folder count."""
        self.watches[path] = 1

    def remove_below(self, path: bytes) -> None:
        """Let it count no more."""
        prefix = path + b"/"
        for found in [known for known in self.watches if known == path or known.startswith(prefix)]:
            del self.watches[found]

    def read(self) -> Events:
        """Give what happened, as inotify would: (folder, name, mask, cookie)."""
        # Not at the top: it loads ctypes, and every daemon imports this module for what `library` says.
        from afield.files import inotify as words

        try:
            while os.read(self.fd, 4096):
                pass
        except BlockingIOError:
            pass
        while self._queue:
            found = self._queue.popleft()
            if found is None:
                yield b"", b"", words.OVERFLOW, 0
                continue
            changes: dict[bytes, int] = {}
            for change, text in sorted(found, key=lambda item: item[1]):
                path = os.fsencode(text)
                changes[path] = change if path not in changes else _ADDED
            for path, change in changes.items():
                yield from self._events(path, change)

    def _events(self, path: bytes, change: int) -> Events:
        from afield.files import inotify as words

        inner = path[len(self.base) + 1 :]
        folder, _, name = inner.rpartition(b"/")
        if not inner or folder not in self.watches:
            return
        self._moves += 1  # each event is one of its own: a pair of a rename cannot be told
        try:
            is_folder = stat.S_ISDIR(os.lstat(path).st_mode)
        except OSError:
            was_folder = words.ISDIR if inner in self.watches else 0
            yield folder, name, words.MOVED_FROM | was_folder, self._moves
            return
        if is_folder and (change != _MODIFIED or inner not in self.watches):
            yield folder, name, words.MOVED_TO | words.ISDIR, self._moves
        elif not is_folder:
            if inner in self.watches:
                self.remove_below(inner)
            yield folder, name, words.MODIFY, 0

    def catch_up(self, folder: bytes) -> Iterator[None]:
        """Yield until all that happened so far is in the queue: a file that is made now is told of after it."""
        cookie = os.fsdecode(folder) + f"/cookie-{os.getpid()}-{time.monotonic_ns()}"
        if not cookie.startswith(os.fsdecode(self.base) + "/"):
            return
        self._cookies.add(cookie)
        try:
            os.close(os.open(cookie, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError:  # a full disk: there is the slow look at everything
            self._cookies.discard(cookie)
            return
        try:
            end = time.monotonic() + _COOKIE_SECONDS
            while cookie in self._cookies and self._thread.is_alive() and time.monotonic() < end:
                time.sleep(0.002)
                yield
        finally:
            self._cookies.discard(cookie)
            os.unlink(cookie)

    def close(self) -> None:
        """Stop."""
        if self.fd >= 0:
            self._stop.set()
            self._thread.join(1.0)
            os.close(self.fd)
            os.close(self._told)
            self.fd = -1


def main(in_fd: int, out_fd: int) -> None:
    """Serve as ``files.worker.main``, with events from watchfiles."""
    from afield.files import worker
    from afield.files.service import Service

    Service.new_events = Notified
    worker.main(in_fd, out_fd)
