"""The event loop by itself, and what a session makes of silence."""

import os
import signal
import time

import pytest

from afield.agent.loop import READ, Loop
from afield.agent.pumps import Inflow, Outflow
from afield.agent.session import Session
from afield.wire.hello import NEW, Hello
from afield.wire.limits import LIMITS


@pytest.fixture
def loop():
    before = signal.getsignal(signal.SIGCHLD)
    loop = Loop()
    loop.handle_signal(signal.SIGCHLD, loop.reap)
    loop.failures = []
    loop.report = loop.failures.append
    yield loop
    signal.signal(signal.SIGCHLD, before)
    loop.close()


@pytest.fixture
def pipes():
    """Give a function that makes pipes; what is left open is closed at the end."""
    made = []

    def make():
        pair = os.pipe()
        made.extend(pair)
        return pair

    yield make
    for fd in made:
        try:
            os.close(fd)
        except OSError:
            pass


def run(loop, seconds=10.0):
    timer = loop.call_later(seconds, loop.stop)
    began = time.monotonic()
    loop.run()
    timer.cancel()
    assert time.monotonic() - began < seconds, "it did not happen in time"


def test_timers_fire_in_order_and_cancelled_ones_never(loop):
    seen = []
    now = time.monotonic()
    loop.call_at(now + 0.03, lambda: (seen.append("c"), loop.stop()))
    loop.call_at(now + 0.02, lambda: seen.append("b"))
    loop.call_at(now + 0.01, lambda: seen.append("a"))
    loop.call_at(now + 0.015, lambda: seen.append("never")).cancel()
    run(loop)
    assert seen == ["a", "b", "c"]


def test_stale_event_never_reaches_a_reused_number(loop, pipes):
    (first, first_end), (second, second_end) = pipes(), pipes()
    os.write(first_end, b"x")
    os.write(second_end, b"x")
    seen = []
    watches = {}

    def ready(number, other):
        seen.append(number)
        loop.stop()
        watches[other].stop()  # it is ready in this very batch
        os.dup2(pipes()[0], other)  # and its number means an empty pipe from now on
        watches[other] = loop.watch(other, READ, lambda: seen.append("stale"))

    watches[first] = loop.watch(first, READ, lambda: ready(first, second))
    watches[second] = loop.watch(second, READ, lambda: ready(second, first))
    run(loop)
    assert len(seen) == 1


def test_callback_that_fails_is_reported_and_watched_no_more(loop, pipes):
    inward, outward = pipes()
    os.write(outward, b"x")
    loop.watch(inward, READ, lambda: 1 / 0)
    loop.call_later(0.05, loop.stop)
    loop.run()
    assert loop.failures == [f"descriptor {inward}"]


def test_failing_source_is_told_and_the_others_go_on(loop):
    class Source:
        told = 0

        def flush(self):
            raise ValueError

        def next_deadline(self):
            return None

        def failed(self):
            self.told += 1
            loop.sources.remove(self)

    source = Source()
    loop.sources.append(source)
    loop.call_later(0.02, loop.stop)
    run(loop)
    assert (source.told, loop.failures) == (1, ["link"])


def test_every_ended_child_is_told_with_its_status(loop):
    ended = {}
    for code in (3, 4, 5):
        pid = os.fork()
        if pid == 0:
            os._exit(code)
        loop.child(pid, lambda status, code=code: (ended.update({code: status >> 8}), len(ended) == 3 and loop.stop()))
    run(loop)
    assert ended == {3: 3, 4: 4, 5: 5}


def test_signal_calls_back_in_the_loop(loop):
    before = signal.getsignal(signal.SIGUSR1)
    try:
        loop.handle_signal(signal.SIGUSR1, loop.stop)
        os.kill(os.getpid(), signal.SIGUSR1)
        run(loop)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_paused_reader_of_a_hung_up_pipe_does_not_spin(loop, pipes):
    inward, outward = pipes()
    os.write(outward, b"data")
    os.close(outward)
    room = [0]
    got = []
    flow = Inflow(loop, os.dup(inward), lambda: room[0], got.append, lambda number: (got.append(number), loop.stop()))
    before = loop.batch
    loop.call_later(0.1, loop.stop)
    loop.run()
    assert loop.batch - before <= 3
    assert got == []
    loop._running = True
    room[0] = 100
    flow.resume()
    run(loop)
    assert got == [b"data", 0]


def test_writer_keeps_order_counts_everything_and_ends_after_it(loop, pipes):
    inward, outward = pipes()
    taken = []
    flow = Outflow(loop, os.dup(outward), taken.append)
    os.close(outward)
    data = os.urandom(300000)
    for at in range(0, len(data), 50000):
        flow.write(memoryview(bytearray(data[at : at + 50000])))
    flow.end()
    got = []
    Inflow(loop, os.dup(inward), lambda: 1 << 20, got.append, lambda _number: loop.stop())
    run(loop)
    assert b"".join(got) == data
    assert sum(taken) == len(data)


def test_writer_without_reader_drops_and_counts_everything(loop, pipes):
    inward, outward = pipes()
    taken, broken = [], []
    flow = Outflow(loop, os.dup(outward), taken.append, broken.append)
    flow.write(bytes(200000))
    os.close(inward)
    flow.write(bytes(1000))
    loop.call_later(0.05, loop.stop)
    loop.run()
    flow.write(bytes(500))
    assert sum(taken) == 201500
    assert len(broken) == 1
    assert flow.closed


class StubKeeper:
    time = 0.0

    def now(self):
        return self.time


class StubTransport:
    idle = True

    def __init__(self):
        self.written = []

    def write(self, chunks):
        self.written += chunks


def test_client_that_is_silent_counts_as_away_until_it_speaks():
    keeper = StubKeeper()
    session = Session(keeper, bytes(16), bytes(16), 0.0)
    session.take_transport(StubTransport(), Hello(NEW, bytes(16), bytes(16), 0), 0.0)
    assert session.near
    while keeper.time < LIMITS.silence + 1:
        session.flush()
        keeper.time = session.next_deadline()
        session.deadline_passed(keeper.time)
    assert not session.near
    assert session.transport is not None, "a laptop that slept goes on with the same transport"
    session.receive(memoryview((8).to_bytes(3, "little") + b"\x08" + bytes(12)), keeper.time)  # ACK 0
    assert session.near
