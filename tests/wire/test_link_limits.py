"""One session: its transports, its streams, and what it refuses."""

import pytest

from afield.errors import InternalError, LinkError, ProtocolError
from afield.testing.wire import link_pair
from afield.wire import events, frames
from afield.wire.frames import DATA, frame, pack_credit, pack_u64
from afield.wire.limits import LIMITS, Limits
from afield.wire.values import encode

HEADER = {"do": "test"}


def send_all(chunks):
    return b"".join(chunks)


def opened(**keywords):
    """Give a pair with one stream that both ends know."""
    pair = link_pair(**keywords)
    stream = pair.client.open(HEADER)
    pair.pump()
    pair.take_events()
    return pair, stream


# -- credit


def test_the_sender_stops_at_the_credit_and_is_woken_by_more():
    pair, stream = opened()
    sent = 0
    while pair.client.sendable(stream):
        size = min(50000, pair.client.sendable(stream))
        pair.client.send(stream, bytes(size))
        sent += size
        pair.pump()
    assert sent == LIMITS.window
    pair.take_events()
    with pytest.raises(InternalError):
        pair.client.send(stream, b"x")
    pair.agent.consumed(stream, LIMITS.window // 4 - 1)
    pair.pump()
    assert pair.take_events()[0] == []
    pair.agent.consumed(stream, 1)
    pair.pump()
    assert pair.take_events()[0] == [events.Consumed(stream, LIMITS.window // 4), events.Sendable(stream)]
    assert pair.client.sendable(stream) == LIMITS.window // 4


def test_a_full_queue_wakes_its_user_when_it_drained():
    pair, stream = opened(limits=Limits(stream_queue=100000, frame=1000))
    pair.client.send(stream, bytes(100000))
    assert pair.client.sendable(stream) == 0
    assert pair.client.data_to_send(1)
    assert pair.client.events() == []
    while pair.client.data_to_send():
        pass
    assert pair.client.next_deadline() == pair.clock.now
    assert pair.client.events() == [events.Sendable(stream)]
    pair.client.send(stream, b"x")
    assert pair.client.data_to_send()
    assert pair.client.events() == []


def test_consumption_is_told_after_a_while_though_it_is_small():
    pair, stream = opened()
    pair.client.send(stream, b"x" * 100)
    pair.settle(0.03)
    pair.agent.consumed(stream, 0)
    deadline = pair.agent.next_deadline()
    pair.agent.consumed(stream, 40)
    assert pair.agent.next_deadline() < deadline
    pair.clock.advance(0.01)
    pair.agent.consumed(stream, 60)
    pair.take_events()
    pair.settle(LIMITS.credit_delay)
    assert pair.take_events()[0] == [events.Consumed(stream, 100)]
    quiet = pair.client.statistics()["received"]
    pair.settle(1.0)
    assert pair.client.statistics()["received"] - quiet <= 2 * 16


def test_the_credit_grows_only_for_a_stream_that_carries_much():
    pair, stream = opened()
    pair.client.send(stream, bytes(65535))
    pair.pump()
    assert pair.client.sendable(stream) == LIMITS.initial_credit - 65535
    pair.client.send(stream, b"x")
    pair.pump()
    pair.agent.consumed(stream, 1)
    assert pair.client.sendable(stream) == LIMITS.stream_queue


def test_windows_are_set_when_a_stream_is_opened_or_accepted():
    pair = link_pair()
    stream = pair.client.open(HEADER, window=1 << 20)
    pair.pump()
    pair.agent.configure(stream, window=2 << 20, bulk=True)
    pair.agent.configure(stream)
    for source, target, window in ((pair.client, pair.agent, 2 << 20), (pair.agent, pair.client, 1 << 20)):
        sent = 0
        while source.sendable(stream):
            source.send(stream, bytes(min(65536, source.sendable(stream))))
            sent += 65536
            pair.pump()
        assert sent == window
        assert target.statistics()["received"] > window


def test_data_beyond_the_credit_breaks_the_link():
    pair, stream = opened()
    for _ in range(4):
        pair.agent.receive_data(frame(DATA, stream, bytes(65536)), pair.clock.now)
    pair.agent.receive_data(frame(DATA, stream), pair.clock.now)
    pair.agent.data_to_send()
    for _ in range(60):
        pair.agent.receive_data(frame(DATA, stream, bytes(65536)), pair.clock.now)
    with pytest.raises(ProtocolError, match="at most"):
        pair.agent.receive_data(frame(DATA, stream, b"x"), pair.clock.now)


def test_acknowledgements_that_are_sent_again_after_a_cut_are_no_fault():
    pair, stream = opened()
    pair.settle(0.1)
    pair.agent.send(stream, b"x")
    pair.move(pair.agent, pair.client)
    pair.client.send(stream, b"y")
    pair.client.data_to_send()  # with an acknowledgement that is lost
    pair.agent.send(stream, b"z")
    pair.move(pair.agent, pair.client)
    pair.drop()
    pair.connect()
    pair.settle(0.1)
    client, agent = pair.take_events()
    assert b"".join(event.data for event in client if type(event) is events.Data) == b"xz"
    assert b"".join(event.data for event in agent if type(event) is events.Data) == b"y"


# -- faults of the peer


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (frame(DATA, 3, b"x"), "open stream"), (frame(frames.EOF, 2), "open stream"), (frame(frames.MSG, 5, b"\x01"), "open stream"),
        (frame(frames.CREDIT, 7, pack_credit(1 << 22, 0)), "open stream"), (frame(frames.CLOSE, 9, b"\xf6"), "open stream"),
        (frame(frames.OPEN, 1, encode(HEADER)), "after 1, got 1"), (frame(frames.OPEN, 2, encode(HEADER)), "after 1, got 2"),
        (frame(frames.OPEN, 3, encode([])), '"do"'), (frame(frames.OPEN, 3, encode({"do": 1})), '"do"'), (frame(frames.OPEN, 3, b"\xff"), "float64"),
        (frame(frames.MSG, 1, b"\x18\x01"), "shortest"), (frame(frames.CLOSE, 1, b"\x01"), "error map"), (frame(frames.CLOSE, 1, b"\x18"), "whole"),
        (frame(frames.ACK, 0, pack_u64(1 << 40)), "received"), (frame(frames.ACK, 0, pack_u64(0)), "received"),
        (frame(frames.CREDIT, 1, pack_credit(1, 0)), "credit"), (frame(frames.CREDIT, 1, pack_credit(1 << 22, 1)), "consumed"),
        (frame(frames.EOF, 1) + frame(frames.EOF, 1), "receive end"), (frame(frames.EOF, 1) + frame(DATA, 1, b"x"), "receive"),
        (b"".join(frame(frames.PING, 0, bytes(8)) for _ in range(65)), "pings"),
    ],
)  # fmt: skip
def test_what_the_protocol_does_not_allow_is_refused(data, why):
    pair, _ = opened()
    pair.settle(0.1)  # something is acknowledged
    with pytest.raises(ProtocolError, match=why):
        pair.agent.receive_data(data, pair.clock.now)


def test_streams_are_bounded_at_both_ends():
    limits = Limits(streams=3)
    pair = link_pair(limits=limits)
    for _ in range(3):
        last = pair.client.open(HEADER)
    with pytest.raises(LinkError, match="3 open streams"):
        pair.client.open(HEADER)
    theirs = pair.agent.open(HEADER)
    pair.pump()
    pair.client.close(last)
    pair.client.open(HEADER)
    pair.pump()
    assert pair.agent.statistics()["streams"] == 4
    pair.client.close(theirs)
    with pytest.raises(ProtocolError, match="3 streams opened by the peer"):
        pair.agent.receive_data(frame(frames.OPEN, 11, encode(HEADER)), pair.clock.now)


def test_ids_end_before_they_do_not_fit():
    pair = link_pair()
    pair.client._streams._next = (1 << 32) - 1
    assert pair.client.open(HEADER) == (1 << 32) - 1
    with pytest.raises(LinkError, match="streams"):
        pair.client.open(HEADER)


def test_messages_are_bounded_one_by_one_and_in_the_queue():
    pair, stream = opened()
    with pytest.raises(LinkError, match="message of at most"):
        pair.client.send_message(stream, bytes(8 << 20))
    with pytest.raises(LinkError, match="message of at most"):
        pair.client.open({"do": "x", "env": bytes(8 << 20)})
    with pytest.raises(InternalError, match='"do"'):
        pair.client.open({"name": "x"})
    pair.drop()
    with pytest.raises(LinkError, match="wait for the link"):
        for _ in range(100):
            pair.client.send_message(stream, bytes(1 << 19))
    assert pair.client.statistics()["queued"] <= LIMITS.control + 1000


def test_pings_are_answered_and_the_count_begins_anew_when_they_left():
    pair, _ = opened()
    for _ in range(3):
        pair.agent.receive_data(b"".join(frame(frames.PING, 0, bytes(8)) for _ in range(64)), pair.clock.now)
        assert b"".join(pair.agent.data_to_send()).count(frame(frames.PONG, 0, bytes(8))) == 64


def test_a_peer_that_never_acknowledges_is_held_back_and_then_refused():
    limits = Limits(window_start=65536, window_least=65536, window_most=65536, slack=65536, refusal=1000)
    pair, stream = opened(limits=limits)
    pair.client.configure(stream, bulk=False)
    pair.client.send(stream, bytes(LIMITS.initial_credit))
    pair.client.receive_data(frame(frames.MSG, stream, b"\x01"), pair.clock.now)
    while pair.client.data_to_send(65536):
        pass
    held = pair.client.statistics()["replay"]
    assert 2 * 65536 < held <= 3 * 65536 + 1000
    ack = b""
    with pytest.raises(ProtocolError, match="acknowledgements"):
        for _ in range(1000):
            pair.client.receive_data(frame(frames.MSG, stream, encode(bytes(65530))), pair.clock.now)
            ack += b"".join(pair.client.data_to_send())
    assert [kind for kind, _, _ in frames.FrameReader().feed(memoryview(ack))] == [frames.ACK] * (len(ack) // 16)
    assert pair.client.statistics()["replay"] <= held + 1000 + 16


# -- acknowledgement


def test_little_is_acknowledged_after_its_delay_and_an_acknowledgement_provokes_none():
    pair, stream = opened()
    pair.settle(0.1)
    pair.client.send(stream, b"x")
    pair.move(pair.client, pair.agent)
    assert pair.agent.data_to_send() == []
    assert pair.agent.events()
    assert pair.agent.next_deadline() == pair.clock.now + LIMITS.ack_delay
    pair.agent.deadline_passed(pair.clock.advance(LIMITS.ack_delay / 2))
    assert pair.agent.data_to_send() == []
    pair.agent.deadline_passed(pair.clock.advance(LIMITS.ack_delay))
    assert pair.move(pair.agent, pair.client) == 16
    pair.client.deadline_passed(pair.clock.advance(1))
    assert pair.client.data_to_send() == []
    assert pair.client.statistics()["replay"] == 0


def test_an_acknowledgement_rides_with_an_answer():
    pair, stream = opened()
    pair.settle(0.1)
    pair.client.send(stream, b"question")
    pair.move(pair.client, pair.agent)
    pair.agent.send(stream, b"answer")
    pair.move(pair.agent, pair.client)
    assert pair.client.statistics()["replay"] == 0
    assert pair.agent.next_deadline() == pair.clock.now  # the events
    pair.agent.events()
    assert pair.agent.next_deadline() == pair.clock.now + LIMITS.heartbeat


def test_much_is_acknowledged_at_once():
    pair, stream = opened()
    pair.client.send(stream, bytes(65536))
    pair.move(pair.client, pair.agent)
    assert pair.move(pair.agent, pair.client) >= 16
    assert pair.client.statistics()["replay"] == 0


def test_bye_is_told():
    pair = link_pair()
    pair.client.bye()
    pair.pump()
    assert pair.take_events()[1] == [events.Bye()]


def test_a_large_replay_leaves_in_pieces():
    pair, stream = opened()
    pair.client.send(stream, bytes(LIMITS.initial_credit))
    before = pair.client.data_to_send(1 << 20)
    pair.drop()
    pair.client.transport_opened(pair.clock.now)
    pair.agent.transport_opened(pair.clock.now)
    pair.move(pair.client, pair.agent)
    pair.move(pair.agent, pair.client)
    pieces = 0
    while pair.move(pair.client, pair.agent, 65536):
        pieces += 1
    assert pieces >= 4
    pair.collect()
    data = [event for event in pair.take_events()[1] if type(event) is events.Data]
    assert sum(len(event.data) for event in data) == LIMITS.initial_credit
    assert before


def test_nothing_new_leaves_before_the_replay_is_through():
    pair, stream = opened()
    pair.client.send(stream, b"a" * 100000)
    pair.client.data_to_send()
    for _ in range(2):
        pair.drop()
        pair.client.transport_opened(pair.clock.now)
        pair.agent.transport_opened(pair.clock.now)
        pair.move(pair.client, pair.agent)
        pair.move(pair.agent, pair.client)
        pair.client.send(stream, b"b" * 1000)
        pair.move(pair.client, pair.agent, 1)
    pair.pump()
    data = b"".join(event.data for event in pair.take_events()[1] if type(event) is events.Data)
    assert data == b"a" * 100000 + b"b" * 2000


def test_a_new_transport_is_measured_anew():
    pair, _ = opened()
    pair.client._out.window.size = LIMITS.window_most
    pair.drop()
    assert pair.client.statistics()["window"] == LIMITS.window_most
    pair.connect()
    assert pair.client.statistics()["window"] == LIMITS.window_start


def test_statistics_name_what_people_ask_for():
    pair, _ = opened()
    numbers = pair.client.statistics()
    assert {"rtt", "window", "sent", "received", "streams", "replay", "queued", "silent_since", "connected"} <= set(
        numbers
    )
    assert numbers["streams"] == 1


def test_events_are_equal_by_class_and_fields():
    assert events.Ended(1) == events.Ended(1)
    assert events.Ended(1) != events.Ended(2)
    assert events.Ended(1) != events.Sendable(1)
    assert events.Ended(1) != 1
    assert len({events.Bye(), events.Bye(), events.Ended(1)}) == 2
    assert repr(events.Consumed(1, 2)) == "Consumed(stream=1, total=2)"
