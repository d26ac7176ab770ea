"""Pings and silence."""

import pytest

from afield.errors import ProtocolError
from afield.testing.wire import FakeClock, link_pair
from afield.wire import events
from afield.wire.frames import PONG, frame
from afield.wire.limits import LIMITS, Limits
from afield.wire.pulse import Pulse


def test_after_silence_a_ping_goes_out_and_its_answer_is_measured():
    pair = link_pair()
    start = pair.clock.now
    assert pair.client.next_deadline() == start + LIMITS.heartbeat
    pair.client.deadline_passed(pair.clock.advance(LIMITS.heartbeat))
    pair.agent.receive_data(b"".join(pair.client.data_to_send()), pair.clock.now)
    pair.clock.advance(0.25)
    pair.client.receive_data(b"".join(pair.agent.data_to_send()), pair.clock.now)
    assert pair.client.events() == [events.Pong(0.25)]
    assert pair.client.next_deadline() <= pair.clock.now + LIMITS.heartbeat


def test_a_peer_that_stays_silent_is_asked_again_and_then_given_up():
    pair = link_pair()
    asked = []
    while not pair.client.is_silent(pair.clock.now):
        pair.clock.now = pair.client.next_deadline()
        pair.client.deadline_passed(pair.clock.now)
        if pair.client.data_to_send():
            asked.append(pair.clock.now - 1000)
    assert asked == [15, 30]
    assert pair.clock.now == 1000 + LIMITS.silence
    assert not pair.agent.is_silent(1000 + LIMITS.silence - 1)
    pair.drop()
    assert not pair.client.is_silent(pair.clock.now)


def test_unanswered_pings_are_bounded():
    limits = Limits(pings=2)
    pulse = Pulse(limits, 0.0)
    assert pulse.ask(1.0) != pulse.ask(2.0)
    assert pulse.ask(3.0) is None
    assert pulse.next_ping() == 3.0 + limits.heartbeat
    pair = link_pair(limits=limits)
    for _ in range(5):
        pair.client.ping(pair.clock.now)
    pair.pump()
    assert pair.take_events()[0] == [events.Pong(0.0)] * 2


def test_an_answer_that_nobody_asked_for_is_refused():
    pair = link_pair()
    with pytest.raises(ProtocolError, match="answer to a ping"):
        pair.client.receive_data(frame(PONG, 0, b"12345678"), pair.clock.now)


def test_the_clock_of_tests_moves_when_told():
    clock = FakeClock(5.0)
    assert (clock.advance(1.5), clock()) == (6.5, 6.5)
