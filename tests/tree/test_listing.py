"""Digests of folders: equal for equal listings only, and both ends speak of the same folders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import ProtocolError
from afield.tree import listing

names = st.binary(min_size=1, max_size=5).filter(lambda name: b"\0" not in name)
listings = st.lists(st.tuples(names, st.lists(st.integers(0, 2**62), min_size=4, max_size=4)), max_size=4)


def digest(rows):
    return listing.digest_of([name for name, _ in rows], listing.pack_numbers([n for _, some in rows for n in some]))


@given(listings, listings)
def test_digests_are_equal_when_the_listings_are(one, other):
    assert (digest(one) == digest(other)) == (one == other)


@given(st.dictionaries(names, st.binary(min_size=16, max_size=16)), st.sets(names))
def test_what_is_known_and_what_is_the_same_survive_the_wire(known, same):
    folders = list(known.items())
    assert listing.decode_known(listing.encode_known(folders)) == known
    told = listing.encode_same(known, dict.fromkeys(same, b""))
    assert listing.decode_same(told, list(known)) == [path in same for path in known]


@given(st.binary(max_size=80))
def test_garbage_is_a_protocol_error_or_a_listing(data):
    for decode in (listing.decode_known, lambda some: listing.decode_same(some, [b"a"])):
        try:
            decode(data)
        except ProtocolError:
            pass


def test_numbers_beyond_what_a_digest_holds_give_none():
    assert listing.pack_numbers([1 << 63]) == b""


def test_a_missing_digest_is_an_error():
    good = listing.encode_known([(b"a", bytes(16)), (b"b", bytes(16))])
    with pytest.raises(ProtocolError):
        listing.decode_known(good[:-1])
