"""One accepted connection: raw bytes in and out by readiness callbacks, with bounded buffers.

Rules: nothing here blocks; a writer that must not pile up waits with ``wait_writable``; a peer that does not read hits
LIMIT and is cut off rather than let it fill the daemon's memory. What must not go in: what the bytes mean.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

# Above this, wait_writable waits: four pieces of a file or one megabyte of a program's output.
HIGH = 1 << 20
# A peer that leaves this much unread is broken: what may pile up without waiting (notes, changes) is far smaller.
LIMIT = 32 << 20
_READ = 256 << 10


class Channel:
    """Owns a non-blocking socket. ``on_data(bytes)`` and ``on_end()`` are set by the owner.

    ``on_end`` comes once, when the peer is gone; ``on_closed`` (the server's) in any case.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self.loop = loop
        self.on_data: Callable[[bytes], None] = lambda _data: None
        self.on_end: Callable[[], None] = lambda: None
        self.on_closed: Callable[[], None] = lambda: None
        self._sock = sock
        self._fd = sock.fileno()
        self._out = bytearray()
        self._reading = False
        self._writing = False
        self._closing = False
        self._closed = False
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def closed(self) -> bool:
        """Whether nothing can be written any more."""
        return self._closed or self._closing

    @property
    def buffered(self) -> int:
        """Bytes that the peer has not taken yet."""
        return len(self._out)

    def start(self) -> None:
        """Read what is there at once (a client usually wrote before it was accepted), then on readiness."""
        self.resume()
        self._readable()

    def pause(self) -> None:
        """Stop reading: the peer is held back by its own socket buffer."""
        if self._reading:
            self._reading = False
            self.loop.remove_reader(self._fd)

    def resume(self) -> None:
        """Read again."""
        if not self._reading and not self._closed:
            self._reading = True
            self.loop.add_reader(self._fd, self._readable)

    def write(self, data: bytes | memoryview) -> None:
        """Send data now or keep it until the peer reads; a peer far behind is cut off."""
        if self._closed or self._closing:
            return
        if not self._out:
            try:
                sent = self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self._lost()
                return
            if sent == len(data):
                return
            data = memoryview(data)[sent:]
        self._out += data
        if len(self._out) > LIMIT:
            self._lost()
        elif not self._writing:
            self._writing = True
            self.loop.add_writer(self._fd, self._writable)

    async def wait_writable(self, high: int = HIGH) -> None:
        """Wait until at most high bytes are buffered, or the channel closed."""
        while len(self._out) > high and not self._closed:
            waiter = self.loop.create_future()
            self._waiters.append(waiter)
            await waiter

    def close(self) -> None:
        """Close at once; what is buffered is lost. ``on_end`` is not called."""
        if self._closed:
            return
        self._closed = True
        self.pause()
        if self._writing:
            self.loop.remove_writer(self._fd)
        self._sock.close()
        self._out.clear()
        self._wake()
        self.on_closed()

    def close_when_sent(self) -> None:
        """Close after what is buffered went out; nothing more is read."""
        self._closing = True
        self.pause()
        if not self._out:
            self.close()

    def _readable(self) -> None:
        try:
            data = self._sock.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self.on_data(data)
        else:
            self._lost()

    def _writable(self) -> None:
        try:
            sent = self._sock.send(self._out)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._lost()
            return
        del self._out[:sent]
        if not self._out:
            self._writing = False
            self.loop.remove_writer(self._fd)
            if self._closing:
                self.close()
        if len(self._out) <= HIGH:
            self._wake()

    def _lost(self) -> None:
        if not self._closed:
            self.close()
            self.on_end()

    def _wake(self) -> None:
        for waiter in self._waiters:
            with contextlib.suppress(asyncio.InvalidStateError):
                waiter.set_result(None)
        self._waiters.clear()
