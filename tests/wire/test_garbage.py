"""A hostile peer gets a ProtocolError, and no more memory than the limits say."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from afield.errors import ProtocolError
from afield.testing.wire import SECRET, SESSION, link_pair
from afield.wire import events, frames
from afield.wire.frames import frame
from afield.wire.hello import RESUME, encode_hello
from afield.wire.limits import LIMITS
from afield.wire.link import AGENT, Link
from afield.wire.values import encode

FRAME = st.one_of(
    st.builds(
        frame,
        st.integers(0, 13),
        st.sampled_from([0, 1, 2, 3, 5, 4294967295]),
        st.binary(max_size=30) | st.sampled_from([bytes(8), bytes(16), b"\xf6", encode({"do": "x"}), encode({"code": "a", "text": "b"})]),
    ),
    st.sampled_from(
        [
            frame(frames.OPEN, 1, encode({"do": "x"})), frame(frames.OPEN, 3, encode({"do": "y"})), frame(frames.DATA, 1, b"data"),
            frame(frames.EOF, 1), frame(frames.MSG, 1, b"\x01"), frame(frames.CLOSE, 1, b"\xf6"), frame(frames.PING, 0, bytes(8)),
            frame(frames.CREDIT, 1, frames.pack_credit(1 << 22, 0)), frame(frames.BYE, 0), frame(frames.ACK, 0, frames.pack_u64(53)),
        ]
    ),
)  # fmt: skip


def feed(link, data, cuts, now=0.0):
    """Give bytes to a link in pieces; gives whether it took them all."""
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in itertools.pairwise(edges):
        try:
            link.receive_data(data[start:end], now)
        except ProtocolError:
            return False
        assert link._reader.held <= LIMITS.message
        assert link.statistics()["replay"] <= LIMITS.window_most + LIMITS.slack
        for event in link.events():
            assert isinstance(event, events.Event)
        link.data_to_send()
        link.deadline_passed(now)
    return True


def fresh():
    link = Link(AGENT, SESSION, SECRET, now=0.0)
    link.transport_opened(0.0)
    link.receive_data(encode_hello(RESUME, SESSION, SECRET, 0), 0.0)
    link.open({"do": "ours"})
    link.data_to_send()
    return link


@settings(deadline=None)
@given(st.binary(max_size=300), st.sets(st.integers(0, 300), max_size=5))
def test_random_bytes_in_place_of_a_hello(data, cuts):
    link = Link(AGENT, SESSION, SECRET, now=0.0)
    link.transport_opened(0.0)
    assert feed(link, data, cuts) is (len(data) < 53)


@settings(deadline=None)
@given(st.binary(max_size=300), st.sets(st.integers(0, 300), max_size=5))
def test_random_bytes_in_place_of_frames(data, cuts):
    feed(fresh(), data, cuts)


@settings(deadline=None, max_examples=300)
@given(st.lists(FRAME, max_size=20), st.sets(st.integers(0, 600), max_size=5))
def test_random_frames(sent, cuts):
    feed(fresh(), b"".join(sent), cuts)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_changed_valid_stream(data):
    pair = link_pair(connected=False)
    stream = pair.client.open({"do": "process", "argv": [b"true"]})
    pair.client.send(stream, data.draw(st.binary(max_size=100)))
    pair.client.send_message(stream, {"resize": [24, 80]})
    pair.client.send_end(stream)
    pair.client.transport_opened(0.0)
    pair.agent.transport_opened(0.0)
    valid = b"".join(pair.client.data_to_send())
    pair.agent.receive_data(valid, 0.0)
    pair.client.receive_data(b"".join(pair.agent.data_to_send()), 0.0)
    valid += b"".join(pair.client.data_to_send())
    changed = bytearray(valid)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        what = data.draw(st.sampled_from(["flip", "drop", "double", "insert"]))
        if what == "flip":
            changed[at] ^= data.draw(st.integers(1, 255))
        elif what == "drop" and len(changed) > 1:
            del changed[at]
        elif what == "double":
            changed[at:at] = changed[at : at + 16]
        else:
            changed[at:at] = data.draw(st.binary(max_size=8))
    victim = Link(AGENT, SESSION, SECRET, now=0.0)
    victim.transport_opened(0.0)
    feed(victim, bytes(changed), data.draw(st.sets(st.integers(0, 400), max_size=4)))


def test_a_long_payload_is_kept_only_as_it_comes_and_only_to_the_limit():
    link = fresh()
    link.receive_data(frame(frames.OPEN, 1, encode({"do": "x"})) + frames.header(frames.MSG, 1, LIMITS.message), 0.0)
    assert link._reader.held == 0
    for _ in range(10):
        link.receive_data(bytes(1000), 0.0)
    assert link._reader.held == 10000
