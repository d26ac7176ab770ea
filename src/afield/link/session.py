"""One session of a link on the asyncio loop: a ``wire.Link``, its streams, its timer, and the carrier of the moment.

Rules: every byte passes ``receive``, every event one row of the table below; whoever queues something calls ``touch``; what is
sent during the reading of a piece goes out in one write after it. No dialing here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from afield.errors import AfieldError, InternalError, NoSuchProcess, OurFault, from_value
from afield.link.carrier import Carrier
from afield.link.stream import Stream
from afield.wire import events
from afield.wire.link import CLIENT, Link

log = logging.getLogger(__name__)

SEND_SIZE = 256 * 1024  # bytes taken from the link per writev; they can no longer be overtaken by a keystroke

Accept = Callable[[Stream], None]


class Session:
    """Outlives carriers; ``established(resumed)`` and ``refused(reason)`` report the peer's hello, ``broken(error)`` a fault."""

    def __init__(
        self,
        session: bytes,
        secret: bytes,
        *,
        established: Callable[[bool], None],
        refused: Callable[[str], None],
        broken: Callable[[AfieldError], None],
        heard: Callable[[float], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.link = Link(CLIENT, session, secret, now=self._loop.time())
        self.streams: dict[int, Stream] = {}
        self.acceptors: dict[int, Accept] = {}
        self.latency: float | None = None
        self._pong: float | None = None
        self.was_established = False
        self._established, self._refused, self._broken, self._heard = established, refused, broken, heard
        self._carrier: Carrier | None = None
        self._reading = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._table: dict[type, Callable[[Any], None]] = {
            events.Data: self._on_data,
            events.Sendable: self._on_sendable,
            events.Consumed: self._on_consumed,
            events.Message: self._on_message,
            events.Ended: self._on_ended,
            events.Closed: self._on_closed,
            events.Opened: self._on_opened,
            events.Established: self._on_established,
            events.Refused: self._on_refused,
            events.Pong: self._on_pong,
            events.Bye: self._on_bye,
        }

    # -- the carrier

    def attach(self, carrier: Carrier) -> None:
        """Begin on a new carrier: the hello goes out."""
        self._carrier = carrier
        carrier.received = self.receive
        carrier.writable = self.touch
        self.link.transport_opened(self._loop.time())
        self.touch()

    def detach(self) -> None:
        """Let go of the carrier; the streams live on."""
        if self._carrier is not None:
            self._carrier = None
            self.link.receive_end(self._loop.time())
            self._dispatch()
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def receive(self, data: memoryview) -> None:
        """Take bytes from the carrier."""
        now = self._loop.time()
        self._reading = True
        try:
            self._heard(now)
            self.link.receive_data(data, now)
            self._dispatch()
        except Exception as error:
            self._fail(error)
            return
        finally:
            self._reading = False
        self.touch()

    def _fail(self, error: Exception) -> None:
        """Report what ends this session: an unforeseen error must not leave it deaf and unended."""
        if isinstance(error, OurFault):
            self._broken(error)
            return
        log.error("the session failed", exc_info=error)
        self._broken(InternalError(f"the session failed: {type(error).__name__}: {error}"))

    def touch(self) -> None:
        """Send what was queued, and look at the clock again; called after every operation on the link."""
        if self._reading:
            return
        self._reading = True
        try:
            # Room that came free wakes a writer, who queues more: a few turns now, the rest after the other callbacks.
            for _ in range(4):
                self._flush()
                if not self._dispatch():
                    break
        except Exception as error:
            self._fail(error)
            return
        finally:
            self._reading = False
        self._arm()

    def _flush(self) -> None:
        carrier = self._carrier
        while carrier is not None and carrier.idle:
            chunks = self.link.data_to_send(SEND_SIZE, self._loop.time())
            if not chunks:
                return
            carrier.write(chunks)

    def _arm(self) -> None:
        deadline = self.link.next_deadline() if self._carrier is not None else None
        if deadline is None:
            return
        if self._timer is not None:
            if self._timer_at <= deadline:
                return  # it fires early and looks again: cheaper than a new timer for every frame
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.time()
        deadline = self.link.next_deadline()
        if deadline is not None and deadline <= now:
            try:
                self.link.deadline_passed(now)
                self._dispatch()
            except Exception as error:
                self._fail(error)
                return
        self.touch()

    def ping(self) -> None:
        """Ask the peer for a sign of life."""
        self.link.ping(self._loop.time())
        self.touch()

    def say_bye(self) -> None:
        """Tell the peer that this session is over for good."""
        self.link.bye()
        self.touch()

    # -- streams

    def open(self, header: dict[str, Any], *, window: int | None = None) -> Stream:
        """Open a stream; the header goes out at once."""
        stream = Stream(self, self.link.open(header, window=window), header)
        self.streams[stream.id] = stream
        self.touch()
        return stream

    def forget(self, number: int) -> None:
        """Drop a stream that is over."""
        self.streams.pop(number, None)
        self.acceptors.pop(number, None)

    def close_streams(self, error: AfieldError) -> None:
        """End every stream here with this error."""
        for stream in list(self.streams.values()):
            self.forget(stream.id)
            stream.finish(error)

    # -- events

    def _dispatch(self) -> bool:
        happened = self.link.events()
        for event in happened:
            self._table[type(event)](event)
        return bool(happened)

    def _guard(self, number: int, call: Callable[..., None], *args: Any) -> None:
        try:
            call(*args)
        except Exception:
            log.exception("a callback of stream %s failed: the stream is closed", number)
            stream = self.streams.get(number)
            if stream is not None:
                stream.close(AfieldError("a callback of this stream failed here"))

    def _on_data(self, event: Any) -> None:
        stream = self.streams.get(event.stream)
        if stream is not None:
            self._guard(event.stream, stream.take_data, event.data, event.err)

    def _on_sendable(self, event: Any) -> None:
        stream = self.streams.get(event.stream)
        if stream is not None:
            self._guard(event.stream, stream.take_sendable)

    def _on_consumed(self, event: Any) -> None:
        stream = self.streams.get(event.stream)
        if stream is not None:
            self._guard(event.stream, stream.take_consumed, event.total)

    def _on_message(self, event: Any) -> None:
        stream = self.streams.get(event.stream)
        if stream is not None:
            self._guard(event.stream, stream.take_message, event.value)

    def _on_ended(self, event: Any) -> None:
        stream = self.streams.get(event.stream)
        if stream is not None:
            self._guard(event.stream, stream.take_end)

    def _on_closed(self, event: Any) -> None:
        stream = self.streams.get(event.stream)
        if stream is None:
            return
        self.forget(event.stream)
        error = event.error
        if error is not None and not isinstance(error, AfieldError):
            error = from_value(error)
        self._guard(event.stream, stream.finish, error)

    def _on_opened(self, event: Any) -> None:
        stream = Stream(self, event.stream, event.header)
        accept = self.acceptors.get(event.header.get("listener", 0)) if event.header.get("do") == "accepted" else None
        if accept is None:
            # Nobody asked for it, or the listener was closed while the connection was on its way.
            self.link.close(event.stream, NoSuchProcess("nobody listens for this here").to_value())
            return
        self.streams[stream.id] = stream
        self._guard(stream.id, accept, stream)

    def _on_established(self, event: Any) -> None:
        self.was_established = True
        self._established(event.resumed)

    def _on_refused(self, event: Any) -> None:
        self._refused(str(event.reason))

    def _on_pong(self, event: Any) -> None:
        # The shorter of the last two: one ping that waited out a cut, or behind an upload, says nothing of the distance.
        self.latency = event.rtt if self._pong is None else min(event.rtt, self._pong)
        self._pong = event.rtt

    def _on_bye(self, event: Any) -> None:  # noqa: ARG002 the end of the stream follows and decides
        log.debug("the agent said good-bye")
