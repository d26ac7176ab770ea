"""One end of a session: streams, credit, order, acknowledgement and resume over any number of transports  [P].

The frames of a session are one reliable stream of bytes; a transport carries a part of it. Whoever owns the transport calls
``transport_opened``, ``receive_data``, ``receive_end``, takes ``data_to_send`` and ``events`` after each call, and calls
``deadline_passed`` when ``next_deadline`` is reached. Rules: bytes and times in, buffers and events out; streams know nothing
of transports. After a ProtocolError the link is broken and only repeats it. No service and no call is known here.
"""

from afield.errors import ProtocolError
from afield.wire import events as event
from afield.wire import frames
from afield.wire import streams as life
from afield.wire.frames import DATA, ERR, FrameReader, frame
from afield.wire.greeting import Greeting
from afield.wire.limits import LIMITS
from afield.wire.outbox import Outbox
from afield.wire.payloads import pack_header, pack_message, pack_reason, read_header, read_reason
from afield.wire.pulse import Pulse
from afield.wire.table import StreamTable
from afield.wire.values import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Union

    from afield.errors import AfieldError
    from afield.wire.hello import Hello
    from afield.wire.limits import Limits
    from afield.wire.streams import Stream

    Buffer = Union[bytes, bytearray, memoryview]

CLIENT, AGENT = "client", "agent"
_FIRST_ID = {CLIENT: 1, AGENT: 2}
_QUIET = frozenset(
    (frames.ACK, frames.PONG)
)  # these never provoke an acknowledgement, or two idle ends would answer for ever


class Link:
    """One end; ``session`` and ``secret`` are 16 bytes each, ``now`` is in seconds of a clock that never goes back."""

    def __init__(
        self, side: "str", session: "bytes", secret: "bytes", *, now: "float", limits: "Limits" = LIMITS
    ) -> "None":
        self.side = side
        self.limits = limits
        self._now = now
        self._greeting = Greeting(side == CLIENT, session, secret)
        self._reader = FrameReader(limits)
        self._out = Outbox(limits)
        self._events: "List[event.Event]" = []
        self._streams = StreamTable(_FIRST_ID[side], limits)
        self._broken: "Optional[ProtocolError]" = None
        self._pulse = Pulse(limits, now)
        self._pongs = 0  # answers that wait to be sent
        self._table: "Dict[int, Callable[[int, memoryview], None]]" = {
            frames.OPEN: self._on_open,
            frames.EOF: self._on_eof,
            frames.MSG: self._on_message,
            frames.CREDIT: self._on_credit,
            frames.CLOSE: self._on_close,
            frames.ACK: self._on_ack,
            frames.PING: self._on_ping,
            frames.PONG: self._on_pong,
            frames.BYE: self._on_bye,
        }

    # -- doors of the transport

    def transport_opened(self, now: "float", peer_hello: "Optional[Hello]" = None) -> "None":
        """Begin on a fresh transport; an acceptor that read the peer's hello already passes it. Raises ProtocolError."""
        self._check()
        self._now = now
        self._pulse.begin(now)
        self._greeting.begin(self._out.received)
        if peer_hello is not None:
            self._meet(peer_hello)

    def receive_data(self, data: "Buffer", now: "float") -> "None":
        """Take bytes from the transport; raises ProtocolError.

        In the hello it ends this transport only; later it breaks the link, and every further call raises it again.
        """
        self._check()
        view = memoryview(data)
        if not view:
            return
        self._now = self._pulse.heard = now
        if not self._greeting.done:
            view = self._greet(view)
        try:
            if view:
                self._receive(view)
        except ProtocolError as error:
            self._broken = error
            raise

    def _check(self) -> "None":
        if self._broken is not None:
            raise self._broken

    def _greet(self, view: "memoryview") -> "memoryview":
        """Take the peer's hello; gives what follows it."""
        try:
            hello, rest = self._greeting.feed(view)
        except ProtocolError:
            self._greeting.end()
            raise
        if hello is not None:
            self._meet(hello)
        return rest

    def _meet(self, hello: "Hello") -> "None":
        try:
            resumed = self._greeting.accept(hello)
            if self._greeting.refused:
                self._events.append(event.Refused(event.GONE))
                return
            self._out.resume(hello.received)
        except ProtocolError:
            self._greeting.end()
            raise
        self._events.append(event.Established(resumed))
        self.ping(self._now)  # the first thing on the way: shows the delay without a queue

    def _receive(self, view: "memoryview") -> "None":
        if self._greeting.refused:
            raise ProtocolError("expected nothing after the refusal, got %d bytes" % (len(view),))
        self._out.count(len(view))
        streams, events, table = self._streams.live, self._events, self._table
        owed = False
        for kind, number, payload in self._reader.feed(view):
            if kind == DATA or kind == ERR:
                owed = True
                stream = streams.get(number)
                if stream is None:
                    self._streams.meet(number)
                    continue
                if stream.take(len(payload)):
                    self._out.owe_credit(stream)
                if len(payload) and stream.state != life.CLOSING:
                    events.append(event.Data(number, payload, kind == ERR))
            else:
                table[kind](number, payload)
                if kind not in _QUIET:
                    owed = True
        if owed:
            self._out.owe_ack(self._now)

    def receive_end(self, now: "float") -> "None":
        """Say that the transport is lost; the streams live on."""
        self._now = now
        self._greeting.end()

    def data_to_send(self, limit: "int" = 262144, now: "Optional[float]" = None) -> "List[Union[bytes, memoryview]]":
        """Give about ``limit`` bytes in at most about 64 buffers for one writev; they count as sent.

        ``now`` keeps the measured delays right when some time passed since the last call with a time.
        """
        if now is not None:
            self._now = now
        out: "List[Union[bytes, memoryview]]" = []
        if self._broken or not self._greeting.open:
            return out
        hello = self._greeting.take()
        if hello:
            out.append(hello)
        if not self._greeting.done or self._greeting.refused:
            return out
        for stream in self._out.take(out, limit, self._now):
            if stream.state == life.CLOSING:
                if not stream.queue:
                    self._over(stream)
            elif stream.blocked and stream.woken():
                self._events.append(event.Sendable(stream.id))
        if not self._out.schedule.control:
            self._pongs = 0
        return out

    def events(self) -> "List[event.Event]":
        """Give what happened since the last call, in order."""
        happened = self._events
        self._events = []
        return happened

    def next_deadline(self) -> "Optional[float]":
        """Give the time at which ``deadline_passed`` must be called; at once when events wait; None without a transport."""
        if self._events:
            return self._now
        if self._broken or not self._greeting.done or self._greeting.refused:
            return None
        return self._out.next_deadline(self._pulse.next_deadline(self._now))

    def deadline_passed(self, now: "float") -> "None":
        """Do what is due at ``now``."""
        self._now = now
        if self._broken or not self._greeting.done or self._greeting.refused:
            return
        self._out.deadline_passed(now)
        if now >= self._pulse.next_ping():
            self.ping(now)

    def is_silent(self, now: "float") -> "bool":
        """Say whether the peer was silent for so long that the transport must be dead."""
        return self._greeting.open and self._pulse.is_silent(now)

    # -- streams

    def open(self, header: "Dict[str, Any]", *, window: "Optional[int]" = None, bulk: "Optional[bool]" = None) -> "int":
        """Open a stream with a map that has ``"do"``; gives its id; raises LinkError when there are too many or it is too large.

        ``window``: bytes of credit given to the peer; ``bulk``: True never goes first, False always does, None as it behaves.
        """
        data = pack_header(header, self._out.schedule.control_size, self.limits)
        stream = self._streams.open_here()
        stream.window = window or stream.window
        stream.bulk = bulk
        self._out.schedule.put_control(frame(frames.OPEN, stream.id, data))
        return stream.id

    def configure(self, stream: "int", *, window: "Optional[int]" = None, bulk: "Optional[bool]" = None) -> "None":
        """Set for a stream that the peer opened what ``open`` sets for one of ours."""
        found = self._streams.find(stream)
        if found is not None:
            found.window = window or found.window
            found.bulk = bulk

    def sendable(self, stream: "int") -> "int":
        """Give how many bytes ``send`` takes now; after 0 a Sendable event follows; 0 for a stream that is over."""
        found = self._streams.find(stream)
        if found is None:
            return 0
        room = found.room()
        if not room:
            found.blocked = True
        return room

    def send(self, stream: "int", data: "Buffer", *, err: "bool" = False) -> "None":
        """Queue data; bytes and read-only views are kept, not copied, and must not change; raises InternalError beyond sendable.

        What is sent on a stream that is over is dropped, for its Closed event may not have been seen yet.
        """
        found = self._streams.find(stream)
        if found is None or not len(data):
            return
        if not isinstance(data, bytes):
            view = memoryview(data)
            # The bytes are needed until they are acknowledged; a buffer that can change is not ours to keep.
            data = view.cast("B") if view.readonly and view.contiguous else bytes(view)
        self._out.put(found, ERR if err else DATA, data)

    def send_end(self, stream: "int") -> "None":
        """Say that no more data follows; messages still may."""
        found = self._streams.find(stream)
        if found is not None:
            found.step(life.SEND_END)
            self._out.put_frame(found, frame(frames.EOF, stream))

    def send_message(self, stream: "int", value: "Any", *, urgent: "bool" = False) -> "None":
        """Send a value behind the data, or before what is still queued when ``urgent``; raises LinkError when it is too large."""
        found = self._streams.find(stream)
        if found is None:
            return
        data = pack_message(value, self._out.schedule.control_size + found.pending, self.limits)
        whole = frame(frames.MSG, stream, data)
        if urgent:
            self._out.schedule.put_control(whole)
        else:
            self._out.put_frame(found, whole)

    def consumed(self, stream: "int", count: "int") -> "None":
        """Give back credit for received bytes; raises InternalError for more than came."""
        found = self._streams.find(stream)
        if found is None:
            return
        if found.use(count):
            self._out.owe_credit(found)
        elif count:
            self._out.owe_credit_later(found, self._now)

    def close(
        self,
        stream: "int",
        error: "Union[AfieldError, Dict[str, Any], None]" = None,
        *,
        at_once: "Optional[bool]" = None,
    ) -> "None":
        """End a stream; what is queued leaves before, unless ``at_once`` (the default with an error): then it is dropped."""
        if at_once is None:
            at_once = error is not None
        found = self._streams.live.get(stream) if at_once else self._streams.find(stream)
        if found is None:
            self._streams.find(stream)
            return
        whole = frame(frames.CLOSE, stream, pack_reason(error, self.limits))
        if at_once or not found.queue:
            self._out.schedule.put_control(whole)
            self._over(found)
        else:
            found.step(life.CLOSE_IN_ORDER)
            self._out.put_frame(found, whole)

    def ping(self, now: "float") -> "None":
        """Ask the peer for a sign of life; a Pong event follows."""
        self._now = now
        name = self._pulse.ask(now)
        if name is not None:
            self._out.schedule.put_control(frame(frames.PING, 0, name))

    def bye(self) -> "None":
        """Tell the peer that this side will not come back."""
        self._out.schedule.put_control(frame(frames.BYE, 0))

    def _over(self, stream: "Stream") -> "None":
        self._streams.forget(stream)
        self._out.forget(stream)

    def statistics(self) -> "Dict[str, Any]":
        """Give numbers for people: bytes, seconds, counts."""
        out = self._out
        return {
            "rtt": out.window.rtt,
            "base_rtt": out.window.base or None,
            "window": out.window.size,
            "sent": out.replay.end,
            "received": out.received,
            "replay": len(out.replay),
            "queued": out.schedule.control_size + sum(each.pending for each in self._streams.live.values()),
            "streams": len(self._streams),
            "connected": self._greeting.done and not self._greeting.refused,
            "silent_since": self._pulse.heard,
        }

    # -- frames that came

    def _on_open(self, number: "int", payload: "memoryview") -> "None":
        header = read_header(payload)
        self._streams.open_there(number)
        self._events.append(event.Opened(number, header))

    def _on_eof(self, number: "int", payload: "memoryview") -> "None":  # noqa: ARG002 each row of the table takes both
        stream = self._streams.meet(number)
        if stream is not None:
            stream.step(life.RECEIVE_END)
            if stream.state != life.CLOSING:
                self._events.append(event.Ended(number))

    def _on_message(self, number: "int", payload: "memoryview") -> "None":
        value = decode(payload)
        stream = self._streams.meet(number)
        if stream is not None and stream.state != life.CLOSING:
            self._events.append(event.Message(number, value))

    def _on_credit(self, number: "int", payload: "memoryview") -> "None":
        credit, consumed = frames.unpack_credit(payload)
        stream = self._streams.meet(number)
        if stream is None:
            return
        more = stream.allow(credit, consumed)
        if stream.state == life.CLOSING:
            return
        if more:
            self._events.append(event.Consumed(number, consumed))
        if stream.woken():
            self._events.append(event.Sendable(number))

    def _on_close(self, number: "int", payload: "memoryview") -> "None":
        error = read_reason(payload)
        stream = self._streams.meet(number)
        if stream is not None:
            if stream.state != life.CLOSING:
                self._events.append(event.Closed(number, error))
            self._over(stream)

    def _on_ack(self, number: "int", payload: "memoryview") -> "None":  # noqa: ARG002 each row of the table takes both
        offset = frames.unpack_u64(payload)[0]
        self._out.acknowledged(offset, self._now)

    def _on_ping(self, number: "int", payload: "memoryview") -> "None":
        if self._pongs >= self.limits.pongs:
            raise ProtocolError("expected at most %d pings at a time, got more" % (self.limits.pongs,))
        self._pongs += 1
        self._out.schedule.put_control(frame(frames.PONG, number, bytes(payload)))

    def _on_pong(self, number: "int", payload: "memoryview") -> "None":  # noqa: ARG002 each row of the table takes both
        rtt = self._pulse.answered(bytes(payload), self._now)
        self._out.window.probed(rtt)
        self._events.append(event.Pong(rtt))

    def _on_bye(self, number: "int", payload: "memoryview") -> "None":  # noqa: ARG002 each row of the table takes both
        self._events.append(event.Bye())
