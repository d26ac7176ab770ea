"""The observer of bundles sees every file, wherever the bytes are cut."""

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import ProtocolError
from afield.sync.bundle import BundleReader, Passed

files = st.lists(st.tuples(st.binary(max_size=300), st.booleans()), max_size=8)


def bundle_of(content):
    return b"".join(
        struct.pack("<Q", len(data)) + data + (b"\0" if good else b"\1") + hashlib.sha256(data).digest()
        for data, good in content
    )


@given(files, st.data())
def test_any_cut_gives_the_same_files(content, data):
    whole = bundle_of(content)
    reader = BundleReader()
    passed = []
    at = 0
    while at < len(whole):
        size = data.draw(st.integers(1, len(whole) - at))
        passed += reader.feed(whole[at : at + size])
        at += size
    assert passed == [Passed(len(d), good, hashlib.sha256(d).digest()) for d, good in content]
    assert reader.between_files
    assert reader.bytes_in == sum(len(d) for d, _ in content)


@given(files)
def test_byte_by_byte_gives_the_same_files(content):
    reader = BundleReader()
    passed = [file for byte in bundle_of(content) for file in reader.feed(bytes([byte]))]
    assert [file.good for file in passed] == [good for _, good in content]


def test_a_bundle_that_stops_inside_a_file_is_not_between_files():
    reader = BundleReader()
    reader.feed(bundle_of([(b"abc", True)])[:-1])
    assert not reader.between_files


def test_a_status_that_is_neither_good_nor_bad_is_refused():
    with pytest.raises(ProtocolError):
        BundleReader().feed(struct.pack("<Q", 0) + b"\2" + bytes(32))
