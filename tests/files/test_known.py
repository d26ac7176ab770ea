"""A scan that is told what its asker knows tells only of the rest, and may begin to watch."""

import os

import pytest

from afield.files.scan import listing_digest
from afield.tree.entries import decode_entries
from afield.tree.listing import decode_same, encode_known


def write(path, data=b"x"):
    with open(path, "wb") as file:
        file.write(data)


def digests(root):
    """[(folder, digest)] as they are now, without what is never seen."""
    found = []
    for top, folders, files in os.walk(root):
        inside = os.path.relpath(top, root)
        names = sorted(name for name in folders + files if name != b".afield")
        if b".afield" not in top:
            path = b"" if inside == b"." else inside
            found.append((path, listing_digest([(name, os.lstat(os.path.join(top, name))) for name in names])))
    return found


@pytest.fixture
def tree(root, worker):
    for name in (b"a", b"a/b", b"c"):
        os.mkdir(root + b"/" + name)
    for name in (b"f", b"a/f", b"a/b/f", b"c/f"):
        write(root + b"/" + name)
    os.symlink(b"f", root + b"/link")
    os.chmod(root + b"/c/f", 0o755)
    return root


def scan(worker, known, **args):
    number = worker.send("scan", path=b"", known=True, **args)
    worker.send_data(number, [encode_known(known)])
    answer = worker.wait(number)
    found = {path: entry for part in answer.parts for path, entry in decode_entries(part)}
    return found, dict(zip([path for path, _ in known], decode_same(answer.result["same"], known), strict=True)), answer


def test_nothing_is_told_of_what_is_known(tree, worker):
    found, same, _ = scan(worker, digests(tree))
    assert found == {}
    assert same == {b"": True, b"a": True, b"a/b": True, b"c": True}


def test_a_folder_with_a_change_is_told_whole_and_the_others_not(tree, worker):
    known = digests(tree)
    write(tree + b"/a/f", b"other")
    write(tree + b"/a/new")
    found, same, _ = scan(worker, known)
    assert sorted(found) == [b"a/b", b"a/f", b"a/new"]
    assert same == {b"": True, b"a": False, b"a/b": True, b"c": True}


def test_a_folder_that_is_gone_is_not_the_same(tree, worker):
    known = digests(tree)
    os.unlink(tree + b"/c/f")
    os.rmdir(tree + b"/c")
    found, same, _ = scan(worker, known)
    assert same == {b"": False, b"a": True, b"a/b": True, b"c": False}
    assert sorted(found) == [b"a", b"f", b"link"]


def test_a_folder_that_became_an_environment_is_dropped(tree, worker):
    known = digests(tree)
    write(tree + b"/c/pyvenv.cfg")
    found, same, answer = scan(worker, known)
    assert (found, same[b"c"], answer.result["dropped"]) == ({}, False, [b"c"])


def test_a_file_that_is_ignored_now_is_not_the_same(tree, worker):
    known = digests(tree)
    write(tree + b"/a/.gitignore", b"f\n")
    found, same, _ = scan(worker, known)
    assert same == {b"": True, b"a": False, b"a/b": False, b"c": True}
    assert sorted(found) == [b"a/.gitignore", b"a/b"]


def test_a_scan_that_watches_misses_nothing_afterwards(tree, worker):
    _, _, answer = scan(worker, digests(tree), watch=True)
    assert answer.result["mode"] in ("inotify", "both")
    assert answer.result["limited"] is None
    write(tree + b"/a/b/f", b"later")
    assert decode_entries(worker.wait_event("changed")["entries"])[0][0] == b"a/b/f"


def test_bad_knowledge_is_an_error_and_the_worker_goes_on(tree, worker):
    number = worker.send("scan", path=b"", known=True)
    worker.send_data(number, [b"garbage"])
    with pytest.raises(Exception, match="deflated"):
        worker.wait(number)
    assert worker.request("scan", path=b"")["count"] == 8
