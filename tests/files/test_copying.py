"""Op copy: a file made from one that is there, only when it still is that content, and never from where nobody may read."""

import hashlib
import os

import pytest
from plain import read, write

from afield.testing.files import FilesWorker, op

CONTENT = b"some content" * 1000


def copy(path, origin, content=CONTENT, **more):
    wanted = {"size": len(content), "executable": False, "mtime_ns": 10**18, "digest": hashlib.sha256(content).digest()}
    return op("copy", path, **{"from": origin}, **{**wanted, **more})


@pytest.fixture
def worker(root):
    os.makedirs(root, exist_ok=True)
    write(root + b"/origin", CONTENT)
    with FilesWorker() as made:
        made.open(root)
        yield made


@pytest.mark.parametrize("columns", [False, True])
def test_a_copy_is_a_file_of_its_own_with_its_own_time_and_mode(worker, root, columns):
    found = worker.apply([copy(b"new", b"origin", executable=True), copy(b"second", b"origin")], columns=columns)
    assert [item[0] for item in found] == ["ok", "ok"]
    stat = os.stat(root + b"/new")
    assert (stat.st_mtime_ns, stat.st_nlink, bool(stat.st_mode & 0o100)) == (10**18, 1, True)
    assert read(root + b"/new") == read(root + b"/second") == CONTENT
    assert tuple(found[0][1]) == tuple(worker.tree()[b"new"].stat)


def test_a_copy_goes_into_a_folder_that_comes_with_it(worker, root):
    found = worker.apply([op("dir", b"d"), op("dir", b"d/e"), copy(b"d/e/f", b"origin"), copy(b"d/g", b"origin")])
    assert [item[0] for item in found] == ["ok"] * 4
    assert read(root + b"/d/e/f") == read(root + b"/d/g") == CONTENT


@pytest.mark.parametrize("now", [CONTENT[:-1] + b"X", CONTENT + b"more", b""])
def test_what_changed_since_is_not_copied(worker, root, now):
    write(root + b"/origin", now)
    ((status, text),) = worker.apply([copy(b"new", b"origin")])
    assert (status, "not what was to be copied" in text) == ("refused", True)
    assert sorted(os.listdir(root)) == [b".afield", b"origin"]
    (own,) = os.listdir(root + b"/.afield/staging")
    assert os.listdir(root + b"/.afield/staging/" + own) == []


def test_nothing_is_copied_over_or_from_elsewhere(worker, root, folder):
    write(folder + b"/outside", CONTENT)
    os.symlink(folder + b"/outside", root + b"/link")
    os.mkdir(root + b"/.git")
    write(root + b"/.git/config", CONTENT)
    write(root + b"/stands", b"mine")
    origins = [b"link", b".git/config", b".afield/identity", b"gone", b".git"]
    ops = [copy(b"n%d" % place, origin) for place, origin in enumerate(origins)]
    found = worker.apply([*ops, copy(b"stands", b"origin"), copy(b".git/hook", b"origin")])
    assert all(item[0] in ("refused", "error") for item in found), found
    assert read(root + b"/stands") == b"mine"
    assert sorted(os.listdir(root)) == [b".afield", b".git", b"link", b"origin", b"stands"]


def test_holes_stay_holes(worker, root):
    size = 8 << 20
    with open(root + b"/sparse", "wb") as file:
        file.truncate(size)
        file.write(b"head")
    content = b"head".ljust(size, b"\0")
    assert worker.apply([copy(b"new", b"sparse", content)])[0][0] == "ok"
    assert read(root + b"/new") == content
    assert os.stat(root + b"/new").st_blocks * 512 < 1 << 20
