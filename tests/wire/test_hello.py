"""The 53 bytes that open a transport."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import ProtocolError
from afield.wire.hello import GONE, NEW, RESUME, SIZE, encode_hello, gone, parse_hello, same_secret

A, B = bytes(range(16)), bytes(range(16, 32))


@given(st.sampled_from([RESUME, GONE]), st.binary(min_size=16, max_size=16), st.integers(0, (1 << 64) - 1))
def test_what_is_written_is_read(flags, session, received):
    data = encode_hello(flags, session, B, received)
    assert len(data) == SIZE == 53
    assert parse_hello(data) == (flags, session, B, received)


def test_the_layout_is_the_one_of_the_protocol():
    assert encode_hello(RESUME, A, B, 258) == b"AFLK\x01\x02\x00" + A + B + b"\x02\x01" + bytes(6) + bytes(6)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"AFLK", "53 bytes"),
        (b"Last login: Mon" + bytes(38), "something else writes"),
        (encode_hello(NEW, A, B, 0).replace(b"AFLK\x01", b"AFLK\x02"), "version"),
        (encode_hello(3, A, B, 0), "flags"),
        (encode_hello(0, A, B, 0), "flags"),
        (encode_hello(NEW, A, B, 0)[:-1] + b"\x01", "zeros"),
        (encode_hello(NEW, A, B, 5), "received nothing"),
    ],
)
def test_anything_else_is_refused(data, why):
    with pytest.raises(ProtocolError) as caught:
        parse_hello(data)
    assert why in f"{caught.value} {caught.value.hint}"


@given(st.binary(min_size=53, max_size=53))
def test_random_bytes_are_a_hello_or_a_protocol_error(data):
    with pytest.raises(ProtocolError):
        parse_hello(data)


def test_short_names_are_not_sent():
    with pytest.raises(ProtocolError, match="16 bytes"):
        encode_hello(NEW, b"short", B, 0)


def test_a_refusal_names_the_session_and_no_secret():
    assert parse_hello(gone(parse_hello(encode_hello(RESUME, A, B, 7)))) == (GONE, A, bytes(16), 0)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_secrets_are_the_same_when_all_bytes_are(one, other):
    assert same_secret(one, other) is (one == other)
    assert same_secret(one, one)
