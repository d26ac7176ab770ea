"""Two links joined in memory, and a clock that moves only when told: for tests of everything above the wire.

Rules: deterministic; no I/O, no real time. Nothing here is imported by the product. Python 3.6
syntax, because the wire is tested under every Python that it runs on.
"""
# ruff: noqa: UP006, UP035, UP037, UP045

from afield.wire.limits import LIMITS
from afield.wire.link import AGENT, CLIENT, Link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional, Tuple

    from afield.wire.events import Event
    from afield.wire.limits import Limits

SESSION = bytes(range(16))
SECRET = bytes(range(16, 32))


class FakeClock:
    """A clock in seconds; calling it gives the time."""

    def __init__(self, now: "float" = 1000.0) -> "None":
        self.now = now

    def __call__(self) -> "float":
        """Give the time."""
        return self.now

    def advance(self, seconds: "float") -> "float":
        """Move on; gives the new time."""
        self.now += seconds
        return self.now


class LinkPair:
    """A client and an agent on one clock; bytes between them wait until ``pump`` moves them.

    ``cut`` splits what one end sends into the pieces that the other receives; None passes each buffer as it is.
    """

    def __init__(
        self,
        clock: "Optional[FakeClock]" = None,
        *,
        limits: "Limits" = LIMITS,
        cut: "Optional[Callable[[bytes], List[bytes]]]" = None,
    ) -> "None":
        self.clock = clock or FakeClock()
        self.cut = cut
        self.client = Link(CLIENT, SESSION, SECRET, now=self.clock.now, limits=limits)
        self.agent = Link(AGENT, SESSION, SECRET, now=self.clock.now, limits=limits)
        self.client_events: "List[Event]" = []
        self.agent_events: "List[Event]" = []

    def connect(self) -> "None":
        """Join both ends by a fresh transport and let them greet."""
        self.client.transport_opened(self.clock.now)
        self.agent.transport_opened(self.clock.now)
        self.pump()

    def drop(self) -> "None":
        """Lose the transport, and what was on its way."""
        self.client.receive_end(self.clock.now)
        self.agent.receive_end(self.clock.now)

    def move(self, source: "Link", target: "Link", limit: "int" = 262144) -> "int":
        """Carry what one end has to send, once; gives how many bytes."""
        chunks = source.data_to_send(limit, self.clock.now)
        size = sum(len(chunk) for chunk in chunks)
        if self.cut is not None and size:
            chunks = list(self.cut(b"".join(chunks)))
        for chunk in chunks:
            target.receive_data(chunk, self.clock.now)
        return size

    def collect(self) -> "None":
        """Move the events of both ends into the lists; data is copied out of the buffers."""
        self.client_events += keep(self.client.events())
        self.agent_events += keep(self.agent.events())

    def pump(self) -> "None":
        """Carry bytes both ways until none are left; time stands still."""
        while self.move(self.client, self.agent) + self.move(self.agent, self.client):
            self.collect()
        self.collect()

    def settle(self, seconds: "float" = 0.1) -> "None":
        """Let so much time pass for both ends, in steps of their deadlines, and carry bytes."""
        end = self.clock.now + seconds
        self.pump()
        while True:
            due = [
                at for at in (self.client.next_deadline(), self.agent.next_deadline()) if at is not None and at <= end
            ]
            if not due:
                break
            self.clock.now = max(self.clock.now, min(due))
            for link in (self.client, self.agent):
                at = link.next_deadline()
                if at is not None and at <= self.clock.now:
                    link.deadline_passed(self.clock.now)
            self.pump()
        self.clock.now = end

    def take_events(self) -> "Tuple[List[Event], List[Event]]":
        """Give what happened at the client and at the agent since the last call."""
        taken = self.client_events, self.agent_events
        self.client_events, self.agent_events = [], []
        return taken


def keep(events: "List[Event]") -> "List[Event]":
    """Give the events with their data as bytes of their own."""
    for event in events:
        if hasattr(event, "data"):
            event.data = bytes(event.data)
    return events


def link_pair(
    clock: "Optional[FakeClock]" = None,
    *,
    limits: "Limits" = LIMITS,
    cut: "Optional[Callable[[bytes], List[bytes]]]" = None,
    connected: "bool" = True,
) -> "LinkPair":
    """Give two ends joined in memory, by default already greeted and with no events left."""
    pair = LinkPair(clock, limits=limits, cut=cut)
    if connected:
        pair.connect()
        pair.take_events()
    return pair
