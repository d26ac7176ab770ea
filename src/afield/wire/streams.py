"""One stream: its life, the credit of both directions, and what is queued to be sent on it  [P].

Rules: the life is a table; credit is counted in absolute bytes of DATA and ERR together; queued bytes always have credit,
because nothing more is taken. No frames are made here, no order between streams.
"""

from collections import deque

from afield.errors import InternalError, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Deque, Tuple, Union

    from afield.wire.limits import Limits

    Buffer = Union[bytes, memoryview]

# States: what each side may still do. "closing": this side closed, what was queued before still leaves; "closed": over.
OPEN, ENDED_HERE, ENDED_THERE, ENDED, CLOSING, CLOSED = (
    "open",
    "ended here",
    "ended there",
    "ended",
    "closing",
    "closed",
)
# What happens: data and its end are sent or received; either side closes.
SEND, SEND_END, RECEIVE, RECEIVE_END, CLOSE, CLOSE_IN_ORDER, RECEIVE_CLOSE = (
    "send",
    "send end",
    "receive",
    "receive end",
    "close",
    "close in order",
    "receive close",
)
_CLOSES = {CLOSE: CLOSED, CLOSE_IN_ORDER: CLOSING, RECEIVE_CLOSE: CLOSED}
LIFE = {
    OPEN: dict(_CLOSES, **{SEND: OPEN, SEND_END: ENDED_HERE, RECEIVE: OPEN, RECEIVE_END: ENDED_THERE}),
    ENDED_HERE: dict(_CLOSES, **{RECEIVE: ENDED_HERE, RECEIVE_END: ENDED}),
    ENDED_THERE: dict(_CLOSES, **{SEND: ENDED_THERE, SEND_END: ENDED}),
    ENDED: _CLOSES,
    # The peer cannot know yet: what it still sends is read and dropped.
    CLOSING: {CLOSE: CLOSED, RECEIVE: CLOSING, RECEIVE_END: CLOSING, RECEIVE_CLOSE: CLOSED},
    CLOSED: {},
}
_THEIRS = frozenset((RECEIVE, RECEIVE_END, RECEIVE_CLOSE))


class Stream:
    """The state of one stream at one end; ``window`` is the credit in bytes that this end gives."""

    __slots__ = (
        "blocked",
        "bulk",
        "consumed",
        "credit",
        "emitted",
        "granted",
        "id",
        "lane",
        "limits",
        "pending",
        "queue",
        "queued",
        "received",
        "sparse_left",
        "sparse_mark",
        "state",
        "taken_there",
        "told",
        "window",
    )

    def __init__(self, number: "int", *, window: "int", bulk: "Union[bool, None]", limits: "Limits") -> "None":
        self.id = number
        self.limits = limits
        self.state = OPEN
        # outwards
        self.queue: "Deque[Tuple[int, Buffer]]" = deque()
        self.queued = 0  # bytes of DATA and ERR taken from the user, ever
        self.pending = 0  # bytes in the queue, of data and of frames
        self.emitted = 0  # bytes of DATA and ERR put on the link, ever
        self.credit = limits.initial_credit  # bytes that the peer allows, ever
        self.taken_there = 0  # bytes that the peer's user consumed, ever
        self.blocked = False  # the user was told that nothing more fits, and waits for Sendable
        self.bulk = bulk
        self.lane = ""  # where the scheduler holds it
        self.sparse_left = 0
        self.sparse_mark = 0
        # inwards
        self.window = window
        self.granted = limits.initial_credit  # bytes that we allow, ever
        self.received = 0
        self.consumed = 0
        self.told = 0  # of consumed, as the peer knows it

    def step(self, happening: "str") -> "None":
        """Take one step of the life; raises ProtocolError for the peer's false steps, InternalError for ours."""
        after = LIFE[self.state].get(happening)
        if after is None:
            fault = ProtocolError if happening in _THEIRS else InternalError
            raise fault("expected no %r on stream %d, which is %r" % (happening, self.id, self.state))
        self.state = after

    # -- outwards

    def room(self) -> "int":
        """Bytes that may be queued now: within the peer's credit and the bound of the queue."""
        if SEND not in LIFE[self.state]:
            return 0
        return max(0, min(self.credit - self.queued, self.limits.stream_queue - self.pending))

    def put(self, kind: "int", data: "Buffer") -> "None":
        """Queue DATA or ERR, cut into pieces of a frame; raises InternalError beyond ``room``."""
        size = len(data)
        self.step(SEND)
        if size > self.room():
            raise InternalError(
                "expected at most %d bytes on stream %d, got %d" % (self.room(), self.id, size),
                hint="ask sendable() first",
            )
        self.queued += size
        self.pending += size
        most = self.limits.frame
        if size <= most:
            self.queue.append((kind, data))
            return
        view = memoryview(data)
        for at in range(0, size, most):
            self.queue.append((kind, view[at : at + most]))

    def put_frame(self, data: "bytes") -> "None":
        """Queue a whole frame behind the data."""
        self.queue.append((0, data))
        self.pending += len(data)

    def drop(self) -> "int":
        """Forget what is queued; gives how many bytes that were."""
        dropped, self.pending = self.pending, 0
        self.queue.clear()
        return dropped

    def allow(self, credit: "int", consumed: "int") -> "bool":
        """Take the peer's CREDIT; gives whether its user consumed more; raises ProtocolError when a number goes back."""
        if credit < self.credit or credit >= 1 << 63:
            raise ProtocolError("expected a credit of %d or more on stream %d, got %d" % (self.credit, self.id, credit))
        if not self.taken_there <= consumed <= self.emitted:
            raise ProtocolError(
                "expected %d to %d consumed bytes on stream %d, got %d"
                % (self.taken_there, self.emitted, self.id, consumed)
            )
        more = consumed > self.taken_there
        self.credit, self.taken_there = credit, consumed
        return more

    def woken(self) -> "bool":
        """Say, once, that a user who was sent away can queue again: from a quarter of what it could at best."""
        if not self.blocked:
            return False
        room = self.room()
        # A small window may never leave a whole quarter: then whatever there is when nothing is queued.
        if room >= self.limits.initial_credit // 4 or (room and not self.pending):
            self.blocked = False
            return True
        return False

    # -- inwards

    def take(self, size: "int") -> "bool":
        """Count received data; gives whether CREDIT is due; raises ProtocolError beyond the credit."""
        self.step(RECEIVE)
        self.received += size
        if self.received > self.granted:
            raise ProtocolError(
                "expected at most %d bytes on stream %d, got %d" % (self.granted, self.id, self.received),
                hint="the peer does not keep to its credit",
            )
        # The first credit is small; it grows to the window for a stream that turns out to carry much.
        return self.granted < self.window and self.received * 4 >= self.granted

    def use(self, count: "int") -> "bool":
        """Count bytes that our user consumed; gives whether CREDIT is due now; raises InternalError for too many."""
        if count < 0 or self.consumed + count > self.received:
            raise InternalError(
                "expected at most %d bytes consumed on stream %d, got %d"
                % (self.received - self.consumed, self.id, count)
            )
        self.consumed += count
        return (self.consumed - self.told) * 4 >= self.window

    def grant(self) -> "Tuple[int, int]":
        """Give the two numbers of a CREDIT to be sent now: allowed and consumed bytes."""
        self.granted = max(self.granted, self.consumed + self.window)
        self.told = self.consumed
        return self.granted, self.told
