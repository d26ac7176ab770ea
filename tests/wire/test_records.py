"""Records on a byte pipe."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import ProtocolError
from afield.wire.records import RecordReader, encode_record


@given(st.lists(st.integers(-5, 5) | st.binary(max_size=30)), st.lists(st.integers(0, 400)))
def test_records_come_out_whole_and_in_order_wherever_the_bytes_are_cut(values, cuts):
    stream = b"".join(encode_record(value) for value in values)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader = RecordReader()
    got = []
    for start, end in itertools.pairwise(edges):
        got += reader.feed(memoryview(stream)[start:end])
    assert got == values
    reader.end()


def test_a_large_record_is_refused_by_its_length_alone():
    reader = RecordReader(limit=10)
    assert reader.feed(encode_record(b"123456789")) == [b"123456789"]
    with pytest.raises(ProtocolError, match="at most 10"):
        reader.feed(struct.pack("<I", 11))
    with pytest.raises(ProtocolError, match="at most 10"):
        reader.feed(b"")
    with pytest.raises(ProtocolError, match="at most 10"):
        reader.end()


def test_a_large_record_is_not_made():
    with pytest.raises(ProtocolError, match="at most"):
        encode_record(bytes(1 << 20))
    assert encode_record(bytes(20), limit=21)[4:] == b"\x54" + bytes(20)


def test_good_records_before_a_bad_one_are_given_first():
    reader = RecordReader()
    assert reader.feed(encode_record(1) + struct.pack("<I", 1) + b"\xff") == [1]
    with pytest.raises(ProtocolError, match="float64"):
        reader.feed(b"")


def test_the_end_in_the_middle_of_a_record_is_a_fault():
    reader = RecordReader()
    assert reader.feed(encode_record("text")[:-1]) == []
    with pytest.raises(ProtocolError, match="whole record"):
        reader.end()
