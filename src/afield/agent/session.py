"""One client's session: a ``wire.Link``, its streams, and the transport of the moment  [P].

A session outlives its transports. ``Channel`` is what a service holds of its stream; ``Service`` lists what a service is told.
Rules: a fault of one stream ends that stream; bytes that the protocol does not allow end the transport and the session,
but not the processes in it. What the services do must not go in here.
"""

# ruff: noqa: ARG002  each row of the table takes the event

from afield.errors import AfieldError, InternalError, ProtocolError
from afield.wire import events
from afield.wire.link import AGENT, Link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

    from afield.agent.keeper import Keeper
    from afield.agent.transport import Transport

# Taken from the link per write: what was taken cannot be overtaken by a keystroke any more.
SEND_SIZE = 262144


class Service:
    """What runs behind one stream; every method may be left as it is."""

    def data(self, data: "Any", err: "bool") -> "None":
        """Take bytes; data is valid during the call only. Credit goes back by ``channel.consumed``."""

    def ended(self) -> "None":
        """No more data will come."""

    def message(self, value: "Any") -> "None":
        """Take a message."""

    def sendable(self) -> "None":
        """There is room to send again, or the client came back."""

    def consumed(self, total: "int") -> "None":
        """The client used total bytes of this stream."""

    def away(self) -> "None":
        """The client is out of reach; it may come back."""

    def closed(self) -> "None":
        """The client closed the stream on purpose: clean up at once."""

    def abandoned(self) -> "None":
        """The client is not expected to come back. Kept things live on, everything else ends."""
        self.closed()


# Stands behind a stream whose service is not made yet; has no state, so that one is enough.
NOTHING = Service()


class Channel:
    """One stream as its service sees it; after the end every method does nothing."""

    __slots__ = ("id", "open", "service", "session")

    def __init__(self, session: "Session", stream: "int", service: "Service") -> "None":
        self.session = session
        self.id = stream
        self.service = service
        self.open = True

    @property
    def near(self) -> "bool":
        """Whether the client is within reach."""
        return self.open and self.session.near

    def sendable(self) -> "int":
        """Bytes that may be sent now; after 0 the service is told when there is room."""
        return self.session.link.sendable(self.id) if self.open else 0

    def send(self, data: "bytes", *, err: "bool" = False) -> "None":
        """Send data, at most ``sendable()`` bytes."""
        if self.open:
            self.session.link.send(self.id, data, err=err)

    def message(self, value: "Any") -> "None":
        """Send a value behind the data."""
        if self.open:
            self.session.link.send_message(self.id, value)

    def end(self) -> "None":
        """Say that no more data follows."""
        if self.open:
            self.session.link.send_end(self.id)

    def consumed(self, count: "int") -> "None":
        """Give credit for count received bytes back."""
        if self.open and count:
            self.session.link.consumed(self.id, count)

    def close(self, error: "Optional[AfieldError]" = None) -> "None":
        """End the stream: in order, or at once with an error."""
        if self.open:
            self.open = False
            self.session.channels.pop(self.id, None)
            self.session.link.close(self.id, error.to_value() if error is not None else None)


class Session:
    """Made for a client's first hello; ``keeper`` opens the services and is told of the end."""

    def __init__(self, keeper: "Keeper", session: "bytes", secret: "bytes", now: "float") -> "None":
        self.keeper = keeper
        self.id = session
        self.secret = secret
        self.link = Link(AGENT, session, secret, now=now)
        self.channels: "Dict[int, Channel]" = {}
        self.transport: "Optional[Transport]" = None
        self.near = False
        self.lost_at = now  # when the last transport went, while there is none
        self.over = False
        self.said_bye = False
        self._table: "Dict[Any, Callable[[Any], None]]" = {
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

    # transport

    def take_transport(self, transport: "Transport", hello: "Any", now: "float") -> "None":
        """Go on over this transport, whose first bytes were hello. A transport from before is dropped."""
        if self.transport is not None:
            old = self.transport
            self.lose_transport(now)
            old.close()
        self.transport = transport
        transport.session = self
        self.link.transport_opened(now, peer_hello=hello)
        self._dispatch()

    def lose_transport(self, now: "float") -> "None":
        """The transport is gone; the streams live on."""
        if self.transport is not None:
            self.transport = None
            self.lost_at = now
            self.link.receive_end(now)
            self._dispatch()
            self._gone_away()

    def receive(self, data: "Any", now: "float") -> "None":
        """Take bytes of the transport. Raises ProtocolError."""
        self.link.receive_data(data, now)
        self._dispatch()
        if not self.near and not self.over and self.transport is not None:
            self._came_back()

    def flush(self) -> "None":
        """Write as long as the transport takes it."""
        transport = self.transport
        while transport is not None and transport.idle:
            chunks = self.link.data_to_send(SEND_SIZE, self.keeper.now())
            if chunks:
                transport.write(chunks)
            self._dispatch()  # what left may have made room for more
            if not chunks:
                return
            transport = self.transport

    def next_deadline(self) -> "Optional[float]":
        """Give the time at which ``deadline_passed`` wants to be called; a session without transport wants none."""
        return self.link.next_deadline() if self.transport is not None else None

    def deadline_passed(self, now: "float") -> "None":
        """Do what the link wants done by now; a client that is silent for too long counts as away.

        Its transport stays, because a laptop that slept goes on with the same one, but its processes run on into their journals.
        """
        self.link.deadline_passed(now)
        self._dispatch()
        if self.near and self.link.is_silent(now):
            self._gone_away()

    def failed(self) -> "None":
        """Give this session up after a fault of ours; its processes can still be attached to."""
        self.abandon()

    def sent_mark(self) -> "Optional[int]":
        """Give a mark behind everything that was queued so far, None while some of it has not left; see ``has_got``."""
        numbers = self.link.statistics()
        return None if numbers["queued"] else int(numbers["sent"])

    def has_got(self, mark: "int") -> "bool":
        """Whether the client acknowledged everything before the mark, or said goodbye."""
        numbers = self.link.statistics()
        return self.said_bye or numbers["sent"] - numbers["replay"] >= mark

    # streams

    def open(self, header: "Any") -> "Channel":
        """Open a stream from this side; the caller sets its service. Raises LinkError when there are too many."""
        stream = self.link.open(header)
        channel = Channel(self, stream, NOTHING)
        self.channels[stream] = channel
        return channel

    def abandon(self) -> "None":
        """Give the session up: the client said goodbye through a fault, or was away too long."""
        self._end(lambda service: service.abandoned())

    def _end(self, tell: "Callable[[Service], Any]") -> "None":
        """Close everything, and tell the service of each stream why."""
        if self.over:
            return
        self.over = True
        self.near = False
        for channel in list(self.channels.values()):
            channel.open = False
            tell(channel.service)
        self.channels.clear()
        self.keeper.session_over(self)

    def _gone_away(self) -> "None":
        if self.near:
            self.near = False
            for channel in list(self.channels.values()):
                channel.service.away()

    def _came_back(self) -> "None":
        self.near = True
        for channel in list(self.channels.values()):
            channel.service.sendable()

    # events

    def _dispatch(self) -> "None":
        for event in self.link.events():
            self._table[type(event)](event)

    def _guarded(self, channel: "Channel", call: "Callable[..., Any]", *args: "Any") -> "None":
        try:
            call(*args)
        except AfieldError as error:
            channel.close(error)
            channel.service.closed()
        except Exception as error:
            self.keeper.log_failure("stream %d" % channel.id)
            channel.close(InternalError("%s: %s" % (type(error).__name__, error)))
            channel.service.closed()

    def _on_data(self, event: "Any") -> "None":
        channel = self.channels.get(event.stream)
        if channel is None:
            return
        self._guarded(channel, channel.service.data, event.data, event.err)

    def _on_sendable(self, event: "Any") -> "None":
        channel = self.channels.get(event.stream)
        if channel is not None:
            self._guarded(channel, channel.service.sendable)

    def _on_consumed(self, event: "Any") -> "None":
        channel = self.channels.get(event.stream)
        if channel is not None:
            self._guarded(channel, channel.service.consumed, event.total)

    def _on_message(self, event: "Any") -> "None":
        channel = self.channels.get(event.stream)
        if channel is not None:
            self._guarded(channel, channel.service.message, event.value)

    def _on_ended(self, event: "Any") -> "None":
        channel = self.channels.get(event.stream)
        if channel is not None:
            self._guarded(channel, channel.service.ended)

    def _on_closed(self, event: "Any") -> "None":
        channel = self.channels.pop(event.stream, None)
        if channel is not None:
            channel.open = False
            self._guarded(channel, channel.service.closed)

    def _on_opened(self, event: "Any") -> "None":
        channel = Channel(self, event.stream, NOTHING)
        self.channels[event.stream] = channel
        self._guarded(channel, self.keeper.open_service, channel, event.header)

    def _on_established(self, event: "Any") -> "None":
        self._came_back()

    def _on_refused(self, event: "Any") -> "None":
        raise ProtocolError("a client cannot refuse: %s" % event.reason)

    def _on_pong(self, event: "Any") -> "None":
        """Only the link itself asks; the answer is in its statistics."""

    def _on_bye(self, event: "Any") -> "None":
        self.said_bye = True
        self._end(lambda service: service.closed())
