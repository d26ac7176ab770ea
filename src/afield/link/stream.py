"""One stream of a link: a fast path by callbacks for those who move bytes, awaitable reads and writes for everybody else.

Rules: nothing is buffered without bound (credit is given back only for what was taken); a lost link is not an end, the
stream goes on when the link does; only the peer's CLOSE, our own, or a session that is gone ends it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from afield.errors import AfieldError, Cancelled

if TYPE_CHECKING:
    from afield.link.session import Session

Sink = Callable[[memoryview, bool], None]


class Stream:
    """Made by ``Connection.open_stream`` and handed to accept handlers.

    Either ``set_sink`` (callback per piece, then ``consumed``) or ``read``/``read_err``; either ``on_message`` or
    ``message``. The callbacks run inside the reading of the link: they must not block, and an exception in one closes
    this stream alone.
    """

    def __init__(self, session: Session, number: int, header: dict[str, Any]) -> None:
        self.id = number
        self.header = header
        self.session = session
        self.error: AfieldError | None = None
        self.closed = False
        self.ended = False
        self.peer_consumed = 0
        self.on_message: Callable[[Any], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self.on_closed: Callable[[AfieldError | None], None] | None = None
        self.on_sendable: Callable[[], None] | None = None
        self.on_consumed: Callable[[int], None] | None = None
        self._sink: Sink | None = None
        self._kept: tuple[deque[bytes], deque[bytes]] = (deque(), deque())
        self._messages: deque[Any] = deque()
        self._waiters: list[asyncio.Future[None]] = []

    # -- outgoing

    def sendable(self) -> int:
        """How many bytes ``write_nowait`` would take now; 0 after the end."""
        return 0 if self.closed else self.session.link.sendable(self.id)

    def write_nowait(self, data: bytes, *, err: bool = False) -> None:
        """Queue data, at most ``sendable()`` bytes; it is kept until the peer has it, so it must not change."""
        self._check_open()
        self.session.link.send(self.id, data, err=err)
        self.session.touch()

    async def write(self, data: bytes | bytearray | memoryview, *, err: bool = False) -> None:
        """Queue all of data, waiting for credit; raises the error that closed the stream."""
        view = memoryview(data)
        if not isinstance(data, bytes):
            view = memoryview(bytes(view))
        while view:
            count = self.sendable()
            if count:
                self._check_open()
                self.session.link.send(self.id, view[:count], err=err)
                view = view[count:]
                self.session.touch()
            else:
                self._check_open()
                await self._wait()

    def write_end_nowait(self) -> None:
        """Say that no more bytes come from this side."""
        if not self.closed:
            self.session.link.send_end(self.id)
            self.session.touch()

    async def write_end(self) -> None:
        """Say that no more bytes come from this side."""
        self.write_end_nowait()

    def send_message_nowait(self, value: Any, *, urgent: bool = False) -> None:
        """Send one value behind what was written, or (``urgent``) before what still waits; raises the error that closed the stream."""
        self._check_open()
        self.session.link.send_message(self.id, value, urgent=urgent)
        self.session.touch()

    async def send_message(self, value: Any, *, urgent: bool = False) -> None:
        """Do the same, to be awaited."""
        self.send_message_nowait(value, urgent=urgent)

    def close(self, error: AfieldError | None = None) -> None:
        """End the stream both ways at once; what the peer sends from now on is dropped."""
        if self.closed:
            return
        self.session.link.close(self.id, error)
        self.session.forget(self.id)
        self.finish(error or Cancelled("the stream was closed here"))
        self.session.touch()

    # -- incoming

    def set_sink(self, callback: Sink) -> None:
        """Hand every piece to ``callback(data, err)`` as it arrives, first what waits already.

        ``data`` is valid during the call only. The peer goes on sending after ``consumed``.
        """
        self._sink = callback
        for err, kept in enumerate(self._kept):
            while kept:
                callback(memoryview(kept.popleft()), bool(err))

    def consumed(self, count: int) -> None:
        """Give credit back for count bytes that the sink has dealt with."""
        if not self.closed:
            self.session.link.consumed(self.id, count)
            self.session.touch()

    async def read(self, limit: int = 1 << 20) -> bytes:
        """Wait for DATA bytes, at most ``limit``; ``b""`` at the end; raises the error that closed the stream."""
        return await self._read(0, limit)

    async def read_err(self, limit: int = 1 << 20) -> bytes:
        """Wait for ERR bytes. Both channels share one credit: whoever reads one must read the other too."""
        return await self._read(1, limit)

    async def _read(self, channel: int, limit: int) -> bytes:
        kept = self._kept[channel]
        while not kept:
            if self.ended:
                return b""
            if self.closed:
                if self.error:
                    raise self.error
                return b""
            await self._wait()
        data = kept.popleft()
        if len(data) > limit:
            kept.appendleft(data[limit:])
            data = data[:limit]
        self.consumed(len(data))
        return data

    async def message(self) -> Any:
        """Wait for the next message; None when the stream closed without error; raises the error that closed it."""
        while not self._messages:
            if self.closed:
                if self.error:
                    raise self.error
                return None
            await self._wait()
        return self._messages.popleft()

    async def messages(self) -> AsyncIterator[Any]:
        """Iterate over the messages until the stream closes; raises the error that closed it."""
        while (value := await self.message()) is not None:
            yield value

    async def wait_closed(self) -> None:
        """Wait until the stream is over; raises the error that closed it."""
        while not self.closed:
            await self._wait()
        if self.error:
            raise self.error

    # -- called by the session

    def take_data(self, data: memoryview, err: bool) -> None:
        """Take one piece from the link."""
        if self._sink is not None:
            self._sink(data, err)
            return
        self._kept[err].append(bytes(data))
        self._wake()

    def take_end(self) -> None:
        """Take the peer's EOF."""
        self.ended = True
        self._wake()
        if self.on_end:
            self.on_end()

    def take_message(self, value: Any) -> None:
        """Take a message."""
        if self.on_message:
            self.on_message(value)
            return
        self._messages.append(value)
        self._wake()

    def take_sendable(self) -> None:
        """Learn that there is credit again."""
        self._wake()
        if self.on_sendable:
            self.on_sendable()

    def take_consumed(self, total: int) -> None:
        """Learn how many of our bytes the peer has dealt with."""
        self.peer_consumed = total
        if self.on_consumed:
            self.on_consumed(total)

    def finish(self, error: AfieldError | None) -> None:
        """End here, without a word to the peer."""
        if self.closed:
            return
        self.closed = True
        self.error = error
        self._wake()
        if self.on_closed:
            self.on_closed(error)

    # -- waiting

    def _check_open(self) -> None:
        if self.closed:
            raise self.error or Cancelled("the stream is over", hint="open a new one")

    async def _wait(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
