"""Frames: cut anywhere, delivered as they arrive, bounded."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import ProtocolError
from afield.wire import frames
from afield.wire.frames import DATA, ERR, MSG, FrameReader, frame, header
from afield.wire.limits import Limits

STREAM_FRAMES = st.tuples(st.sampled_from([DATA, ERR, MSG]), st.integers(1, 9), st.binary(min_size=1, max_size=50))
OTHERS = st.sampled_from(
    [
        (frames.EOF, 3, b""), (frames.ACK, 0, bytes(8)), (frames.CREDIT, 5, bytes(16)), (frames.PING, 0, b"12345678"),
        (frames.BYE, 0, b""), (frames.CLOSE, 1, b"\xf6"), (frames.OPEN, 1, b"\xa0"), (DATA, 7, b""),
    ]
)  # fmt: skip


def joined(pieces):
    """Put the pieces of neighbouring DATA and ERR of one stream together, which may be cut anywhere."""
    out = []
    for kind, stream, payload in pieces:
        if kind in (DATA, ERR) and out and out[-1][:2] == (kind, stream):
            out[-1] = (kind, stream, out[-1][2] + bytes(payload))
        elif kind not in (DATA, ERR) or len(payload):
            out.append((kind, stream, bytes(payload)))
    return out


@given(st.lists(STREAM_FRAMES | OTHERS), st.sets(st.integers(0, 500)))
def test_any_cut_gives_the_same_frames(sent, cuts):
    stream = b"".join(frame(*each) for each in sent)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader = FrameReader()
    got = []
    for start, end in itertools.pairwise(edges):
        got += [(kind, number, bytes(piece)) for kind, number, piece in reader.feed(memoryview(stream)[start:end])]
        assert reader.held <= 64
    assert joined(got) == joined(sent)
    assert reader.held == 0


def test_data_is_given_as_it_arrives_and_as_a_view_of_what_came_in():
    reader = FrameReader()
    first = memoryview(frame(DATA, 1, b"abcdef")[:11])
    ((kind, stream, piece),) = reader.feed(first)
    assert (kind, stream, bytes(piece)) == (DATA, 1, b"abc")
    assert piece.obj is first.obj
    assert [bytes(piece) for _, _, piece in reader.feed(memoryview(b"def"))] == [b"def"]


def test_a_message_waits_until_it_is_whole():
    reader = FrameReader()
    whole = frame(MSG, 1, b"abcdef")
    assert list(reader.feed(memoryview(whole[:12]))) == []
    assert reader.held == 4
    assert [bytes(piece) for _, _, piece in reader.feed(memoryview(whole[12:]))] == [b"abcdef"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (struct.pack("<II", 0, 1), "frame type"), (struct.pack("<II", 12 << 24, 1), "frame type"), (struct.pack("<II", 255 << 24, 1), "frame type"),
        (header(DATA, 1, 65537), "DATA"), (header(ERR, 1, 65537), "ERR"), (header(MSG, 1, (8 << 20) + 1), "MSG"), (header(MSG, 1, 0), "MSG"),
        (header(frames.OPEN, 1, (8 << 20) + 1), "OPEN"), (header(frames.CLOSE, 1, 65537), "CLOSE"), (header(frames.EOF, 1, 1), "EOF"),
        (header(frames.CREDIT, 1, 8), "CREDIT"), (header(frames.ACK, 0, 7), "ACK"), (header(frames.PING, 0, 9), "PING"),
        (header(frames.PONG, 0, 0), "PONG"), (header(frames.BYE, 0, 1), "BYE"), (header(DATA, 0, 1), "a stream for DATA"),
        (header(frames.ACK, 1, 8), "stream 0 for ACK"), (header(frames.BYE, 2, 0), "stream 0 for BYE"),
    ],
)  # fmt: skip
def test_a_header_out_of_bounds_is_refused_before_its_payload(data, why):
    with pytest.raises(ProtocolError, match=why):
        list(FrameReader().feed(memoryview(data)))
    reader = FrameReader()
    for at in range(7):
        assert list(reader.feed(memoryview(data[at : at + 1]))) == []
    with pytest.raises(ProtocolError, match=why):
        list(reader.feed(memoryview(data[7:])))


def test_limits_of_its_own_are_kept():
    with pytest.raises(ProtocolError, match="0 to 10 bytes in DATA, got 11"):
        list(FrameReader(Limits(frame=10)).feed(memoryview(frame(DATA, 1, b"x" * 11))))
    with pytest.raises(TypeError, match="frames"):
        Limits(frames=1)
