"""Joins a named pipe here with one there: what is written at one end is read at the other, and the ends follow each other.

Rules: the direction is found by who is here: a reader here gets what is written there, else what a writer here writes goes there;
an end here is an end there (VS Code takes it for the end of a test run). What must not go in: where the pipe is made there.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_PIECE = 1 << 16
# The program there may open its end late; whoever reads here waits as long as it likes.
_POLL = 0.05

# `cat` is not everywhere what one thinks, and buffers; these open, copy and end.
_OUT = b"import os,sys\nf=os.open(sys.argv[1],os.O_RDONLY)\nwhile 1:\n d=os.read(f,65536)\n if not d: break\n while d: d=d[os.write(1,d):]\n"
_IN = b"import os,sys\nf=os.open(sys.argv[1],os.O_WRONLY)\nwhile 1:\n d=os.read(0,65536)\n if not d: break\n while d: d=d[os.write(f,d):]\n"


class Fifo:
    """One pipe. ``start(argv)`` opens a ``process`` stream there; ``there`` is the pipe's path at the place."""

    def __init__(self, here: bytes, there: bytes, python: bytes, start: Callable[[list[bytes]], Any]) -> None:
        self._here, self._there, self._python, self._start = here, there, python, start
        self._task = asyncio.ensure_future(self._carry())
        self._stream: Any = None

    async def _carry(self) -> None:
        fd = _open_for_reader(self._here)
        if fd >= 0:
            await self._from_there(fd)
        else:
            await self._from_here()

    def _program(self, text: bytes) -> Any:
        self._stream = self._start([self._python, b"-I", b"-S", b"-c", text, self._there])
        return self._stream

    async def _from_there(self, fd: int) -> None:
        stream = self._program(_OUT)
        try:
            while data := await stream.read(_PIECE):
                view = memoryview(data)
                while view:
                    try:
                        view = view[os.write(fd, view) :]
                    except BlockingIOError:
                        await asyncio.sleep(_POLL)
                    except BrokenPipeError:
                        return
        finally:
            os.close(fd)

    async def _from_here(self) -> None:
        stream = self._program(_IN)
        fd = os.open(self._here, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        seen = False
        try:
            while True:
                try:
                    data = os.read(fd, _PIECE)
                except BlockingIOError:
                    seen = True  # somebody has it open and writes nothing now
                    await asyncio.sleep(_POLL)
                    continue
                if data:
                    seen = True
                    await stream.write(data)
                elif seen:
                    break
                else:
                    await asyncio.sleep(_POLL)
            await stream.write_end()
        finally:
            os.close(fd)

    async def drained(self, seconds: float) -> None:
        """Wait until all that was written there has arrived, at most so long."""
        await asyncio.wait([self._task], timeout=seconds)

    async def close(self) -> None:
        """End it."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self._task
        if self._stream is not None:
            self._stream.close()


def _open_for_reader(path: bytes) -> int:
    """Open for writing when somebody reads here; -1 when nobody does (ENXIO, open(2))."""
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return -1
        raise
