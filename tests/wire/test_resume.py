"""What may have to be sent again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import ProtocolError
from afield.wire.resume import Replay


@given(st.lists(st.lists(st.binary(min_size=1, max_size=20), min_size=1), min_size=1), st.data())
def test_what_is_not_acknowledged_is_given_again_to_the_byte(batches, data):
    replay, stream, told = Replay(), b"", 0
    for batch in batches:
        replay.add(batch, sum(map(len, batch)))
        stream += b"".join(batch)
        told = data.draw(st.integers(told, len(stream)))
        replay.acknowledge(told)
        assert b"".join(replay.unacknowledged()) == stream[told:]
        assert (replay.start, replay.end, len(replay)) == (told, len(stream), len(stream) - told)


@pytest.mark.parametrize("offset", [4, 11, 1 << 62])
def test_an_offset_that_was_never_sent_or_goes_back_is_refused(offset):
    replay = Replay()
    replay.add([b"0123456789"], 10)
    replay.acknowledge(5)
    with pytest.raises(ProtocolError, match="5 to 10"):
        replay.acknowledge(offset)


def test_buffers_are_kept_not_copied():
    replay, data = Replay(), bytes(1000)
    replay.add([b"head", data], 1004)
    replay.acknowledge(4)
    assert replay.unacknowledged()[0] is data
