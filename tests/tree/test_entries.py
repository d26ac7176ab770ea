"""Entries as columns: what goes in comes out, and nothing a peer sends does more than raise ProtocolError."""

import os
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import ProtocolError
from afield.tree import entries as E
from afield.tree.entries import Entry, Node, Stat, decode_entries, encode_entries, entry_parts

names = st.binary(min_size=1, max_size=8).filter(lambda part: part not in (b".", b"..") and not {0, 0x2F} & set(part))
paths = st.lists(names, min_size=1, max_size=4).map(b"/".join)
u63, u64, i64 = st.integers(0, 2**63 - 1), st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1)
nodes = st.one_of(
    st.just(E.FOLDER),
    st.just(E.OTHER),
    st.builds(Node, st.just("f"), st.booleans(), st.one_of(st.none(), st.binary(min_size=32, max_size=32))),
    st.builds(
        Node, st.just("l"), st.just(False), st.binary(min_size=1, max_size=20).filter(lambda text: b"\0" not in text)
    ),
)
stats = st.builds(Stat, u63, i64, u64, i64)
pairs = st.lists(st.tuples(paths, st.builds(Entry, nodes, stats)), max_size=30)


def many(count, content=None):
    return [
        (
            b"src/package/module_%d.py" % number,
            Entry(Node("f", False, content), Stat(number, 10**18 + number, number, 10**18)),
        )
        for number in range(count)
    ]


@given(pairs)
def test_what_goes_in_comes_out(given_pairs):
    found = decode_entries(encode_entries(given_pairs))
    assert found == given_pairs
    for (_, entry), (_, before) in zip(found, given_pairs, strict=True):
        assert (type(entry), type(entry.node), type(entry.stat)) == (Entry, Node, Stat)
        assert entry.node.executable is before.node.executable


def test_many_entries_are_deflated_and_come_out_the_same():
    given_pairs = many(3000, os.urandom(32))
    data = encode_entries(given_pairs)
    assert len(data) < 3000 * 60
    assert decode_entries(data) == given_pairs


@given(pairs, st.data())
def test_damaged_columns_are_entries_or_a_protocol_error(given_pairs, data):
    damaged = bytearray(encode_entries(given_pairs))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(damaged)), st.integers(0, len(damaged))))
    try:
        found = decode_entries(bytes(damaged[:cut]))
    except ProtocolError:
        return
    for path, entry in found:
        assert E.paths.check(path) == path
        assert entry.node.kind in "dflo"


@given(st.binary(max_size=200))
def test_garbage_is_a_protocol_error(data):
    with pytest.raises(ProtocolError):
        decode_entries(data)


def forged(names=(b"a",), kinds=b"d", targets=b"", mask=0, rest=b"", numbers=None, **header):
    """Columns made by hand, of which any part can be wrong."""
    block = b"\0".join(names)
    head = struct.pack("<III", mask, len(block), len(targets)) + block + targets + kinds
    head += bytes(32 * len(kinds)) if numbers is None else numbers
    size = header.get("size", len(head))
    stored = header.get("stored", len(head))
    return struct.pack("<BBIII", 1, 0, header.get("count", len(kinds)), size, stored) + head + rest


def test_what_is_forged_well_is_taken():
    assert [path for path, _ in decode_entries(forged())] == [b"a"]


@pytest.mark.parametrize(
    "data",
    [
        forged(names=[b"../x"]),
        forged(names=[b"/etc/passwd"]),
        forged(names=[b"a/../../b"]),
        forged(names=[b"."]),
        forged(names=[b""]),
        forged(names=[b"a//b"]),
        forged(names=[b"a/"]),
        forged(names=[b"x" * 256]),
        forged(names=[b"ok/" + b"/".join([b"x" * 200] * 21)]),
        forged(names=[b"a", b".."], kinds=b"dd"),
        forged(names=[b"a", b"b"]),
        forged(names=[b"a"], kinds=b"z"),
        forged(names=[b"a"], kinds=b"l"),
        forged(names=[b"a"], kinds=b"l", targets=b"x\0y"),
        forged(names=[b"a"], kinds=b"l", targets=b"x" * 5000),
        forged(names=[b"a"], kinds=b"d", targets=b"x"),
        forged(names=[b"a"], kinds=b"F"),
        forged(names=[b"a"], kinds=b"F", rest=b"short"),
        forged(names=[b"a"], kinds=b"d", rest=b"more"),
        forged(names=[b"a"], numbers=b""),
        forged(names=[b"a"], mask=0xFFFFFFFF),
        forged(names=[b"a"], count=0xFFFFFFFF),
        forged(names=[b"x"], kinds=b"", count=0),
        forged(size=1 << 31),
        forged(stored=1 << 31),
        forged(size=3, stored=3),
        forged() + b"x",
        struct.pack("<BBIII", 2, 0, 0, 12, 12) + bytes(12),
        struct.pack("<BBIII", 1, 4, 0, 12, 12) + bytes(12),
        struct.pack("<BBIII", 1, 1, 0, 12, 12) + bytes(12),
    ],
)
def test_forged_columns_are_refused(data):
    with pytest.raises(ProtocolError):
        decode_entries(data)


@pytest.mark.parametrize("promised", [1 << 10, 1 << 20])
def test_a_bomb_is_not_expanded_beyond_what_it_promised(promised):
    bomb = zlib.compress(bytes(64 << 20), 9)
    with pytest.raises(ProtocolError):
        decode_entries(struct.pack("<BBIII", 1, 1, 1, promised, len(bomb)) + bomb)
    with pytest.raises(ProtocolError, match="allowed"):
        decode_entries(struct.pack("<BBIII", 1, 1, 1, 64 << 20, len(bomb)) + bomb)


def test_a_limit_of_the_caller_counts():
    data = encode_entries(many(500))
    with pytest.raises(ProtocolError, match="allowed"):
        decode_entries(data, limit=1000)


@pytest.mark.parametrize(
    "node",
    [
        Node("x", False, None),
        Node("d", True, None),
        Node("d", False, b"x"),
        Node("l", False, None),
        Node("l", False, b""),
        Node("l", False, b"a\0b"),
        Node("f", False, b"short"),
    ],
)
def test_what_is_no_node_is_not_sent(node):
    with pytest.raises(ProtocolError):
        encode_entries([(b"a", Entry(node, Stat(0, 0, 0, 0)))])


@given(st.lists(st.tuples(st.integers(1, 4000), st.integers(0, 4000)), max_size=400))
def test_parts_fit_a_record_whatever_is_in_them(sizes):
    given_pairs = [
        (
            os.urandom(size).hex().encode()[:size],
            Entry(Node("l", False, b"t" * link) if link else E.FOLDER, Stat(0, 0, 0, 0)),
        )
        for size, link in sizes
    ]
    parts = list(entry_parts(given_pairs))
    assert [pair for part in parts for pair in part] == given_pairs
    assert all(parts)
    assert all(len(encode_entries(part)) < 1 << 20 for part in parts)


def test_a_full_part_of_noise_fits_a_record():
    given_pairs = [
        (
            os.urandom(27).hex().encode(),
            Entry(Node("f", False, os.urandom(32)), Stat(*struct.unpack("<QqQq", os.urandom(32)))),
        )
        for _ in range(10_000)
    ]
    parts = list(entry_parts(given_pairs))
    assert len(parts) == 2
    assert max(len(encode_entries(part)) for part in parts) < 1 << 20


def test_too_much_for_one_block_is_refused_before_it_is_sent(monkeypatch):
    monkeypatch.setattr(E, "MAX_HEAD", 1000)
    with pytest.raises(ProtocolError) as caught:
        encode_entries(many(100))
    assert "entry_parts" in caught.value.hint


@given(stats)
def test_a_stat_comes_back_from_its_value(stat):
    assert E.stat_from_value(list(stat)) == stat


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        [1, 2, 3],
        [1, 2, 3, 4, 5],
        [1, 2, 3, "4"],
        [True, 0, 0, 0],
        [-1, 0, 0, 0],
        [0, 2**63, 0, 0],
        (1, 2, 3, 4),
    ],
)
def test_what_is_no_stat_is_refused(value):
    with pytest.raises(ProtocolError):
        E.stat_from_value(value)


def test_unknown_contents_are_equal_to_nothing():
    assert not E.same(E.UNKNOWN, E.UNKNOWN)
    assert E.same(E.FOLDER, Node("d", False, None))
    assert E.same(None, None)
    assert not E.same(None, E.FOLDER)
    assert E.same(Node("f", True, b"x"), Node("f", True, b"x"))


def test_the_collector_is_left_as_it_was_found():
    import gc

    data = encode_entries(many(5))
    gc.disable()
    try:
        decode_entries(data)
        assert not gc.isenabled()
    finally:
        gc.enable()
    with pytest.raises(ProtocolError):
        decode_entries(forged(names=[b".."]))
    assert gc.isenabled()
