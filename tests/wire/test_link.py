"""One session: its transports, its streams, and what it refuses."""

import pytest

from afield.errors import AfieldError, InternalError, LinkError, NoSuchProcess, ProtocolError, ReadOnly
from afield.testing.wire import SECRET, SESSION, link_pair
from afield.wire import events, frames
from afield.wire.frames import DATA, frame, pack_credit, pack_u64
from afield.wire.hello import GONE, NEW, RESUME, SIZE, encode_hello, gone, parse_hello
from afield.wire.limits import LIMITS, Limits
from afield.wire.link import AGENT, CLIENT, Link
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


# -- transports


def test_nothing_but_the_hello_leaves_before_the_peers_hello():
    pair = link_pair(connected=False)
    stream = pair.client.open(HEADER)
    pair.client.send(stream, b"early")
    assert pair.client.data_to_send() == []
    pair.client.transport_opened(pair.clock.now)
    assert len(send_all(pair.client.data_to_send())) == SIZE
    assert pair.client.data_to_send() == []
    assert pair.client.next_deadline() is None
    pair.client.deadline_passed(pair.clock.now)
    assert not pair.client.statistics()["connected"]


def test_both_ends_learn_that_the_session_is_established_and_later_that_it_goes_on():
    pair = link_pair(connected=False)
    pair.connect()
    client, agent = pair.take_events()
    assert client[0] == agent[0] == events.Established(False)
    assert pair.client.statistics()["connected"]
    pair.drop()
    assert not pair.client.statistics()["connected"]
    pair.connect()
    client, agent = pair.take_events()
    assert client[0] == agent[0] == events.Established(True)


def test_an_acceptor_may_read_the_hello_itself():
    client, agent = Link(CLIENT, SESSION, SECRET, now=0.0), Link(AGENT, SESSION, SECRET, now=0.0)
    client.transport_opened(0.0)
    hello = parse_hello(send_all(client.data_to_send()))
    assert (hello.flags, hello.session, hello.secret, hello.received) == (NEW, SESSION, SECRET, 0)
    agent.transport_opened(0.0, peer_hello=hello)
    assert agent.events() == [events.Established(False)]
    client.receive_data(send_all(agent.data_to_send()), 0.0)
    assert client.events()[0] == events.Established(False)


def test_a_client_whose_first_hello_was_lost_begins_again():
    pair = link_pair(connected=False)
    stream = pair.client.open(HEADER)
    pair.client.transport_opened(pair.clock.now)
    pair.client.data_to_send()
    pair.drop()
    pair.connect()
    assert pair.take_events()[1][1] == events.Opened(stream, HEADER)


def test_an_agent_that_answered_a_hello_which_never_arrived_begins_again_too():
    pair = link_pair(connected=False)
    pair.client.transport_opened(pair.clock.now)
    pair.agent.transport_opened(pair.clock.now)
    pair.move(pair.client, pair.agent)
    assert pair.agent.data_to_send()
    pair.drop()
    pair.connect()
    client, agent = pair.take_events()
    assert client[0] == events.Established(False)
    assert agent[:2] == [events.Established(False), events.Established(True)]


def test_a_new_transport_may_come_before_the_loss_of_the_old_one_was_seen():
    pair, stream = opened()
    pair.client.send(stream, b"on its way")
    pair.client.data_to_send()
    pair.connect()
    assert events.Data(stream, b"on its way", False) in pair.take_events()[1]


def test_a_session_that_the_agent_does_not_know_is_refused():
    pair, _ = opened()
    pair.drop()
    pair.client.transport_opened(pair.clock.now)
    hello = parse_hello(send_all(pair.client.data_to_send()))
    assert hello.flags == RESUME
    pair.client.receive_data(gone(hello), pair.clock.now)
    assert pair.client.events() == [events.Refused(events.GONE)]
    assert pair.client.data_to_send() == []
    assert pair.client.next_deadline() is None
    pair.client.deadline_passed(pair.clock.now)
    assert not pair.client.statistics()["connected"]
    with pytest.raises(ProtocolError, match="nothing after the refusal"):
        pair.client.receive_data(b"more", pair.clock.now)


@pytest.mark.parametrize(
    ("hello", "why"),
    [
        (b"Welcome to this host! No protocol here, sorry, but a banner.", "start of a link"),
        (encode_hello(RESUME, bytes(16), SECRET, 0), "another"),
        (encode_hello(RESUME, SESSION, bytes(16), 0), "secret"),
        (encode_hello(GONE, SESSION, bytes(16), 0), "own session"),
        (encode_hello(RESUME, SESSION, SECRET, 1 << 40), "received"),
    ],
)
def test_a_wrong_hello_ends_its_transport_and_not_the_session(hello, why):
    pair, stream = opened()
    pair.drop()
    pair.agent.transport_opened(pair.clock.now)
    with pytest.raises(ProtocolError, match=why):
        pair.agent.receive_data(hello, pair.clock.now)
    assert pair.agent.data_to_send() == []
    with pytest.raises(ProtocolError, match="without a transport"):
        pair.agent.receive_data(b"more", pair.clock.now)
    pair.connect()
    pair.client.send(stream, b"still there")
    pair.pump()
    assert events.Data(stream, b"still there", False) in pair.take_events()[1]


def test_a_peer_that_forgot_what_it_acknowledged_is_refused():
    pair, stream = opened()
    pair.client.send(stream, b"x" * 100)
    pair.settle(0.1)
    pair.drop()
    pair.client.transport_opened(pair.clock.now)
    with pytest.raises(ProtocolError, match="received"):
        pair.client.receive_data(encode_hello(RESUME, SESSION, SECRET, 0), pair.clock.now)


def test_a_fault_breaks_the_link_for_good():
    pair, stream = opened()
    pair.client.receive_data(b"", pair.clock.now)
    for _ in range(2):
        with pytest.raises(ProtocolError, match="frame type"):
            pair.client.receive_data(frame(99, 1), pair.clock.now)
    pair.client.send(stream, b"x")
    assert pair.client.data_to_send() == []
    assert pair.client.next_deadline() is None
    pair.client.deadline_passed(pair.clock.now)
    with pytest.raises(ProtocolError, match="frame type"):
        pair.client.transport_opened(pair.clock.now)


def test_what_came_before_a_fault_is_still_told():
    pair, stream = opened()
    with pytest.raises(ProtocolError):
        pair.agent.receive_data(frame(DATA, stream, b"good") + frame(99, 1), pair.clock.now)
    assert pair.agent.next_deadline() == pair.clock.now
    assert pair.agent.events() == [events.Data(stream, b"good", False)]


def test_secrets_have_their_size():
    with pytest.raises(ProtocolError, match="16 bytes"):
        Link(CLIENT, SESSION, b"short", now=0.0)


# -- streams


def test_everything_arrives_in_order_and_ids_tell_who_opened():
    pair = link_pair()
    first, second = pair.client.open(HEADER), pair.client.open(HEADER)
    theirs = pair.agent.open({"do": "accepted"})
    assert (first, second, theirs) == (1, 3, 2)
    pair.client.send(first, b"out")
    pair.client.send(first, bytearray(b"put"))
    pair.client.send(first, b"")
    pair.client.send(first, memoryview(b"error"), err=True)
    pair.client.send_message(first, {"n": 1})
    pair.client.send_end(first)
    pair.client.close(first)
    pair.pump()
    client, agent = pair.take_events()
    assert client == [events.Opened(2, {"do": "accepted"})]
    assert agent == [
        events.Opened(1, HEADER), events.Opened(3, HEADER), events.Data(1, b"output", False), events.Data(1, b"error", True),
        events.Message(1, {"n": 1}), events.Ended(1), events.Closed(1, None),
    ]  # fmt: skip


def test_a_buffer_that_can_change_is_copied_when_it_is_sent():
    pair, stream = opened()
    buffer = bytearray(b"x" * 10000)
    pair.client.send(stream, memoryview(buffer))
    buffer[:] = b"y" * 10000
    pair.pump()
    assert {bytes(event.data[:1]) for event in pair.take_events()[1]} == {b"x"}


def test_an_urgent_message_overtakes_data():
    pair, stream = opened()
    pair.client.send(stream, b"x" * 100000)
    pair.client.send_message(stream, "late")
    pair.client.send_message(stream, "soon", urgent=True)
    pair.pump()
    values = [event for event in pair.take_events()[1] if type(event) is not events.Data or event.data[:1] == b"x"]
    assert values[0] == events.Message(stream, "soon")
    assert values[-1] == events.Message(stream, "late")


def test_messages_may_follow_the_end_of_data():
    pair, stream = opened()
    pair.client.send_end(stream)
    pair.client.send_message(stream, {"signal": 2})
    pair.pump()
    assert pair.take_events()[1] == [events.Ended(stream), events.Message(stream, {"signal": 2})]
    with pytest.raises(InternalError, match="send end"):
        pair.client.send_end(stream)
    assert pair.client.sendable(stream) == 0


def test_closing_lets_the_queue_leave_first():
    pair, stream = opened()
    pair.agent.send(stream, b"x" * 200000)
    pair.agent.close(stream)
    assert pair.agent.sendable(stream) == 0
    pair.agent.send(stream, b"dropped")
    pair.agent.close(stream)
    assert pair.agent.statistics()["streams"] == 1
    pair.client.send(stream, b"crossing")
    pair.client.send_message(stream, "crossing")
    pair.client.send_end(stream)
    pair.move(pair.client, pair.agent)
    pair.pump()
    client, agent = pair.take_events()
    assert agent == []
    assert sum(len(event.data) for event in client[:-1]) == 200000
    assert client[-1] == events.Closed(stream, None)
    assert pair.client.statistics()["streams"] == pair.agent.statistics()["streams"] == 0


def test_closing_with_an_error_drops_the_queue():
    pair, stream = opened()
    pair.agent.send(stream, b"x" * 200000)
    pair.agent.close(stream, NoSuchProcess("gone", hint="look again"))
    pair.pump()
    (closed,) = pair.take_events()[0]
    assert type(closed.error) is NoSuchProcess
    assert (closed.error.text, closed.error.hint) == ("gone", "look again")


def test_a_closing_stream_can_still_be_cut_off():
    pair, stream = opened()
    pair.agent.send(stream, b"x" * 200000)
    pair.agent.close(stream)
    pair.agent.close(stream, at_once=True)
    pair.pump()
    assert pair.take_events()[0] == [events.Closed(stream, None)]


def test_two_ends_may_close_at_the_same_time():
    pair, stream = opened()
    pair.agent.send(stream, b"x" * 200000)
    pair.agent.close(stream)
    pair.client.close(stream, ReadOnly("enough"))
    pair.pump()
    assert pair.take_events() == ([], [])
    assert pair.client.statistics()["streams"] == pair.agent.statistics()["streams"] == 0
    # What was said about it before the peer knew.
    late = frame(frames.CREDIT, stream, pack_credit(1 << 22, 0)) + frame(frames.EOF, stream)
    late += frame(frames.CLOSE, stream, b"\xf6") + frame(frames.MSG, stream, b"\x01")
    pair.client.receive_data(late + frame(DATA, stream, b"x"), pair.clock.now)
    assert pair.client.events() == []


def test_a_credit_for_a_closing_stream_still_lets_its_queue_leave():
    pair, stream = opened()
    pair.agent.send(stream, b"x" * LIMITS.initial_credit)
    pair.agent.close(stream)
    pair.agent.data_to_send(1)
    pair.agent.receive_data(frame(frames.CREDIT, stream, pack_credit(1 << 22, 1)), pair.clock.now)
    assert pair.agent.events() == []


@pytest.mark.parametrize("door", ["sendable", "send_end", "close"])
def test_a_stream_that_never_was_is_our_fault(door):
    pair = link_pair()
    for number in (0, 1, 2, 77):
        with pytest.raises(InternalError, match="id of a stream"):
            getattr(pair.client, door)(number)


def test_after_the_end_every_door_is_quiet():
    pair, stream = opened()
    pair.agent.close(stream)
    pair.pump()
    pair.take_events()
    for link in (pair.client, pair.agent):
        link.send(stream, b"x")
        link.send_end(stream)
        link.send_message(stream, 1)
        link.consumed(stream, 5)
        link.close(stream)
        link.close(stream, ReadOnly("x"))
        link.configure(stream, window=5)
        assert link.sendable(stream) == 0
    assert pair.move(pair.client, pair.agent) == 0


def test_reasons_are_shortened_to_what_a_peer_needs():
    pair, stream = opened()
    pair.agent.close(stream, NoSuchProcess("x" * 5000, output="y" * 100000))
    pair.pump()
    (closed,) = pair.take_events()[0]
    assert (type(closed.error), closed.error.text, closed.error.details) == (NoSuchProcess, "x" * 1000, {})


def test_a_plain_map_is_a_reason_too():
    pair, stream = opened()
    pair.agent.close(stream, {"code": "of-the-future", "text": "new"})
    pair.pump()
    (closed,) = pair.take_events()[0]
    assert type(closed.error) is AfieldError
    assert closed.error.code == "of-the-future"


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
        pair.client.send_message(stream, bytes(1 << 20))
    with pytest.raises(LinkError, match="message of at most"):
        pair.client.open({"do": "x", "env": bytes(1 << 20)})
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
