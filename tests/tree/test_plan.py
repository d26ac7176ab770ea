"""Plans: changes become operations, and files that only changed their place are moved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.tree.entries import FOLDER, Entry, Node, Stat
from afield.tree.plan import ops_for, with_moves
from afield.tree.reconcile import reconcile

A, B, EMPTY = b"A" * 32, b"B" * 32, b"E" * 32


def file(content, executable=False):
    return Node("f", executable, content)


def entries(tree, shift=0):
    """Entries of a tree; a content has a size of its own, EMPTY has none."""
    sizes = {A: 10, B: 20, EMPTY: 0}
    return {
        path: Entry(node, Stat(sizes.get(node.content, 0), 1000 + shift, number + shift, 5))
        for number, (path, node) in enumerate(sorted(tree.items()))
    }


def plan(here, there, base=None):
    """Operations for there, with what stands there."""
    outcome = reconcile(there if base is None else base, here, there, "push-exact")
    target = entries(there, shift=50)
    return ops_for(outcome.to_there, target, entries(here)), target


def brief(ops):
    return [(op["op"], op["path"], op.get("to")) for op in ops]


def test_each_kind_of_change_becomes_its_operation():
    here = {
        b"d": FOLDER,
        b"d/f": file(A, executable=True),
        b"l": Node("l", False, b"d/f"),
        b"m": file(B, executable=True),
    }
    there = {b"m": file(B), b"old": file(A), b"p": FOLDER, b"d": Node("l", False, b"x")}
    ops, target = plan(here, there)
    assert brief(ops) == [
        ("dir", b"d", None),
        ("put", b"d/f", None),
        ("link", b"l", None),
        ("mode", b"m", None),
        ("remove", b"p", None),
        ("remove", b"old", None),
    ]
    assert ops[0]["was_kind"] == "l"
    assert ops[1] == {
        "op": "put",
        "path": b"d/f",
        "was": None,
        "was_kind": None,
        "size": 10,
        "mtime_ns": 1000,
        "executable": True,
        "digest": A,
    }
    assert ops[2]["target"] == b"d/f"
    assert ops[3]["executable"] is True
    assert ops[3]["was"] == list(target[b"m"].stat)
    assert ops[5]["was_kind"] == "f"


def test_an_unknown_content_is_put_even_over_another_unknown_one():
    ops, _ = plan({b"a": file(None, executable=True)}, {b"a": file(None)})
    assert brief(ops) == [("put", b"a", None)]
    assert ops[0]["digest"] is None


def test_a_file_without_a_source_is_a_fault_of_the_caller():
    changes = reconcile({}, {b"a": file(A)}, {}, "push").to_there
    with pytest.raises(KeyError):
        ops_for(changes, {}, {})


def test_a_renamed_file_is_moved_and_not_sent():
    ops, target = plan({b"new": file(A)}, {b"old": file(A)})
    assert with_moves(ops, target) == [
        {"op": "move", "path": b"old", "was": list(target[b"old"].stat), "was_kind": "f", "to": b"new"}
    ]


def test_a_renamed_folder_moves_its_files_between_making_and_removing_folders():
    here = {b"new": FOLDER, b"new/a": file(A), b"new/b": file(B)}
    there = {b"old": FOLDER, b"old/a": file(A), b"old/b": file(B)}
    assert brief(with_moves(*plan(here, there))) == [
        ("dir", b"new", None),
        ("move", b"old/a", b"new/a"),
        ("move", b"old/b", b"new/b"),
        ("remove", b"old", None),
    ]


def test_of_equal_files_the_one_of_the_same_name_is_moved():
    here = {b"n": FOLDER, b"n/x": file(A), b"n/y": file(A)}
    there = {b"a": file(A), b"y": file(A), b"z": file(A)}
    moves = brief(with_moves(*plan(here, there)))
    assert moves == [("dir", b"n", None), ("move", b"a", b"n/x"), ("move", b"y", b"n/y"), ("remove", b"z", None)]


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ({b"new": file(EMPTY)}, {b"old": file(EMPTY)}),
        ({b"new": file(None)}, {b"old": file(None)}),
        ({b"new": file(A)}, {b"old": file(A, executable=True)}),
        ({b"new": file(A)}, {b"old": file(B)}),
        ({b"new": file(A)}, {b"new": file(B), b"old": file(A)}),
        ({b"new": file(A)}, {b"new": FOLDER, b"new/old": file(A)}),
    ],
)
def test_what_is_not_the_same_or_makes_room_is_not_moved(here, there):
    ops, target = plan(here, there)
    assert with_moves(ops, target) == ops


names = st.sampled_from([b"a", b"b", b"c"])
contents = st.sampled_from([A, B, EMPTY])


@st.composite
def trees(draw):
    tree = {}
    for path in draw(st.lists(st.lists(names, min_size=1, max_size=3).map(b"/".join), max_size=6)):
        above = path.split(b"/")[:-1]
        folders = [b"/".join(above[: count + 1]) for count in range(len(above))]
        if path not in tree and all(tree.get(folder, FOLDER) == FOLDER for folder in folders):
            tree.update(dict.fromkeys(folders, FOLDER))
            tree[path] = file(draw(contents), draw(st.booleans()))
    return tree


def carry_out(tree, ops):
    """Do the operations one after the other, refusing what the worker would refuse."""
    tree = dict(tree)
    for op in ops:
        old = tree.get(op["path"])
        assert (old.kind if old else None) == op["was_kind"]
        if op["op"] == "remove" or (old == FOLDER and op["op"] != "dir"):
            assert not any(path.startswith(op["path"] + b"/") for path in tree)
            del tree[op["path"]]
        if op["op"] == "move":
            assert op["to"] not in tree
            tree[op["to"]] = tree.pop(op["path"])
        elif op["op"] != "remove":
            tree[op["path"]] = FOLDER if op["op"] == "dir" else file(op.get("digest") or old.content, op["executable"])
        above = op.get("to", op["path"]).rpartition(b"/")[0]
        assert op["op"] == "remove" or not above or tree[above] == FOLDER
    return tree


@given(trees(), trees())
def test_a_plan_with_moves_ends_where_the_plan_without_ends(here, there):
    ops, target = plan(here, there)
    assert carry_out(there, ops) == here
    moving = with_moves(ops, target)
    assert carry_out(there, moving) == here
    assert len(moving) + sum(op["op"] == "move" for op in moving) == len(ops)
