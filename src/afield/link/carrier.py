"""One opened transport: raw readiness callbacks on the asyncio loop around three file descriptors and a pid.

Rules: bytes only, no frames; reads into one reused buffer (what is handed on is valid until the next read); writes with
writev and remembers what did not fit; keeps the last words of stderr; asyncio's own streams are not used: they measured
0.58 of raw ssh, this 0.93 and more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Sequence

from afield.control import piped
from afield.link import spawn

READ_SIZE = 256 * 1024  # one wake-up's worth: at 300 MB/s other callbacks wait 1 ms at most
STDERR_KEPT = 8192  # the last words are the ones that explain; a chatty proxy must not fill memory
IOV_MAX = 1024  # Linux and macOS; writev refuses more buffers
EXIT_WAIT = 2.0  # s between the end of the stream and the exit of ssh; it only has to print its message

Chunk = bytes | bytearray | memoryview


class Carrier:
    """Reads and writes one process; ``received`` gets each read, ``writable`` is called when all was written, ``ended`` once."""

    def __init__(
        self,
        process: spawn.Process,
        *,
        buffer: bytearray,
        received: Callable[[memoryview], None],
        writable: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        self.pid = process.pid
        self.status: int | None = None
        self.received = received
        self.writable = writable
        self._ended = ended
        self.finished = False
        self.killable = True  # false when the process may have become the agent itself: jobs there must survive our end
        self._in, self._out, self._err = process.fd_in, process.fd_out, process.fd_err
        self._buffer = buffer
        self._view = memoryview(buffer)
        self._unsent: list[memoryview] = []
        self._stderr = bytearray()
        self._loop = asyncio.get_running_loop()
        self.open = True
        for fd in (self._in, self._out, self._err):
            if fd >= 0:
                os.set_blocking(fd, False)
        for fd in (self._in, self._out):
            piped.enlarge(fd)
        self._loop.add_reader(self._out, self._read)
        if self._err >= 0:
            self._loop.add_reader(self._err, self._read_stderr)

    @property
    def stderr(self) -> str:
        """The last words on stderr."""
        return self._stderr.decode("utf-8", "replace")

    @property
    def idle(self) -> bool:
        """Whether everything that was given to ``write`` has reached the pipe."""
        return self.open and not self._unsent

    def write(self, chunks: Sequence[Chunk]) -> None:
        """Write at once what fits and the rest as soon as it does; the chunks must not change until then."""
        if self._unsent:
            self._unsent += [memoryview(chunk) for chunk in chunks]
            return
        self._push(chunks)

    def _push(self, chunks: Sequence[Chunk]) -> None:
        had_waited = bool(self._unsent)
        first = 0
        try:
            while first < len(chunks):
                part = chunks[first : first + IOV_MAX]
                written = os.writev(self._in, part)
                taken = 0
                while taken < len(part) and written >= len(part[taken]):
                    written -= len(part[taken])
                    taken += 1
                first += taken
                if taken < len(part):
                    self._unsent = [
                        memoryview(part[taken])[written:],
                        *(memoryview(chunk) for chunk in chunks[first + 1 :]),
                    ]
                    break
            else:
                self._unsent = []
        except BlockingIOError:
            self._unsent = [memoryview(chunk) for chunk in chunks[first:]]
        except OSError:
            # The reading side sees the end too, and with the last words of stderr: it reports.
            self._unsent = []
            self._stop_writing()
            return
        if self._unsent and not had_waited:
            self._loop.add_writer(self._in, self._write_more)
        elif had_waited and not self._unsent:
            self._loop.remove_writer(self._in)

    def _write_more(self) -> None:
        self._push(self._unsent)
        if not self._unsent and self.open:
            self.writable()

    def _read(self) -> None:
        try:
            count = os.readv(self._out, [self._buffer])
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            count = 0
        if count:
            self.received(self._view[:count])
        else:
            self._finish()

    def _read_stderr(self) -> None:
        try:
            data = os.read(self._err, 65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        self._stderr += data
        del self._stderr[:-STDERR_KEPT]
        if not data:
            self._loop.remove_reader(self._err)
            os.close(self._err)
            self._err = -1

    def _stop_writing(self) -> None:
        if self._in >= 0:
            self._loop.remove_writer(self._in)
            os.close(self._in)
            self._in = -1
        self.open = False

    def _finish(self) -> None:
        self._loop.remove_reader(self._out)
        self.finished = True
        self._ended()

    def set_ended(self, callback: Callable[[], None]) -> None:
        """Report the end of the stream to another callback from now on, at once when it has come already."""
        self._ended = callback
        if self.finished:
            callback()

    async def wait_exit(self, seconds: float = EXIT_WAIT) -> int | None:
        """Wait for the end of the process, up to ``seconds``; its status is kept in ``status`` (None: it still runs)."""
        deadline = self._loop.time() + seconds
        pause = 0.001
        while self.status is None:
            self.status = spawn.exit_status(self.pid)
            if self.status is not None or self._loop.time() >= deadline:
                break
            # Polled, because a child watcher or a pidfd is not there on every system; the waits are short and rare.
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.05)
        if self._err >= 0:
            self._read_stderr()
        return self.status

    def close(self) -> None:
        """Let go of all descriptors at once; the process is ended by ``end``."""
        self._unsent = []
        self._stop_writing()
        for fd in (self._out, self._err):
            if fd >= 0:
                self._loop.remove_reader(fd)
                os.close(fd)
        self._out = self._err = -1

    async def end(self, grace: float = 0.0) -> None:
        """Close, give the process ``grace`` s to end by itself, then end it by its pid and reap it."""
        self.close()
        if not self.killable:
            if self.status is None and await self.wait_exit(0.0) is None:
                spawn.leave(self.pid)
            return
        if grace and await self.wait_exit(grace) is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.status is None:
                spawn.end(self.pid, number)
                with contextlib.suppress(asyncio.CancelledError):
                    await self.wait_exit(1.0)
