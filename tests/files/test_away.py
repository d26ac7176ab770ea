"""List, fetch and store: the user's own paths, anywhere; a file is replaced in one step or not at all."""

import hashlib
import os

import pytest
from plain import read, write

from afield import errors
from afield.testing.files import FilesWorker
from afield.wire.records import encode_record


def rows(parts):
    return {row[0]: row[1:] for part in parts for row in part}


def test_list_tells_kinds_sizes_and_targets_to_a_depth(worker, root):
    os.makedirs(root + b"/d/e")
    write(root + b"/d/f", b"123")
    os.chmod(root + b"/d/f", 0o750)
    os.symlink(b"f", root + b"/d/l")
    found = rows(worker.parts("list", path=b"d"))
    assert set(found) == {b"e", b"f", b"l"}
    assert found[b"f"][:3] == ["f", True, 3]
    assert found[b"f"][4] == 0o750
    assert found[b"l"][5] == b"f"
    assert set(rows(worker.parts("list", path=root, depth=3))) >= {b"d", b"d/e", b"d/f"}
    assert set(rows(worker.parts("list", path=b"d/f"))) == {b"f"}
    with pytest.raises(errors.NoSuchFile):
        worker.parts("list", path=b"none")


def test_list_works_without_a_root_and_knows_the_home_folder(folder):
    write(folder + b"/f")
    with FilesWorker(env={"HOME": os.fsdecode(folder)}) as worker:
        for path in (b"~", b"~/", b"", folder):
            assert set(rows(worker.parts("list", path=path))) == {b"f"}


def test_fetch_gives_the_bytes_from_an_offset(worker, root):
    content = os.urandom(700000)
    write(root + b"/f", content)
    answer = worker.wait(worker.send("fetch", path=root + b"/f"))
    assert b"".join(answer.parts) == content
    assert answer.result["digest"] == hashlib.sha256(content).digest()
    answer = worker.wait(worker.send("fetch", path=b"f", offset=699990))
    assert b"".join(answer.parts) == content[699990:]
    for path, kind in ((b"none", errors.NoSuchFile), (root, errors.WrongKind)):
        with pytest.raises(kind):
            worker.request("fetch", path=path)


def test_store_puts_the_whole_file_or_nothing(worker, root, folder):
    number = worker.send("store", path=folder + b"/new", executable=True, mtime_ns=10**18)
    worker.send_data(number, [b"abc", b"def"])
    stat = worker.wait(number).result["stat"]
    found = os.stat(folder + b"/new")
    assert read(folder + b"/new") == b"abcdef"
    assert stat == [6, 10**18, found.st_ino, found.st_ctime_ns]
    assert found.st_mode & 0o100
    number = worker.send("store", path=folder + b"/new")
    worker.cancel(number)
    with pytest.raises(errors.Cancelled):
        worker.wait(number)
    assert read(folder + b"/new") == b"abcdef"
    assert sorted(os.listdir(folder)) == [b"new", b"root"]


def test_store_below_the_root_keeps_what_stood_there(worker, root):
    write(root + b"/f", b"old")
    number = worker.send("store", path=b"f")
    worker.send_data(number, [b"new"])
    worker.wait(number)
    assert read(root + b"/f") == b"new"
    assert [event[2:4] for event in worker.request("history")] == [[b"f", "replaced"]]


def test_store_follows_a_link_as_cp_does(worker, root, folder):
    write(folder + b"/target", b"old")
    os.symlink(folder + b"/target", root + b"/link")
    number = worker.send("store", path=b"link")
    worker.send_data(number, [b"new"])
    worker.wait(number)
    assert os.path.islink(root + b"/link")
    assert read(folder + b"/target") == b"new"


def test_store_where_it_cannot_be_is_an_error(worker, root, folder):
    for path, kind in ((root, errors.WrongKind), (folder + b"/none/f", errors.NoSuchFile), (b"a\0b", errors.BadPath)):
        with pytest.raises(kind):
            worker.request("store", path=path)


def test_a_store_below_a_watched_root_shows_no_half_file(worker, root):
    worker.request("watch", on=True)
    number = worker.send("store", path=b"f")
    worker.write(encode_record([number, "data", b"half"]))
    worker.request("barrier")
    assert worker.events == []
    worker.send_data(number, [b" and half"])
    worker.wait(number)
    assert worker.wait_event("changed")["paths"] == [b"f"]
