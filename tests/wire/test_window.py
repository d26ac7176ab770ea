"""The link window on simulated links: full speed, a short queue, and the same result each time."""

import heapq
import random

import pytest

from afield.testing.wire import SECRET, SESSION, FakeClock
from afield.wire import events
from afield.wire.limits import LIMITS, Limits
from afield.wire.link import AGENT, CLIENT, Link
from afield.wire.window import EPOCH, Window


class SlowLink:
    """Two ends joined by ``rate`` bytes a second and ``delay`` seconds each way, with an endless queue and ``jitter`` seconds of chance."""

    def __init__(self, rate, delay, jitter=0.0, limits=LIMITS):
        self.rate, self.delay, self.jitter = rate, delay, jitter
        self.chance = random.Random(7)
        self.clock = FakeClock(0.0)
        self.client = Link(CLIENT, SESSION, SECRET, now=0.0, limits=limits)
        self.agent = Link(AGENT, SESSION, SECRET, now=0.0, limits=limits)
        self.free = {CLIENT: 0.0, AGENT: 0.0}  # when the bottleneck has sent what it holds
        self.last = {CLIENT: 0.0, AGENT: 0.0}
        self.heap = []
        self.count = 0
        for link in (self.client, self.agent):
            link.transport_opened(0.0)
        self.flush()

    def at(self, when, target, data):
        self.count += 1
        heapq.heappush(self.heap, (when, self.count, target, data))

    def flush(self):
        for link, target in ((self.client, self.agent), (self.agent, self.client)):
            while chunks := link.data_to_send(262144, self.clock.now):
                for chunk in chunks:
                    self.free[link.side] = max(self.clock.now, self.free[link.side]) + len(chunk) / self.rate
                    arrival = self.free[link.side] + self.delay + self.chance.random() * self.jitter
                    self.last[link.side] = max(self.last[link.side], arrival)
                    self.at(self.last[link.side], target, chunk)

    def run(self, end, on):
        while True:
            times = [link.next_deadline() for link in (self.client, self.agent)]
            times += [self.heap[0][0]] if self.heap else []
            now = min(time for time in times if time is not None)
            if now > end:
                return
            now = self.clock.now = max(now, self.clock.now)
            while self.heap and self.heap[0][0] <= now:
                _, _, target, data = heapq.heappop(self.heap)
                if target is None:
                    data()
                else:
                    target.receive_data(data, now)
            for link in (self.client, self.agent):
                if (link.next_deadline() or end) <= now:
                    link.deadline_passed(now)
                for event in link.events():
                    on(link, event)
            self.flush()


def bulk_and_echo(rate, delay, seconds, jitter=0.0, change=None):
    """Send bulk one way and echo 64 bytes every 50 ms; give the share of the rate and the delays, in the second half."""
    link = SlowLink(rate, delay, jitter)
    client, agent = link.client, link.agent
    bulk, echo = client.open({"do": "bulk"}), client.open({"do": "echo"})
    piece, got, delays, asked = bytes(65536), [0], [], [0.0]

    def fill():
        while client.sendable(bulk) >= len(piece):
            client.send(bulk, piece)

    def ask():
        asked[0] = link.clock.now
        client.send(echo, b"k" * 64)

    def on(end, event):
        kind = type(event)
        if kind is events.Opened:
            agent.configure(event.stream, window=LIMITS.window_most)
        elif kind is events.Sendable:
            fill()
        elif kind is events.Data:
            end.consumed(event.stream, len(event.data))
            if event.stream == bulk:
                got[0] += len(event.data) * (link.clock.now > seconds / 2)
            elif end is agent:
                agent.send(echo, bytes(event.data))
            else:
                if link.clock.now > seconds / 2:
                    delays.append(link.clock.now - asked[0])
                link.at(link.clock.now + 0.05, None, ask)

    link.at(0.001, None, fill)
    link.at(0.2, None, ask)
    if change:
        link.at(seconds / 4, None, lambda: change(link))
    link.run(seconds, on)
    delays.sort()
    return got[0] / (rate * seconds / 2), delays[len(delays) // 2], client.statistics()["window"]


@pytest.mark.parametrize(
    ("rate", "delay", "seconds", "jitter", "echo"),
    [
        (300e6, 0.0001, 2, 0.0, 0.003),  # loopback
        (50e6, 0.002, 4, 0.0, 0.010),
        (20e6, 0.010, 6, 0.0, 0.035),
        (20e6, 0.010, 6, 0.003, 0.040),
        (5e6, 0.040, 10, 0.0, 0.130),
        (5e6, 0.040, 10, 0.010, 0.140),
        (100e6, 0.050, 6, 0.0, 0.150),
        (1e6, 0.050, 10, 0.0, 0.260),
    ],
)
def test_nearly_all_of_the_rate_is_used_and_the_queue_stays_short(rate, delay, seconds, jitter, echo):
    share, middle, _ = bulk_and_echo(rate, delay, seconds, jitter)
    assert share >= 0.9
    assert middle <= echo


def test_the_same_link_gives_the_same_result():
    assert bulk_and_echo(20e6, 0.01, 2, 0.002) == bulk_and_echo(20e6, 0.01, 2, 0.002)


def test_a_link_that_becomes_slower_gets_a_smaller_window():
    def slow_down(link):
        link.rate = 2e6

    _, middle, window = bulk_and_echo(20e6, 0.02, 8, change=slow_down)
    assert window <= 400000
    assert middle <= 0.2


# -- the rules one by one


def rounds(window, count, rtt, *, size=None, held_back=True, now=100.0):
    """Let ``count`` rounds of one window each pass."""
    for _ in range(count):
        start = rounds.offset = getattr(rounds, "offset", 0)
        end = start + (size or window.size)
        window.sent(end, now)
        if held_back:
            window.held_back()
        now += rtt
        window.acknowledged(end, end, now)
        rounds.offset = end
    return now


@pytest.fixture(autouse=True)
def fresh_offset():
    rounds.offset = 0


def make(**changes):
    return Window(Limits(**changes))


def test_it_doubles_at_first_and_only_when_bulk_waited():
    window = make()
    now = rounds(window, 1, 0.05)
    now = rounds(window, 3, 0.05, held_back=False, now=now)
    assert window.size == LIMITS.window_start
    rounds(window, 3, 0.05, now=now)
    assert window.size == 8 * LIMITS.window_start


def test_it_never_leaves_its_bounds():
    window = make(window_most=1 << 20)
    now = rounds(window, 30, 0.05)
    assert window.size == 1 << 20
    rounds(window, 30, 1.0, now=now)
    assert window.size == LIMITS.window_least


def test_a_long_queue_shrinks_it_and_growth_is_slow_from_then_on():
    window = make(window_start=1 << 20)
    now = rounds(window, 2, 0.05)
    size = window.size
    now = rounds(window, 1, 0.5, now=now)
    assert window.size == size // 2
    size = window.size
    rounds(window, 1, 0.05, now=now)
    assert size < window.size < 1.2 * size


def test_between_the_two_it_goes_down_slowly():
    window = make(window_start=1 << 20)
    now = rounds(window, 1, 0.1)
    size = window.size
    rounds(window, 1, 0.124, now=now)
    assert 0.9 * size < window.size < size


def test_little_under_way_says_nothing():
    window = make()
    now = rounds(window, 1, 0.05)
    rounds(window, 20, 5.0, size=1000, now=now)
    assert window.size == LIMITS.window_start
    assert window.base == pytest.approx(0.05)


def test_bytes_sent_over_an_earlier_transport_say_nothing():
    window = make()
    window.sent(1000, 1.0)
    window.restart()
    window.acknowledged(1000, 1000, 99.0)
    assert (window.rtt, window.base) == (None, 0.0)


def test_a_ping_shows_the_way_without_a_queue():
    window = make()
    window.probed(0.02)
    rounds(window, 1, 1.0)
    assert (window.base, window.rtt) == (0.02, pytest.approx(1.0))
    window.probed(0.03)
    assert window.base == 0.02


def test_one_send_time_is_kept_for_all_that_left_at_once():
    window = make()
    for end in (10, 20, 30):
        window.sent(end, 5.0)
    assert len(window._marks) == 1
    window.sent(40, 6.0)
    window.acknowledged(30, 40, 7.0)
    assert window.rtt == 2.0
    window.acknowledged(35, 40, 7.0)
    assert window.rtt == 1.0


def test_after_an_epoch_it_looks_below_its_own_queue_and_comes_back():
    window = make(window_start=1 << 20)
    now = rounds(window, 3, 0.1)
    size = window.size
    now = rounds(window, 1, 0.1, now=now + EPOCH)
    assert window.size == size // 2
    now = rounds(window, 1, 0.08, now=now)
    assert window.size == size // 2
    now = rounds(window, 1, 0.05, now=now)
    assert window.size == size
    assert window.base == pytest.approx(0.05)
    # A longer way is believed after two epochs.
    now = rounds(window, 3, 0.3, now=now + EPOCH)
    assert window.base == pytest.approx(0.05)
    rounds(window, 3, 0.3, now=now + EPOCH)
    assert window.base == pytest.approx(0.3)
