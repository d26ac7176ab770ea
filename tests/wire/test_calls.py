"""One question, one answer."""

import pytest

from afield.errors import Cancelled, NoSuchProcess, ProtocolError
from afield.testing.wire import link_pair
from afield.wire import events
from afield.wire.calls import Call, call_header


def test_an_answer_and_the_end_make_a_result():
    call = Call("facts")
    with pytest.raises(ProtocolError, match="none yet"):
        call.result()
    call.message({"user": "me"})
    assert not call.over
    call.closed(None)
    assert call.over
    assert call.result() == {"user": "me"}
    call.cancel()
    assert call.result() == {"user": "me"}


def test_an_error_of_the_other_end_is_raised_here():
    call = Call("kill")
    call.closed(NoSuchProcess("no such process"))
    assert call.over
    with pytest.raises(NoSuchProcess):
        call.result()
    call.cancel()
    with pytest.raises(NoSuchProcess):
        call.result()


def test_an_error_after_the_answer_still_counts():
    call = Call("kill")
    call.message(1)
    call.closed(NoSuchProcess("too late"))
    with pytest.raises(NoSuchProcess):
        call.result()


def test_the_end_without_an_answer_and_a_second_answer_are_faults():
    with pytest.raises(ProtocolError, match="closed"):
        Call("x").closed(None)
    call = Call("x")
    call.message(1)
    with pytest.raises(ProtocolError, match="message"):
        call.message(2)


def test_a_cancelled_call_takes_what_was_on_its_way():
    call = Call("x")
    call.cancel()
    call.message(1)
    call.closed(None)
    call.closed(NoSuchProcess("gone"))
    assert call.over
    with pytest.raises(Cancelled):
        call.result()


def test_a_call_crosses_a_link():
    pair = link_pair()
    stream = pair.client.open(call_header("ping"))
    call = Call("ping")
    pair.pump()
    _, (opened,) = pair.take_events()
    assert opened == events.Opened(stream, {"do": "call", "name": "ping", "args": {}})
    pair.agent.send_message(stream, {"now": 1.5})
    pair.agent.close(stream)
    pair.pump()
    answer, closed = pair.take_events()[0]
    call.message(answer.value)
    call.closed(closed.error)
    assert call.result() == {"now": 1.5}


def test_closing_the_stream_cancels_at_the_other_end():
    pair = link_pair()
    stream = pair.client.open(call_header("facts", {"all": True}))
    pair.pump()
    pair.client.close(stream)
    pair.pump()
    assert pair.take_events()[1][-1] == events.Closed(stream, None)
    pair.agent.send_message(stream, "too late")
    pair.pump()
    assert pair.take_events() == ([], [])
