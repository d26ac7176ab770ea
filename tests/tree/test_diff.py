"""Two looks at one tree: what changed, and what is still known."""

from hypothesis import given
from hypothesis import strategies as st

from afield.tree.diff import changed, recall
from afield.tree.entries import FOLDER, UNKNOWN, UNKNOWN_EXECUTABLE, Entry, Node, Stat

A = b"A" * 32
OLD, NEW = Stat(1, 1, 1, 1), Stat(1, 2, 1, 2)
KNOWN = Entry(Node("f", False, A), OLD)


def test_an_equal_stat_says_that_nothing_changed():
    assert changed({b"a": KNOWN}, {b"a": Entry(UNKNOWN, OLD)}) == []


def test_a_new_stat_a_new_bit_and_a_new_kind_are_changes():
    for entry in (
        Entry(UNKNOWN, NEW),
        Entry(UNKNOWN_EXECUTABLE, OLD),
        Entry(FOLDER, OLD),
        Entry(Node("l", False, b"x"), OLD),
    ):
        assert changed({b"a": KNOWN}, {b"a": entry}) == [b"a"]


def test_the_stat_of_a_folder_or_a_link_says_nothing():
    for node in (FOLDER, Node("l", False, b"x")):
        assert changed({b"a": Entry(node, OLD)}, {b"a": Entry(node, NEW)}) == []
    assert changed({b"a": Entry(Node("l", False, b"x"), OLD)}, {b"a": Entry(Node("l", False, b"y"), OLD)}) == [b"a"]


def test_what_came_and_what_went_are_told_in_order():
    assert changed({b"b": KNOWN}, {b"c": KNOWN, b"a": KNOWN}) == [b"a", b"b", b"c"]


def test_contents_are_recalled_where_the_stat_is_the_same():
    found = recall(
        {b"a": KNOWN, b"b": KNOWN, b"d": KNOWN},
        {
            b"a": Entry(UNKNOWN_EXECUTABLE, OLD),
            b"b": Entry(UNKNOWN, NEW),
            b"c": Entry(UNKNOWN, OLD),
            b"d": Entry(FOLDER, OLD),
        },
    )
    assert found[b"a"] == Entry(Node("f", True, A), OLD)
    assert [found[path].node.content for path in (b"b", b"c", b"d")] == [None, None, None]


entries = st.builds(
    Entry, st.sampled_from([FOLDER, UNKNOWN, KNOWN.node, Node("l", False, b"x")]), st.sampled_from([OLD, NEW])
)
trees = st.dictionaries(st.sampled_from([b"a", b"b", b"c"]), entries)


@given(trees, trees)
def test_what_is_not_told_to_be_changed_is_the_same_node_once_recalled(old, new):
    told = changed(old, new)
    found = recall(old, new)
    assert found.keys() == new.keys()
    for path in {*old, *new} - {*told}:
        before, after = old[path].node, found[path].node
        assert before == after or (before.kind == "f" and before.content is None) or after.content == before.content


@given(trees)
def test_a_second_look_at_the_same_finds_nothing(tree):
    assert changed(tree, dict(tree)) == []
