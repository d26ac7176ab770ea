"""One session: its transports, its streams, and what it refuses."""

import pytest

from afield.errors import AfieldError, InternalError, NoSuchProcess, ProtocolError, ReadOnly
from afield.testing.wire import SECRET, SESSION, link_pair
from afield.wire import events, frames
from afield.wire.frames import DATA, frame, pack_credit
from afield.wire.hello import GONE, NEW, RESUME, SIZE, encode_hello, gone, parse_hello
from afield.wire.limits import LIMITS
from afield.wire.link import AGENT, CLIENT, Link

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
