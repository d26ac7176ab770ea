"""Two links joined: however the bytes are cut, both ends see the same, in order."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from afield.testing.wire import link_pair
from afield.wire import events

STEP = st.one_of(
    st.tuples(st.just("open"), st.sampled_from(["client", "agent"]), st.integers(0, 3)),
    st.tuples(st.just("send"), st.integers(0, 5), st.binary(min_size=1, max_size=200), st.booleans()),
    st.tuples(st.just("send"), st.integers(0, 5), st.integers(60000, 140000).map(bytes), st.booleans()),
    st.tuples(st.just("message"), st.integers(0, 5), st.text(max_size=20)),
    st.tuples(st.just("end"), st.integers(0, 5)),
    st.tuples(st.just("close"), st.integers(0, 5)),
)


def act(pair, steps):
    """Do the steps; which stream and side a step means depends on the steps alone."""
    streams, ended = [], set()
    for step in steps:
        if step[0] == "open":
            link = getattr(pair, step[1])
            streams.append((link, link.open({"do": "test", "n": step[2]})))
            continue
        if not streams:
            continue
        link, stream = streams[step[1] % len(streams)]
        if step[0] == "send" and stream not in ended:
            link.send(stream, step[2][: link.sendable(stream)], err=step[3])
        elif step[0] == "message":
            link.send_message(stream, step[2])
        elif step[0] == "end" and stream not in ended:
            ended.add(stream)
            link.send_end(stream)
        elif step[0] == "close":
            ended.add(stream)
            link.close(stream)


def story(happened):
    """Give the events of each stream in order, with the data of each channel joined up to the next other event."""
    told = {}
    for event in happened:
        if not hasattr(event, "stream") or isinstance(event, (events.Sendable, events.Consumed)):
            continue
        rows = told.setdefault(event.stream, [])
        if isinstance(event, events.Data):
            if rows and rows[-1][0] == ("data", event.err):
                rows[-1][1].extend(event.data)
            else:
                rows.append((("data", event.err), bytearray(event.data)))
        else:
            rows.append((repr(event), b""))
    return told


def run(steps, cut):
    pair = link_pair(cut=cut)
    act(pair, steps)
    pair.settle(1.0)
    return [story(happened) for happened in pair.take_events()]


def byte_by_byte(data):
    return [data[at : at + 1] for at in range(len(data))]


def random_cuts(seed):
    chance = random.Random(seed)

    def cut(data):
        pieces = []
        while data:
            size = min(len(data), chance.choice([1, 7, 8, 9, 100, 4096, 70000]))
            pieces.append(data[:size])
            data = data[size:]
        return pieces

    return cut


@settings(deadline=None, max_examples=60)
@given(st.lists(STEP, max_size=25), st.integers(0, 1 << 30))
def test_any_cut_gives_the_same_events_and_bytes(steps, seed):
    whole = run(steps, lambda data: [data])
    assert run(steps, None) == whole
    assert run(steps, random_cuts(seed)) == whole


SMALL = st.lists(STEP.filter(lambda step: step[0] != "send" or len(step[2]) < 1000), max_size=20)


@settings(deadline=None, max_examples=30)
@given(SMALL)
def test_byte_by_byte_gives_the_same_events_and_bytes(steps):
    assert run(steps, byte_by_byte) == run(steps, None)
