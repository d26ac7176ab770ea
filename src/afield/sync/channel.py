"""Byte channels: the two-way pipe to a files worker, as an endpoint wants it.

A channel takes bytes without waiting (``write``), says how many it still holds (``waiting``), lets the caller wait until
that is little (``drained``), and hands what comes in to a callback. Rules: no records and no verbs in here; a channel
reports its end exactly once. ``PipeChannel`` works on raw file descriptors by readiness callbacks, because asyncio's
own streams copy twice and measured a quarter of the throughput on pipes.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import subprocess
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

import afield
from afield.errors import AfieldError, LinkLost, SpawnFailed
from afield.sync import nearwatch

# Below this many queued bytes more may be produced: two pipes of 1 MiB stay filled, memory stays small.
HIGH_WATER = 2 << 20
# One read: what a pipe of 1 MiB can hand over at once without starving other callbacks for more than a millisecond.
READ_SIZE = 256 << 10
# The size asked for pipes; Linux refuses more than /proc/sys/fs/pipe-max-size (1 MiB by default) to ordinary users.
PIPE_SIZE = 1 << 20
# What is kept of a worker's stderr to explain its death.
STDERR_KEPT = 4096
# Seconds a worker gets to leave by itself after its input ended.
LEAVE_SECONDS = 2.0


class ByteChannel(Protocol):
    """What an endpoint needs of the way to its worker."""

    def start(self, on_data: Callable[[bytes], None], on_end: Callable[[AfieldError], None]) -> None:
        """Begin to deliver; ``on_end`` comes once, last, with the reason."""

    def write(self, data: bytes) -> None:
        """Queue data; after the end it is dropped (the end was or will be reported)."""

    @property
    def waiting(self) -> int:
        """Bytes queued and not yet taken by the other side."""

    @property
    def delay(self) -> float:
        """The smallest round trip seen, seconds; 0.0 on this machine or when nothing is known."""

    async def drained(self) -> None:
        """Wait until less than HIGH_WATER bytes are queued; returns at once after the end."""

    def pause(self) -> None:
        """Stop reading: the worker's bulk output waits."""

    def resume(self) -> None:
        """Read again."""

    def park(self) -> None:
        """Ask whoever runs the worker to keep it for a while after ``close``: it rests, between whole records."""

    async def close(self) -> None:
        """End the channel and what it started; safe to call twice."""


# Makes a channel to a fresh worker; raises an AfieldError when it cannot.
Maker = Callable[[], Awaitable["ByteChannel"]]


def enlarge_pipe(fd: int) -> None:
    """Ask for a large pipe where the system knows how; a refusal costs only speed."""
    size = getattr(fcntl, "F_SETPIPE_SZ", None)
    if size is not None:
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, size, PIPE_SIZE)


class PipeChannel:
    """A channel over two file descriptors (which it owns from now on), and the process at their other end, if any."""

    def __init__(self, read_fd: int, write_fd: int, *, process: subprocess.Popen[bytes] | None = None) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self.process = process
        self._loop = asyncio.get_running_loop()
        self._queue: deque[memoryview] = deque()
        self._queued = 0
        self._writing = False
        self._reading = False
        self._ended = False
        self._drained = asyncio.Event()
        self._drained.set()
        self._stderr = b""
        self._on_data: Callable[[bytes], None] | None = None
        self._on_end: Callable[[AfieldError], None] | None = None
        for fd in (read_fd, write_fd):
            os.set_blocking(fd, False)
            enlarge_pipe(fd)
        if process is not None and process.stderr is not None:
            os.set_blocking(process.stderr.fileno(), False)

    def start(self, on_data: Callable[[bytes], None], on_end: Callable[[AfieldError], None]) -> None:
        """Begin to deliver: see ByteChannel."""
        self._on_data, self._on_end = on_data, on_end
        self.resume()
        if self.process is not None and self.process.stderr is not None:
            self._loop.add_reader(self.process.stderr.fileno(), self._stderr_ready)

    @property
    def waiting(self) -> int:
        """See ByteChannel."""
        return self._queued

    def write(self, data: bytes) -> None:
        """See ByteChannel."""
        if self._ended or not data:
            return
        view = memoryview(data)
        if not self._writing:
            sent = self._send(view)
            if sent == len(view) or self._ended:
                return
            view = view[sent:]
            self._writing = True
            self._loop.add_writer(self._write_fd, self._write_ready)
        self._queue.append(view)
        self._queued += len(view)
        if self._queued >= HIGH_WATER:
            self._drained.clear()

    def _send(self, view: memoryview) -> int:
        try:
            return os.write(self._write_fd, view)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self._finish(f"the worker no longer reads: {error.strerror}")
            return 0

    def _write_ready(self) -> None:
        while self._queue:
            try:
                sent = os.writev(self._write_fd, [self._queue[i] for i in range(min(len(self._queue), 16))])
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._finish(f"the worker no longer reads: {error.strerror}")
                return
            self._queued -= sent
            while sent:
                first = self._queue[0]
                if sent < len(first):
                    self._queue[0] = first[sent:]
                    break
                sent -= len(first)
                self._queue.popleft()
            if self._queued < HIGH_WATER:
                self._drained.set()
        self._writing = False
        self._loop.remove_writer(self._write_fd)

    @property
    def delay(self) -> float:
        """See ByteChannel."""
        return 0.0

    async def drained(self) -> None:
        """See ByteChannel."""
        await self._drained.wait()

    def pause(self) -> None:
        """See ByteChannel."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._read_fd)

    def resume(self) -> None:
        """See ByteChannel."""
        if not self._reading and not self._ended and self._on_data is not None:
            self._reading = True
            self._loop.add_reader(self._read_fd, self._read_ready)

    def _read_ready(self) -> None:
        try:
            data = os.read(self._read_fd, READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._finish(f"the worker cannot be read: {error.strerror}")
            return
        if not data:
            self._finish("the files worker ended")
        elif self._on_data is not None:
            self._on_data(data)

    def _stderr_ready(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        fd = self.process.stderr.fileno()
        try:
            data = os.read(fd, STDERR_KEPT)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(fd)
        self._stderr = (self._stderr + data)[-STDERR_KEPT:]

    def _finish(self, reason: str) -> None:
        if self._ended:
            return
        self._ended = True
        self.pause()
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._write_fd)
        self._queue.clear()
        self._queued = 0
        self._drained.set()
        if self._on_end is not None:
            if self.process is not None and self.process.stderr is not None and not self.process.stderr.closed:
                self._stderr_ready()
            text = self._stderr.decode("utf-8", "replace").strip()
            # The caller may be inside write(): the report must not come before that returned.
            error = LinkLost(f"{reason}: {text}" if text else reason, hint="it is started again by itself")
            self._loop.call_soon(self._on_end, error)

    def park(self) -> None:
        """See ByteChannel; a worker on this machine ends with its channel."""

    async def close(self) -> None:
        """See ByteChannel."""
        self._on_end = None
        self._finish("closed")
        for fd in (self._read_fd, self._write_fd):
            if fd >= 0:
                os.close(fd)
        self._read_fd = self._write_fd = -1
        process, self.process = self.process, None
        if process is None:
            return
        if process.stderr is not None:
            self._loop.remove_reader(process.stderr.fileno())
        await asyncio.shield(self._loop.run_in_executor(None, _end_process, process))


def _end_process(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(LEAVE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stderr is not None:
        process.stderr.close()


SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(afield.__file__)))
WORKER_CODE = "import sys; sys.path.append(sys.argv[1]); from afield.files.worker import main; sys.exit(main(0, 1))"


async def local_worker(python: str | None = None) -> PipeChannel:
    """Start a files worker on this machine (by ``python``, or by the running one) and give the channel to it.

    Raises SpawnFailed. The worker needs the standard library only (and on macOS watchfiles), so it starts with ``-I -S``.
    """
    library = nearwatch.library() if python is None else None
    code = [WORKER_CODE, SOURCE] if library is None else [nearwatch.CODE, SOURCE, library]
    argv = [python or sys.executable, "-I", "-S", "-c", *code]
    try:
        process = subprocess.Popen(  # noqa: ASYNC220 - takes 1-2 ms (vfork); asyncio's own needs a child watcher
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, cwd="/"
        )
    except OSError as error:
        raise SpawnFailed(f"cannot start the files worker {argv[0]}: {error.strerror}") from error
    assert process.stdin is not None
    assert process.stdout is not None
    read_fd, write_fd = os.dup(process.stdout.fileno()), os.dup(process.stdin.fileno())
    process.stdin.close()
    process.stdout.close()
    return PipeChannel(read_fd, write_fd, process=process)
