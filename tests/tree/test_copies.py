"""Copies among the ops of a plan: only new files of known content, only from what no op changes."""

from afield.tree.plan import with_copies

DIGEST = b"d" * 32


def put(path, was=None, digest=DIGEST):
    more = {"size": 3, "mtime_ns": 5, "executable": False, "digest": digest}
    return {"op": "put", "path": path, "was": was, "was_kind": None if was is None else "f", **more}


def test_a_new_file_becomes_a_copy_and_keeps_its_time_and_mode():
    (op,) = with_copies([put(b"new")], {b"new": b"old"})
    assert op == {**put(b"new"), "op": "copy", "from": b"old"}


def test_what_is_no_new_file_of_known_content_stays():
    ops = [put(b"edited", was=[1, 2, 3, 4]), put(b"unknown", digest=None), {"op": "dir", "path": b"d", "was": None}]
    assert with_copies(ops, {op["path"]: b"old" for op in ops}) == ops
    assert with_copies([put(b"new")], {}) == [put(b"new")]


def test_nothing_is_copied_from_what_another_op_changes():
    ops = [put(b"new"), {"op": "remove", "path": b"gone", "was": [1, 2, 3, 4], "was_kind": "f"}]
    assert with_copies(ops, {b"new": b"gone"}) == ops
