"""Packed trees behave as plain dicts do, whatever is done to them and to the rows under them."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from afield.sync.packed import Row, Rows, SideTree, agree
from afield.tree.entries import FOLDER, OTHER, UNKNOWN, UNKNOWN_EXECUTABLE, Entry, Node, Stat

names = st.sampled_from([b"a", b"b", b"a-", b"a/x", b"a/x/y", b"a/y", b"a0", b"b/\xff"])
stats = st.builds(Stat, st.integers(0, 2**64 - 1), st.integers(-9, 9), st.integers(0, 3), st.integers(0, 3))
NONE = Stat(0, 0, 0, 0)
files = st.builds(Node, st.just("f"), st.booleans(), st.sampled_from([bytes(32), b"x" * 32]))
links = st.builds(Node, st.just("l"), st.just(False), st.binary(min_size=1, max_size=3))
unknown = st.sampled_from([UNKNOWN, UNKNOWN_EXECUTABLE, OTHER])
entries = st.builds(Entry, st.one_of(files, links, unknown), stats) | st.just(Entry(FOLDER, NONE))
rows = st.builds(Row, st.one_of(files, links), stats, stats) | st.just(Row(FOLDER, NONE, NONE))
steps = st.one_of(
    st.tuples(st.just("set"), st.integers(0, 1), names, entries),
    st.tuples(st.just("delete"), st.integers(0, 1), names),
    st.tuples(st.just("agree"), st.dictionaries(names, rows, max_size=3)),
    st.tuples(st.just("gone"), names),
    st.tuples(st.just("below"), names),
    st.tuples(
        st.just("detach"),
    ),
)


def below(tree, path):
    return sorted(found for found in tree if found.startswith(path + b"/"))


@given(st.dictionaries(names, rows), st.lists(steps, max_size=12))
def test_trees_on_rows_are_plain_dicts(first, todo):
    base = Rows()
    base.update(first)
    plain_base = dict(first)
    trees = [SideTree(0, base), SideTree(1, base)]
    models = [{path: Entry(row.node, row[side + 1]) for path, row in first.items()} for side in (0, 1)]
    for step in todo:
        if step[0] == "set":
            trees[step[1]][step[2]] = step[3]
            models[step[1]][step[2]] = step[3]
        elif step[0] == "delete":
            assert trees[step[1]].pop(step[2], None) == models[step[1]].pop(step[2], None)
        elif step[0] == "agree":
            agree(base, trees, step[1], [])
            plain_base.update(step[1])
        elif step[0] == "gone" and step[1] in plain_base:
            agree(base, trees, {}, [step[1]])
            del plain_base[step[1]]
        elif step[0] == "below":
            assert [sorted(tree.below(step[1])) for tree in trees] == [below(model, step[1]) for model in models]
            assert base.below(step[1]) == below(plain_base, step[1])
        elif step[0] == "detach":
            base, plain_base = Rows(), {}
            for tree in trees:
                tree.detach(base)
        assert base == plain_base
        for tree, model in zip(trees, models, strict=True):
            assert dict(tree) == model
            assert len(tree) == len(model)
            assert all(tree.node(path) == (model[path].node if path in model else None) for path in [*model, b"none"])


@given(st.dictionaries(names, rows), st.dictionaries(names, entries))
def test_a_reset_path_is_what_was_agreed_on(first, changes):
    base = Rows()
    base.update(first)
    tree = SideTree(0, base)
    tree.update(changes)
    for path in changes:
        before = tree.get(path)
        assert tree.reset(path) == (before != (Entry(first[path].node, first[path].here) if path in first else None))
    assert dict(tree) == {path: Entry(row.node, row.here) for path, row in first.items()}
    assert tree.own == {}
    assert len(tree) == len(first)


def test_a_tree_that_equals_its_rows_holds_nothing():
    base = Rows()
    base[b"a"] = Row(Node("f", True, bytes(32)), Stat(1, 2, 3, 4), Stat(5, 6, 7, 8))
    tree = SideTree(1, base)
    tree[b"a"] = Entry(Node("f", True, bytes(32)), Stat(5, 6, 7, 9))
    assert tree.own
    tree[b"a"] = Entry(Node("f", True, bytes(32)), Stat(5, 6, 7, 8))
    assert not tree.own


@given(st.dictionaries(names, rows), st.sets(st.integers(0, 2**64 - 1)))
def test_files_are_found_by_their_size(agreed, sizes):
    # Nothing lies below a file.
    files_there = tuple(path + b"/" for path, row in agreed.items() if row.node.kind != "d")
    assume(not any(path.startswith(files_there) for path in agreed))
    made = Rows()
    agree(made, (SideTree(0, made), SideTree(1, made)), agreed, [])
    sizes |= {row.here.size for row in list(agreed.values())[:2]}
    found = {(path, key) for key, paths in made.of_sizes(sizes).items() for path in paths}
    assert found == {
        (path, (row.here.size, row.node.content))
        for path, row in agreed.items()
        if row.node.kind == "f" and row.here.size in sizes
    }
