"""The daemon's log: one line an event, rotated by size, safe to show.

Rules: no secrets and no environment, arguments of programs only at debug level (``AFIELD_LOG=debug``); lines are
escaped, so that no program can forge one; 0600. What must not go in: anything that a face needs to work.
"""

from __future__ import annotations

import os
import sys
import time

from afield.control import paths

DEBUG, INFO, WARNING = 10, 20, 30
_NAMES = {DEBUG: "debug", INFO: "info", WARNING: "warning"}
# Two files of 1 MiB hold weeks of normal use and some hours of a link that flaps every second.
SIZE = 1 << 20


class Log:
    """Appends to path; when it passes ``size`` bytes it becomes ``path.1`` and a fresh one begins."""

    def __init__(self, path: str, *, level: int = INFO, size: int = SIZE) -> None:
        self.path = path
        self.level = level
        self._size = size
        self._fd = -1
        self._written = 0
        self._open()

    def write(self, level: int, text: str) -> None:
        """Add one line; a full disk loses the line and nothing else."""
        if level < self.level:
            return
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime())
        clean = text.encode("unicode_escape").decode("ascii")
        line = f"{stamp} {os.getpid()} {_NAMES[level]} {clean}\n".encode("ascii")
        try:
            if self._written + len(line) > self._size:
                self._rotate()
            self._written += os.write(self._fd, line)
        except OSError:
            return

    def debug(self, text: str) -> None:
        """Add a line that may name arguments."""
        self.write(DEBUG, text)

    def info(self, text: str) -> None:
        """Add a line about what happened."""
        self.write(INFO, text)

    def warning(self, text: str) -> None:
        """Add a line about what went wrong."""
        self.write(WARNING, text)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
        self._fd = -1

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._written = os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        os.replace(self.path, self.path + ".1")
        os.close(self._fd)
        self._open()
        self.claim_stderr()

    def claim_stderr(self) -> None:
        """Let this process's stderr be the log, so that a crash of the interpreter itself leaves a trace."""
        if self.path == paths.log_path() and _is_log_process():
            os.dup2(self._fd, 2)
            os.dup2(self._fd, 1)


def _is_log_process() -> bool:
    return not os.isatty(2) and "--ready" in sys.argv


def level_from_env() -> int:
    """Give the level that ``AFIELD_LOG`` names; unknown words mean info."""
    return DEBUG if os.environ.get("AFIELD_LOG") == "debug" else INFO


def tail(path: str, count: int) -> list[str]:
    """Give the last count lines of the log, reaching into the rotated file when needed."""
    lines: list[str] = []
    for name in (path, path + ".1"):
        if len(lines) >= count:
            break
        try:
            with open(name, encoding="ascii", errors="replace") as file:
                lines = file.read(2 * SIZE).splitlines() + lines
        except OSError:
            continue
    return lines[-count:] if count else []
