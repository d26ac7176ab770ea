"""Any order of opening, sending, consuming, closing, losing the transport and waiting: every byte once, in order, within the bounds."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from afield.errors import LinkError
from afield.testing.wire import SECRET, SESSION, keep
from afield.wire import events
from afield.wire.limits import Limits
from afield.wire.link import AGENT, CLIENT, Link

# Everything small, so that a few steps reach every bound.
LIMITS = Limits(
    frame=64, message=512, initial_credit=256, window=1024, stream_queue=512, control=4096, streams=4, window_start=512,
    window_least=256, window_most=2048, slack=4096, refusal=4096, sparse=32, ack_bytes=64, batch=6,
    joined=20,
)  # fmt: skip
SIDES = st.sampled_from([CLIENT, AGENT])
PICK = st.integers(0, 7)


def other(side):
    return AGENT if side == CLIENT else CLIENT


class LinkMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = 50.0
        self.links = {side: Link(side, SESSION, SECRET, now=self.now, limits=LIMITS) for side in (CLIENT, AGENT)}
        self.wire = {CLIENT: bytearray(), AGENT: bytearray()}  # on the way from that side
        self.up = False
        self.streams = []  # ids, in the order of opening
        self.known = {CLIENT: set(), AGENT: set()}
        self.over = {CLIENT: set(), AGENT: set()}  # closed as that side knows
        self.closers = {}  # id -> how each side closed: (side, at once)
        self.ended = {CLIENT: set(), AGENT: set()}
        self.sent = {}  # (side, id, channel) -> bytes given to send
        self.got = {}  # (side, id, channel) -> bytes that the other side saw
        self.messages = {}  # (side, id) -> values given
        self.seen = {}  # (side, id) -> values seen by the other
        self.used = {}  # (side, id) -> bytes that this side consumed
        self.told = {}  # (side, id) -> what this side was told of the other's consumption
        self.count = 0

    # -- helpers

    def usable(self, side, pick):
        known = sorted(self.known[side] - self.over[side])
        return known[pick % len(known)] if known else None

    def collect(self):
        for side, link in self.links.items():
            for event in keep(link.events()):
                self.see(side, event)

    def see(self, side, event):
        sender = other(side)
        kind = type(event)
        if kind is events.Opened:
            assert event.stream not in self.known[side]
            self.known[side].add(event.stream)
        elif kind is events.Data:
            assert event.stream not in self.over[side]
            got = self.got.setdefault((sender, event.stream, event.err), bytearray())
            got += event.data
            assert self.sent[sender, event.stream, event.err].startswith(got)
        elif kind is events.Message:
            seen = self.seen.setdefault((sender, event.stream), [])
            seen.append(event.value)
            assert self.messages[sender, event.stream][: len(seen)] == seen
        elif kind is events.Ended:
            assert event.stream in self.ended[sender]
            for err in (False, True):
                assert self.got.get((sender, event.stream, err), b"") == self.sent.get((sender, event.stream, err), b"")
        elif kind is events.Closed:
            self.over[side].add(event.stream)
            assert event.stream in self.over[sender]
        elif kind is events.Consumed:
            assert event.total > self.told.get((side, event.stream), 0)
            self.told[side, event.stream] = event.total
            assert event.total <= self.used[sender, event.stream]
        elif kind is events.Sendable:
            assert event.stream in self.known[side]

    def carry(self, side, limit, keep_back):
        link = self.links[side]
        if self.up:
            for chunk in link.data_to_send(limit, self.now):
                self.wire[side] += chunk
        way = self.wire[side]
        count = max(0, len(way) - keep_back)
        if count:
            piece = bytes(way[:count])
            del way[:count]
            self.links[other(side)].receive_data(piece, self.now)
        self.collect()
        return count

    # -- what may happen

    @rule(side=SIDES)
    def open(self, side):
        mine = [number for number in self.known[side] - self.over[side] if number % 2 == (side == CLIENT)]
        if len(mine) < LIMITS.streams - 1 and len(self.streams) < 12:
            try:
                number = self.links[side].open({"do": "test"})
            except LinkError:  # closed streams that still drain count too
                return
            self.streams.append(number)
            self.known[side].add(number)

    @rule(side=SIDES, pick=PICK, size=st.integers(1, 600), err=st.booleans())
    def send(self, side, pick, size, err):
        number = self.usable(side, pick)
        if number is None:
            return
        room = self.links[side].sendable(number)
        total = sum(len(self.sent.get((side, number, each), b"")) for each in (False, True))
        assert room <= LIMITS.stream_queue
        if number in self.ended[side]:
            assert room == 0
            return
        data = bytes((self.count + at) % 251 for at in range(min(size, room)))
        self.count += len(data)
        self.sent.setdefault((side, number, err), bytearray()).extend(data)
        self.links[side].send(number, data, err=err)
        # Never more than a window ahead of what the other side consumed (the first credit is smaller).
        assert total + len(data) <= self.used.get((other(side), number), 0) + LIMITS.window

    @rule(side=SIDES, pick=PICK, text=st.text(max_size=5))
    def message(self, side, pick, text):
        number = self.usable(side, pick)
        if number is not None:
            try:
                self.links[side].send_message(number, text)
            except LinkError:
                assert self.links[side].statistics()["queued"] > LIMITS.control / 2
                return
            self.messages.setdefault((side, number), []).append(text)

    @rule(side=SIDES, pick=PICK, share=st.floats(0, 1))
    def consume(self, side, pick, share):
        number = self.usable(side, pick)
        if number is None:
            return
        got = sum(len(self.got.get((other(side), number, err), b"")) for err in (False, True))
        used = self.used.get((side, number), 0)
        count = int((got - used) * share)
        self.used[side, number] = used + count
        self.links[side].consumed(number, count)

    @rule(side=SIDES, pick=PICK)
    def end(self, side, pick):
        number = self.usable(side, pick)
        if number is not None and number not in self.ended[side]:
            self.ended[side].add(number)
            self.links[side].send_end(number)

    @rule(side=SIDES, pick=PICK, at_once=st.booleans())
    def close(self, side, pick, at_once):
        number = self.usable(side, pick)
        if number is not None:
            self.over[side].add(number)
            self.links[side].close(number, at_once=at_once)
            self.closers.setdefault(number, []).append((side, at_once))

    @precondition(lambda self: not self.up)
    @rule()
    def connect(self):
        for link in self.links.values():
            link.transport_opened(self.now)
        self.up = True

    @precondition(lambda self: self.up)
    @rule(first=st.integers(0, 400), second=st.integers(0, 400))
    def drop(self, first, second):
        """Lose the transport; a part of what was on its way still arrives."""
        self.carry(CLIENT, 256, first)
        self.carry(AGENT, 256, second)
        for side, link in self.links.items():
            self.wire[side].clear()
            link.receive_end(self.now)
        self.up = False

    @rule(side=SIDES, limit=st.sampled_from([1, 64, 300, 2000]), keep_back=st.sampled_from([0, 0, 1, 5, 60, 500]))
    def move(self, side, limit, keep_back):
        self.carry(side, limit, keep_back)

    @rule(seconds=st.sampled_from([0.001, 0.01, 0.03, 0.1, 16.0]))
    def wait(self, seconds):
        self.now += seconds
        for link in self.links.values():
            deadline = link.next_deadline()
            if deadline is not None and deadline <= self.now:
                link.deadline_passed(self.now)
        self.collect()

    # -- what must hold

    @invariant()
    def buffers_are_bounded(self):
        for link in self.links.values():
            numbers = link.statistics()
            assert numbers["replay"] <= LIMITS.window_most + LIMITS.slack + 2 * LIMITS.message
            assert LIMITS.window_least <= numbers["window"] <= LIMITS.window_most
            assert numbers["streams"] <= 2 * LIMITS.streams

    def teardown(self):
        """With a good transport and time everything arrives, and nothing is left."""
        if not self.up:
            self.connect()
        for _ in range(2000):
            moved = self.carry(CLIENT, 2000, 0) + self.carry(AGENT, 2000, 0)
            if not moved:
                break
        assert not moved
        for number in self.streams:
            for side in (CLIENT, AGENT):
                closers = self.closers.get(number, [])
                assert (number in self.over[CLIENT], number in self.over[AGENT]) == (bool(closers), bool(closers))
                if closers and closers != [(side, False)]:
                    continue  # cut off, or the other side did not listen any more: a part arrived, which was checked then
                for err in (False, True):
                    assert self.got.get((side, number, err), b"") == self.sent.get((side, number, err), b"")
                assert self.seen.get((side, number), []) == self.messages.get((side, number), [])
        assert {link.statistics()["streams"] for link in self.links.values()} == {
            len(set(self.streams) - self.over[CLIENT] - self.over[AGENT])
        }


LinkMachine.TestCase.settings = settings(deadline=None, max_examples=150, stateful_step_count=60)
TestLink = LinkMachine.TestCase
