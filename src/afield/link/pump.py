"""Moves bytes between a file descriptor and a stream, each way by itself, with readiness callbacks.

Rules: a pump reads only what the stream takes and gives credit only for what was written, so a slow end slows the other end and
memory stays bounded; it owns its descriptor's readiness, not the descriptor: the caller closes it, after ``done``.
Descriptors are non-blocking ones of our own (never a user's terminal, whose flags are shared with other programs).
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable

from afield.link.stream import Stream

READ_SIZE = 256 * 1024  # with 1 MiB pipes more per read does not gain, and the echo beside it waits longer


class FromFd:
    """Reads fd and writes to the stream; at the end of fd it ends the stream's outgoing half.

    ``done`` becomes true and ``on_done(error)`` is called once, with the OSError of a failed read or None.
    """

    def __init__(self, fd: int, stream: Stream, *, on_done: Callable[[OSError | None], None] | None = None) -> None:
        self._fd, self._stream, self._on_done = fd, stream, on_done
        self._loop = asyncio.get_running_loop()
        self._active = False
        self._always_ready = False
        self.done = False
        self.count = 0
        stream.on_sendable = self._resume
        self._resume()

    def _resume(self) -> None:
        if self._active or self.done:
            return
        self._active = True
        try:
            self._loop.add_reader(self._fd, self._read)
        except PermissionError:  # a regular file: epoll refuses it because it is always ready
            self._always_ready = True
            self._loop.call_soon(self._read)

    def _pause(self) -> None:
        if self._active and not self._always_ready:
            self._loop.remove_reader(self._fd)
        self._active = False

    def _read(self) -> None:
        if self.done:
            return
        room = min(self._stream.sendable(), READ_SIZE)
        if not room:
            self._pause()
            if self._stream.closed:
                self.stop()
            return
        try:
            data = os.read(self._fd, room)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._finish(error)
            return
        if not data:
            self._finish(None)
            return
        self.count += len(data)
        self._stream.write_nowait(data)
        if self._always_ready:
            self._loop.call_soon(self._read)

    def _finish(self, error: OSError | None) -> None:
        self._stream.write_end_nowait()
        self.stop(error)

    def stop(self, error: OSError | None = None) -> None:
        """Stop reading; the descriptor may be closed from now on."""
        if self.done:
            return
        self._pause()
        self.done = True
        if self._on_done:
            self._on_done(error)


class ToFd:
    """Writes what the stream brings to fd, in order; ``on_done(error)`` is called once when all was written or it failed."""

    def __init__(self, fd: int, stream: Stream, *, on_done: Callable[[OSError | None], None] | None = None) -> None:
        self._fd, self._stream, self._on_done = fd, stream, on_done
        self._loop = asyncio.get_running_loop()
        self._queue: deque[memoryview] = deque()
        self._ended = stream.ended
        self.done = False
        self.count = 0
        stream.on_end = self.end
        stream.set_sink(self._sink)
        if self._ended:
            self._check_done()

    def _sink(self, data: memoryview, err: bool) -> None:  # noqa: ARG002 the streams of a pump have one channel
        if self.done:
            self._stream.consumed(len(data))
            return
        if not self._queue:
            written = self._write(data)
            if written == len(data) or self.done:
                return
            self._loop.add_writer(self._fd, self._more)
            data = data[written:]
        self._queue.append(memoryview(bytes(data)))  # bounded by the stream's window; the buffer below is reused

    def _write(self, data: memoryview) -> int:
        try:
            count = os.write(self._fd, data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self.stop(error)
            return 0
        self.count += count
        self._stream.consumed(count)
        return count

    def _more(self) -> None:
        while self._queue and not self.done:
            data = self._queue[0]
            written = self._write(data)
            if written == len(data):
                self._queue.popleft()
            elif written:
                self._queue[0] = data[written:]
            else:
                return
        if not self.done:
            self._loop.remove_writer(self._fd)
            self._check_done()

    def end(self) -> None:
        """Take it that no more bytes come."""
        self._ended = True
        self._check_done()

    def _check_done(self) -> None:
        if self._ended and not self._queue:
            self.stop()

    def stop(self, error: OSError | None = None) -> None:
        """Stop writing; what was not written is dropped, the peer is not slowed by it any more."""
        if self.done:
            return
        self.done = True
        if self._queue:
            self._loop.remove_writer(self._fd)
            self._stream.consumed(sum(len(data) for data in self._queue))
            self._queue.clear()
        if self._on_done:
            self._on_done(error)
