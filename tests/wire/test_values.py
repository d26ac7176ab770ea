"""Values: what goes in comes out, in one form only, and nothing else is taken."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import ProtocolError
from afield.wire.values import MAX_DEPTH, decode, encode

PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(1 << 63), max_value=(1 << 64) - 1)
    | st.floats(allow_nan=False)
    | st.binary()
    | st.text()
)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5), max_leaves=20
)


def same(left, right):
    return type(left) is type(right) and left == right


@given(VALUES)
def test_what_is_encoded_is_decoded(value):
    assert same(decode(encode(value)), value)


@given(st.binary(max_size=40))
def test_whatever_decodes_is_the_one_encoding_of_its_value(data):
    try:
        value = decode(data)
    except ProtocolError:
        return
    assert encode(value) == data


@given(VALUES, st.data())
def test_a_changed_byte_gives_another_value_or_a_protocol_error(value, data):
    whole = bytearray(encode(value))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    try:
        changed = decode(whole)
    except ProtocolError:
        return
    assert encode(changed) == bytes(whole)


@given(VALUES)
def test_a_cut_value_is_refused(value):
    whole = encode(value)
    for end in range(len(whole)):
        with pytest.raises(ProtocolError):
            decode(whole[:end])


@pytest.mark.parametrize(
    ("value", "data"),
    [
        # RFC 8949, appendix A
        (0, "00"), (10, "0a"), (23, "17"), (24, "1818"), (100, "1864"), (1000, "1903e8"), (1000000, "1a000f4240"),
        (1000000000000, "1b000000e8d4a51000"), (18446744073709551615, "1bffffffffffffffff"),
        (-1, "20"), (-10, "29"), (-100, "3863"), (-1000, "3903e7"), (-(1 << 63), "3b7fffffffffffffff"),
        (1.1, "fb3ff199999999999a"), (-4.1, "fbc010666666666666"), (1.0e300, "fb7e37e43c8800759c"),
        (math.inf, "fb7ff0000000000000"), (False, "f4"), (True, "f5"), (None, "f6"),
        (b"", "40"), (b"\x01\x02\x03\x04", "4401020304"), ("", "60"), ("IETF", "6449455446"), ("\u00fc", "62c3bc"),
        ([], "80"), ([1, [2, 3], [4, 5]], "8301820203820405"), ({}, "a0"), ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
        (b"x" * 256, "590100" + "78" * 256), ("y" * 70000, "7a00011170" + "79" * 70000),
    ],
)  # fmt: skip
def test_the_vectors_of_the_standard_hold(value, data):
    assert encode(value).hex() == data
    assert same(decode(bytes.fromhex(data)), value)


def test_not_a_number_has_one_form():
    assert math.isnan(decode(encode(math.nan)))
    other = struct.unpack(">d", bytes.fromhex("fff8000000000001"))[0]
    assert encode(other) == encode(math.nan) == bytes.fromhex("fb7ff8000000000000")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "whole value"), ("1817", "shortest"), ("1900ff", "shortest"), ("1a0000ffff", "shortest"), ("1b00000000ffffffff", "shortest"),
        ("3817", "shortest"), ("5801", "shortest"), ("780161", "shortest"), ("980100", "shortest"), ("b80100", "shortest"),
        ("3b8000000000000000", "64 bits"), ("3bffffffffffffffff", "64 bits"),
        ("1c", "definite"), ("1d", "definite"), ("1e", "definite"), ("1f", "definite"), ("5f4101ff", "definite"), ("7f6161ff", "definite"),
        ("9f01ff", "definite"), ("bf616101ff", "definite"), ("ff", "float64"), ("f7", "float64"), ("e0", "float64"), ("f8ff", "float64"),
        ("f93c00", "float64"), ("fa3f800000", "float64"), ("fb7ff8000000000001", "NaN"), ("fbfff8000000000000", "NaN"),
        ("c074323031332d30332d32315432303a30343a30305a", "tag"), ("d81800", "tag"), ("d81700", "shortest"), ("d82000", "tag"), ("a10102", "key"), ("a1410102", "key"),
        ("a2616101616102", "twice"), ("61ff", "UTF-8"), ("62c328", "UTF-8"), ("63eda080", "UTF-8"), ("0000", "1 more"),
        ("18", "whole"), ("44010203", "whole"), ("6261", "whole"), ("8201", "whole"), ("a16161", "whole"), ("fb00", "whole"),
        ("9affffffff", "whole"), ("5bffffffffffffffff", "whole"), ("bb7fffffffffffffff", "whole"),
    ],
)  # fmt: skip
def test_every_other_form_is_refused(data, why):
    with pytest.raises(ProtocolError, match=why):
        decode(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (1 << 64, "64 bits"), (-(1 << 63) - 1, "64 bits"), ({1: 2}, "key"), ({1, 2}, "plain"), (object(), "plain"),
        ("\ud800", "UTF-8"), ({"\ud800": 1}, "UTF-8"), (1j, "plain"),
    ],
)  # fmt: skip
def test_what_the_subset_does_not_hold_is_not_encoded(value, why):
    with pytest.raises(ProtocolError, match=why):
        encode(value)


def nested(depth, wrap):
    value = 1
    for _ in range(depth):
        value = wrap(value)
    return value


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"k": value}])
def test_depth_is_bounded_both_ways(wrap):
    deepest = nested(MAX_DEPTH, wrap)
    assert decode(encode(deepest)) == deepest
    with pytest.raises(ProtocolError, match="levels"):
        encode(wrap(deepest))
    one = encode(wrap(0))[:-1]
    with pytest.raises(ProtocolError, match="levels"):
        decode(one * (MAX_DEPTH + 1) + b"\x00")
    with pytest.raises(ProtocolError, match="levels"):
        decode(encode(deepest), max_depth=MAX_DEPTH - 1)
    with pytest.raises(ProtocolError):
        decode(b"\x81" * 100000)


def test_buffers_and_tuples_are_taken_and_come_back_as_bytes_and_lists():
    assert decode(memoryview(encode((bytearray(b"a"), memoryview(b"b"))))) == [b"a", b"b"]


def test_maps_keep_their_order():
    assert list(decode(encode({"b": 1, "a": 2}))) == ["b", "a"]
