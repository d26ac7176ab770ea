"""The delta of any two byte strings rebuilds the new one, and edits cost about what they change."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afield.errors import ProtocolError
from afield.files import blocks
from afield.files.blocks import KEPT, OLD, SMALLEST, Table, TableReader, block_size, needle_of, rows_of, table_head
from afield.files.delta import NEED, REST, WINDOW, Matcher

BLOCK = SMALLEST


def table_of(old: bytes, block: int = BLOCK) -> Table:
    table = Table(len(old), block)
    for row in rows_of(old, block):
        table.add(row)
    return table


def delta(old: bytes, new: bytes, block: int = BLOCK) -> list:
    """Steps with the bytes copied out: the views are valid only until the next step."""
    matcher = Matcher(lambda at, length: new[at : at + length], len(new), table_of(old, block))
    return [(kind, at, bytes(view)) for kind, at, view in matcher.steps(0, len(new)) if kind in ("copy", "data")]


def rebuild(old: bytes, steps: list) -> bytes:
    return b"".join(old[at : at + len(view)] if kind == "copy" else view for kind, at, view in steps)


def literal(steps: list) -> int:
    return sum(len(view) for kind, _, view in steps if kind == "data")


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.builds(lambda n: b"\0" * n, st.integers(0, 3 * BLOCK)),
        st.builds(noise, st.integers(0, 5), st.integers(0, 3 * BLOCK)),
    ),
    max_size=8,
).map(b"".join)


@given(PIECES, PIECES)
@settings(max_examples=150, deadline=None)
def test_any_two_byte_strings_rebuild_the_new_one(old, new):
    assert rebuild(old, delta(old, new)) == new


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_random_edits_of_a_file_rebuild_it_and_cost_a_few_blocks_each(data):
    old = noise(data.draw(st.integers(0, 3)), data.draw(st.integers(40 * BLOCK, 60 * BLOCK)))
    new, edits, added = bytearray(old), data.draw(st.integers(0, 4)), 0
    for _ in range(edits):
        at = data.draw(st.integers(0, len(new)))
        gone, come = data.draw(st.integers(0, 2 * BLOCK)), data.draw(st.integers(0, 2 * BLOCK))
        new[at : at + gone] = noise(99 + edits, come)
        added += come
    steps = delta(old, bytes(new))
    assert rebuild(old, steps) == new
    # An edit breaks the block it begins in and the one it ends in, and a removal is looked for in steps of two.
    assert literal(steps) <= added + edits * 8 * BLOCK + BLOCK


@pytest.mark.parametrize(
    ("edit", "most"),
    [
        (lambda old: old, 0),
        (lambda old: old[:500_000] + b"X" + old[500_001:], BLOCK),
        (lambda old: old + b"appended", BLOCK),
        (lambda old: old[: len(old) // 2], BLOCK),
        (lambda old: noise(7, 1 << 20) + old, (1 << 20) + BLOCK),
        (lambda old: old[:333_333] + noise(7, 1 << 20) + old[333_333:], (1 << 20) + 2 * BLOCK),
        (lambda old: old[:333_333] + old[1_333_334:], 3 * BLOCK),
        (lambda old: old[2_000_000:] + old[:2_000_000], 4 * BLOCK),
        (lambda old: noise(8, 20 << 20) + old, (20 << 20) + WINDOW // 4),
    ],
    ids=["same", "byte", "append", "half", "before", "inside", "removed", "turned", "beyond-the-window"],
)
def test_an_edit_costs_about_what_it_adds(edit, most):
    old = noise(1, 4_000_001)
    new = edit(old)
    steps = delta(old, new)
    assert rebuild(old, steps) == new
    assert literal(steps) <= most


def test_a_file_of_common_bytes_is_still_found_after_an_insertion():
    rows = b"".join(b"%08d,0.000000,0.000000,none\n" % number for number in range(150_000))
    new = rows[:1_000_000] + b"inserted," * 1000 + rows[1_000_000:]
    steps = delta(rows, new)
    assert rebuild(rows, steps) == new
    assert literal(steps) <= 9000 + 3 * BLOCK


def test_rows_that_come_late_are_waited_for():
    old = noise(3, 20 * BLOCK)
    new = old[: 5 * BLOCK] + b"between" + old[5 * BLOCK :]
    table, rows = Table(len(old), BLOCK), list(rows_of(old, BLOCK))
    matcher = Matcher(lambda at, length: new[at : at + length], len(new), table)
    steps, waits = [], 0
    for step in matcher.steps(0, len(new)):
        if step is NEED:
            waits += 1
            table.add(rows.pop(0))
        elif step is not REST:
            steps.append((step[0], step[1], bytes(step[2])))
    assert waits == 20
    assert rebuild(old, steps) == new
    assert literal(steps) <= 2 * BLOCK


@pytest.mark.parametrize("size", [0, 1, 8191, 1 << 20, 1 << 30, 1 << 34, 1 << 40])
def test_a_table_stays_small_and_its_blocks_large_enough(size):
    block = block_size(size)
    assert block >= SMALLEST
    assert Table(size, block).total * blocks.ROW <= 4 << 20


def test_a_file_too_large_for_a_table_has_none():
    assert block_size(1 << 41) is None


@given(st.binary(min_size=1, max_size=300))
def test_a_needle_stands_where_it_says(block):
    place, needle = needle_of(block)
    assert block[place : place + 12] == needle[: len(block) - place]


@given(st.lists(st.integers(1, 500)), st.integers(0, 6))
def test_tables_cut_anywhere_are_read_back(cuts, blocks_kept):
    kept, old = noise(1, blocks_kept * BLOCK + 17), noise(2, 5 * BLOCK)
    stream = table_head(KEPT, len(kept), BLOCK) + b"".join(rows_of(kept, BLOCK))
    stream += table_head(OLD, len(old), BLOCK) + b"".join(rows_of(old, BLOCK))
    reader = TableReader()
    for cut in cuts:
        reader.feed(stream[:cut])
        stream = stream[cut:]
    reader.feed(stream)
    reader.end()
    assert reader.tables[KEPT].digests == table_of(kept).digests
    assert reader.tables[OLD].needle(3) == table_of(old).needle(3)


@pytest.mark.parametrize(
    "data",
    [
        b"\x03" + bytes(12),
        table_head(OLD, 1 << 62, BLOCK),
        table_head(OLD, 1, 1),
        table_head(OLD, 1 << 63, blocks.LARGEST),
        table_head(OLD, 0, BLOCK) + table_head(OLD, 0, BLOCK),
    ],
)
def test_a_hostile_table_is_refused_before_it_takes_memory(data):
    with pytest.raises(ProtocolError):
        TableReader().feed(data)


def test_a_table_that_ends_early_is_refused():
    reader = TableReader()
    reader.feed(table_head(OLD, BLOCK * 3, BLOCK) + bytes(blocks.ROW))
    with pytest.raises(ProtocolError):
        reader.end()
