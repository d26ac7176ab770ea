"""Any tree becomes any other by ops, for trees that Hypothesis makes up."""

import os
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afield.testing.files import FilesWorker, op, put

names = st.sampled_from([b"a", b"b", b"A", b"\xff", b"n\n"])
leaves = st.one_of(
    st.tuples(st.just("f"), st.binary(max_size=20), st.booleans()),
    st.tuples(st.just("l"), st.binary(min_size=1, max_size=5).map(lambda t: t.replace(b"\0", b"x"))),
)
trees = st.recursive(
    st.dictionaries(names, leaves, max_size=4),
    lambda inner: st.dictionaries(names, st.one_of(leaves, inner), max_size=4),
    max_leaves=12,
)


def flat(tree, above=b""):
    found = {}
    for name, node in tree.items():
        path = above + name
        if isinstance(node, dict):
            found[path] = ("d",)
            found.update(flat(node, path + b"/"))
        else:
            found[path] = node
    return found


def look(root):
    found = {}
    for where, folders, files in os.walk(root):
        if where == root:
            folders.remove(b".afield")
        for name in folders + files:
            path = os.path.join(where, name)
            below = os.path.relpath(path, root)
            if os.path.islink(path):
                found[below] = ("l", os.readlink(path))
            elif os.path.isdir(path):
                found[below] = ("d",)
            else:
                with open(path, "rb") as file:
                    found[below] = ("f", file.read(), bool(os.stat(path).st_mode & 0o100))
    return found


def plan(now, wanted, seen):
    """Removals of other kinds first, deepest first; then what is new or other, parents first; then removals."""
    ops, contents = [], []
    gone = [path for path in now if path not in wanted or (now[path][0] == "d") != (wanted[path][0] == "d")]
    ops.extend(op("remove", path, seen[path]) for path in sorted(gone, reverse=True))
    for path in sorted(wanted):
        node, was = wanted[path], None if path in gone else seen.get(path)
        if node == now.get(path) and was is not None:
            continue
        if node[0] == "d":
            ops.append(op("dir", path))
        elif node[0] == "l":
            ops.append(op("link", path, was, target=node[1]))
        else:
            ops.append(put(path, node[1], was, executable=node[2]))
            contents.append(node[1])
    return ops, contents


@pytest.fixture(scope="module")
def shared():
    with FilesWorker() as worker:
        yield worker


@pytest.mark.parametrize("columns", [False, True], ids=["maps", "columns"])
@settings(max_examples=40)
@given(data=st.data())
def test_ops_make_one_tree_of_another(shared, columns, data):
    with tempfile.TemporaryDirectory() as name:
        worker, root = shared, os.fsencode(name) + b"/root"
        worker.open(root)
        for _ in range(2):
            wanted = flat(data.draw(trees))
            seen = worker.tree()
            ops, contents = plan(look(root), wanted, seen)
            found = worker.apply(ops, contents, columns=columns)
            assert {item[0] for item in found} <= {"ok"}
            assert look(root) == wanted
            assert set(worker.tree()) == set(wanted)
