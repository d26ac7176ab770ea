"""Ops and results as columns say what the maps say, and garbage gives a ProtocolError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import ProtocolError
from afield.files import columns

names = st.binary(min_size=1, max_size=20).map(lambda name: name.replace(b"\0", b"x"))
numbers = st.integers(-(2**63), 2**63 - 1)
stats = st.tuples(st.integers(0, 2**62), numbers, st.integers(0, 2**64 - 1), numbers).map(list)
before = st.one_of(
    st.just({"was": None, "was_kind": None}),
    st.builds(lambda stat, kind: {"was": stat, "was_kind": kind}, stats, st.sampled_from("dfl")),
)
puts = st.fixed_dictionaries(
    {
        "op": st.just("put"),
        "path": names,
        "size": st.integers(0, 2**62),
        "executable": st.booleans(),
        "mtime_ns": numbers,
        "digest": st.one_of(st.none(), st.binary(min_size=32, max_size=32)),
    }
)
others = st.one_of(
    st.fixed_dictionaries({"op": st.sampled_from(["dir", "remove"]), "path": names}),
    st.fixed_dictionaries({"op": st.just("link"), "path": names, "target": names}),
    st.fixed_dictionaries({"op": st.just("move"), "path": names, "to": names}).map(
        lambda op: {"op": "move", "path": op["path"], "target": op["to"], "to": op["to"]}
    ),
    st.fixed_dictionaries({"op": st.just("mode"), "path": names, "executable": st.booleans()}),
)
ops = st.builds(lambda op, was: {**op, **was}, st.one_of(puts, others), before)


@given(st.lists(ops, max_size=30))
def test_columns_of_ops_give_the_same_rows_as_the_maps(many):
    assert columns.decode_ops(columns.encode_ops(many)) == [columns.row_of(op) for op in many]


def test_many_ops_are_compressed_and_come_back():
    many = [{"op": "dir", "path": b"folder/%d" % place, "was": None} for place in range(5000)]
    data = columns.encode_ops(many)
    assert len(data) < 60000
    assert columns.decode_ops(data) == [columns.row_of(op) for op in many]


@given(st.binary(max_size=200))
def test_bytes_that_are_no_columns_give_a_protocol_error(data):
    with pytest.raises(ProtocolError):
        columns.decode_ops(data)


@given(st.lists(ops, min_size=1, max_size=8), st.data())
def test_damaged_columns_give_rows_or_a_protocol_error(many, data):
    whole = bytearray(columns.encode_ops(many))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        columns.decode_ops(bytes(whole))
    except ProtocolError:
        pass


def test_columns_that_would_expand_without_end_are_refused():
    with pytest.raises(ProtocolError):
        columns.unsqueeze(columns.squeeze(b"\0" * (columns.LARGEST + 1)))


@pytest.mark.parametrize(
    "op",
    [
        {},
        {"op": "explode", "path": b"x"},
        {"op": "dir", "path": "text"},
        {"op": "put", "path": b"x"},
        {"op": "put", "path": b"x", "size": -1, "mtime_ns": 0},
        {"op": "put", "path": b"x", "size": 1, "mtime_ns": 0, "digest": b"short"},
        {"op": "link", "path": b"x"},
        {"op": "dir", "path": b"a\0b"},
        {"op": "remove", "path": b"x", "was": [1, 2, 3]},
        {"op": "remove", "path": b"x", "was": None, "was_kind": "z"},
    ],
)
def test_an_op_that_is_none_is_named(op):
    with pytest.raises(ProtocolError, match="expected"):
        columns.row_of(op)


results = st.lists(
    st.one_of(
        st.tuples(st.just("ok"), st.one_of(st.none(), stats)),
        st.tuples(st.just("refused"), st.text(max_size=5)),
        st.tuples(st.just("error"), st.just({"code": "disk-full", "text": "full"})),
    ),
    max_size=20,
)


@given(results)
def test_results_as_columns_come_back(found):
    triples = [(place, status, value) for place, (status, value) in enumerate(found)]
    back = columns.decode_results(columns.encode_results(triples))
    assert sorted(back, key=lambda item: item[0]) == [list(item) for item in triples]


@pytest.mark.parametrize("part", [{}, None, 3, {"ok": b"123", "stat": b"", "plain": b"", "other": []}])
def test_results_that_are_none_give_a_protocol_error(part):
    with pytest.raises(ProtocolError):
        columns.decode_results(part)
