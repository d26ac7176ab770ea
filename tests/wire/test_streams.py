"""One stream: life, credit, queue."""

import pytest

from afield.errors import InternalError, ProtocolError
from afield.wire import streams
from afield.wire.frames import DATA
from afield.wire.limits import Limits
from afield.wire.streams import LIFE, Stream

LIMITS = Limits(frame=10, initial_credit=100, stream_queue=50)


def make(window=400):
    return Stream(7, window=window, bulk=None, limits=LIMITS)


THEIRS = {streams.RECEIVE, streams.RECEIVE_END, streams.RECEIVE_CLOSE}
ALL = sorted({happening for row in LIFE.values() for happening in row})


@pytest.mark.parametrize("state", LIFE)
@pytest.mark.parametrize("happening", ALL)
def test_each_step_is_in_the_table_or_a_fault_of_whoever_took_it(state, happening):
    stream = make()
    stream.state = state
    if happening in LIFE[state]:
        stream.step(happening)
        assert stream.state == LIFE[state][happening]
        assert stream.state in LIFE
    else:
        with pytest.raises(ProtocolError if happening in THEIRS else InternalError, match="stream 7"):
            stream.step(happening)
        assert stream.state == state


def test_room_is_bounded_by_the_queue_and_by_the_credit():
    stream = make()
    assert stream.room() == 50
    stream.put(DATA, b"x" * 50)
    assert stream.room() == 0
    stream.emitted, stream.pending = 50, 0
    stream.queue.clear()
    stream.put(DATA, b"x" * 45)
    stream.pending = 0
    assert stream.room() == 5
    stream.step(streams.SEND_END)
    assert stream.room() == 0


def test_data_beyond_the_room_and_after_the_end_is_our_fault():
    stream = make()
    with pytest.raises(InternalError, match="at most 50") as caught:
        stream.put(DATA, b"x" * 51)
    assert "sendable" in caught.value.hint
    stream.step(streams.SEND_END)
    with pytest.raises(InternalError, match="ended here"):
        stream.put(DATA, b"x")


def test_data_is_cut_into_frames_without_a_copy():
    stream = make()
    data = b"0123456789abcdefghijklmno"
    stream.put(DATA, data)
    assert [bytes(piece) for _, piece in stream.queue] == [b"0123456789", b"abcdefghij", b"klmno"]
    assert all(piece.obj is data for _, piece in stream.queue)
    assert (stream.pending, stream.queued) == (25, 25)
    assert stream.drop() == 25
    assert (stream.pending, stream.queued) == (0, 25)


@pytest.mark.parametrize(
    ("credit", "consumed", "why"),
    [(99, 0, "credit of 100"), (1 << 63, 0, "credit"), (200, 31, "0 to 30 consumed")],
)
def test_numbers_of_a_credit_that_cannot_be_are_refused(credit, consumed, why):
    stream = make()
    stream.emitted = 30
    with pytest.raises(ProtocolError, match=why):
        stream.allow(credit, consumed)


def test_a_credit_never_goes_back():
    stream = make()
    stream.emitted = 30
    assert stream.allow(150, 20) is True
    assert stream.allow(150, 20) is False
    assert stream.room() == 50
    with pytest.raises(ProtocolError, match="20 to 30"):
        stream.allow(150, 19)
    with pytest.raises(ProtocolError, match="150 or more"):
        stream.allow(149, 20)


def test_the_user_is_woken_once_and_only_for_a_quarter_or_for_all_there_is():
    stream = make()
    assert stream.woken() is False
    stream.put(DATA, b"x" * 50)
    stream.blocked = True
    assert stream.woken() is False
    stream.pending = 30
    assert stream.woken() is False  # 20 of 100 bytes are less than a quarter
    stream.pending = 25
    assert stream.woken() is True
    assert stream.woken() is False
    stream.blocked, stream.pending, stream.queued = True, 0, 99
    assert stream.woken() is True  # one byte, and nothing more to come
    stream.blocked, stream.queued = True, 100
    assert stream.woken() is False


def test_received_data_is_held_to_the_credit_and_the_credit_grows_for_a_stream_that_carries_much():
    stream = make(window=400)
    assert stream.take(24) is False
    assert stream.take(1) is True
    assert stream.grant() == (400, 0)
    assert stream.take(375) is False
    with pytest.raises(ProtocolError, match="at most 400"):
        stream.take(1)


def test_a_small_window_never_takes_credit_back():
    stream = make(window=20)
    assert stream.take(90) is False
    assert stream.use(4) is False
    assert stream.use(1) is True
    assert stream.grant() == (100, 5)
    assert stream.use(85) is True
    assert stream.grant() == (110, 90)


@pytest.mark.parametrize("count", [-1, 11])
def test_only_what_came_can_be_consumed(count):
    stream = make()
    stream.take(10)
    with pytest.raises(InternalError, match="at most 10"):
        stream.use(count)
