"""The stream of a large file: read back whole when cut anywhere, refused when a length or an offset is wrong."""

import hashlib
import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import AfieldError, ProtocolError
from afield.files import patch, squeeze
from afield.files.patch import PatchReader
from afield.files.squeeze import Squeezer

STEP = st.one_of(
    st.tuples(st.just("copy"), st.integers(0, 50), st.integers(0, 50)),
    st.tuples(st.just("hole"), st.integers(0, 1 << 40), st.none()),
    st.tuples(st.just("data"), st.binary(max_size=100), st.none()),
)


def encode(step) -> bytes:
    kind, value, length = step
    if kind == "copy":
        return patch.copy(value, length)
    return patch.hole(value) if kind == "hole" else patch.data(len(value)) + value


def size_of(step) -> int:
    return {"copy": step[2], "hole": step[1]}.get(step[0], len(step[1]) if step[0] == "data" else 0)


def read(stream: bytes, cuts, **sizes) -> list:
    reader, found = PatchReader(**sizes), []
    for cut in [*cuts, len(stream)]:
        found += [(kind, bytes(a) if kind == "data" else a, b) for kind, a, b in reader.feed(stream[:cut])]
        stream = stream[cut:]
    return found


@given(st.lists(STEP, max_size=12), st.lists(st.integers(0, 60)), st.integers(0, 1000))
def test_steps_cut_anywhere_are_read_back(steps, cuts, kept):
    digest = hashlib.sha256(b"x").digest()
    stream = patch.keep(kept) + b"".join(map(encode, steps)) + patch.end(digest)
    size = kept + sum(map(size_of, steps))
    assert read(stream, cuts, size=size, old=100, kept=kept) == [("keep", kept, None), *steps, ("end", 0, digest)]


@pytest.mark.parametrize(
    "stream",
    [
        patch.copy(0, 101),
        patch.copy(90, 11),
        patch.copy((1 << 64) - 1, 2),
        patch.hole(1001),
        patch.data(1001) + bytes(1001),
        patch.data(patch.MOST_DATA + 1),
        patch.keep(11),
        patch.hole(1) + patch.keep(1),
        patch.end(bytes(32)),
        patch.hole(1000) + patch.end(bytes(32)) + b"L",
        patch.hole(1000) + b"E\2" + bytes(32),
        b"X",
    ],
)
def test_a_wrong_length_or_offset_is_refused(stream):
    with pytest.raises(ProtocolError):
        read(stream, [], size=1000, old=100, kept=10)


@given(st.binary(max_size=400))
def test_any_bytes_give_steps_within_the_limits_or_a_protocol_error(stream):
    try:
        steps = read(stream, [], size=1000, old=100, kept=10)
    except ProtocolError:
        return
    assert sum(size_of(step) for step in steps if step[0] != "end") <= 1000


@given(st.one_of(st.binary(max_size=5000), st.builds(lambda a, n: a * n, st.binary(max_size=30), st.integers(0, 9999))))
def test_a_piece_comes_out_as_it_went_in(piece):
    for level in (0, 1, 6):
        assert squeeze.unpack(Squeezer(level).pack(piece)) == piece


def test_what_shrinks_is_deflated_and_what_does_not_is_left_alone_for_a_while():
    squeezer = Squeezer(1)
    assert len(squeezer.pack(b"print('hello')\n" * 10_000)) < 10_000
    random, text = os.urandom(1 << 18), bytes(1 << 18)
    assert squeezer.pack(random)[:1] == b"R"
    assert [squeezer.pack(text)[:1] for _ in range(squeeze.SKIPPED + 1)] == [b"R"] * squeeze.SKIPPED + [b"Z"]


@pytest.mark.parametrize(
    "piece",
    [b"", b"Q", b"Z", b"Zrubbish", b"Z" + zlib.compress(bytes(squeeze.MOST + 1)), b"Z" + zlib.compress(b"a") + b"b"],
)
def test_a_piece_that_is_none_or_inflates_without_end_is_refused(piece):
    with pytest.raises(AfieldError):
        squeeze.unpack(piece)
