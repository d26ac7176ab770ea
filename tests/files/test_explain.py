"""Why a path is left out: the rule, its file and its line; what is left out in all, and how big it is."""

import os

import pytest

from afield.errors import BadPath


@pytest.fixture
def project(root):
    os.makedirs(root + b"/src/gen")
    os.makedirs(root + b"/data/raw")
    os.makedirs(root + b"/env/lib")
    for path, text in (
        (b".gitignore", b"# data\n*.log\ndata/\n!keep.log\n"),
        (b"src/.afieldignore", b"gen/\n"),
        (b"env/pyvenv.cfg", b""),
        (b"env/lib/x", b"12345"),
        (b"data/raw/big", b"x" * 5000),
        (b"src/gen/y", b"yy"),
        (b"a.log", b"log"),
        (b"keep.log", b"log"),
        (b"main.pyc", b"c"),
        (b"main.py", b"p"),
    ):
        with open(root + b"/" + path, "wb") as file:
            file.write(text)
    return root


@pytest.mark.parametrize(
    ("path", "ignored", "rule", "source", "line", "at"),
    [
        (b"a.log", True, b"*.log", ".gitignore", 2, b"a.log"),
        (b"keep.log", False, b"!keep.log", ".gitignore", 4, b"keep.log"),
        (b"data/raw/big", True, b"data/", ".gitignore", 3, b"data"),
        (b"data/none", True, b"data/", ".gitignore", 3, b"data"),
        (b"src/gen/y", True, b"gen/", "src/.afieldignore", 1, b"src/gen"),
        (b"main.py", False, None, "", 0, b"main.py"),
        (b"absent.py", False, None, "", 0, b"absent.py"),
        (b"extra.tmp", True, b"*.tmp", "settings", 1, b"extra.tmp"),
    ],
)
@pytest.mark.parametrize("is_open", [True, False])
def test_the_rule_that_decides_is_named(worker, project, is_open, path, ignored, rule, source, line, at):
    if is_open:
        worker.open(project, ignore=["*.tmp"])
        found = worker.request("explain", path=path)
    else:
        found = worker.request("explain", path=path, root=project, ignore=["*.tmp"])
    assert (found["ignored"], found["rule"], found["source"], found["line"], found["at"]) == (
        ignored,
        rule,
        source,
        line,
        at,
    )


def test_reasons_that_are_no_rule_of_a_file_are_told(worker, project):
    os.mkfifo(project + b"/pipe")
    for path, word in (
        (b".afield/history", "afield's own"),
        (b"env/lib/x", "virtual environment"),
        (b"main.pyc", "built-in: compiled"),
        (b".git/HEAD", "git itself"),
        (b"pipe", "neither a file"),
    ):
        found = worker.request("explain", path=path, root=project, ignore=[])
        assert found["ignored"], path
        assert word in found["source"]


def test_a_path_that_leaves_the_root_is_refused(worker, project):
    for path in (b"../x", b"/etc", b""):
        with pytest.raises(BadPath):
            worker.request("explain", path=path, root=project, ignore=[])


def test_the_biggest_come_first_with_their_rule(worker, project):
    number = worker.send("left-out", root=project, ignore=[])
    answer = worker.wait(number)
    rows = [row for part in answer.parts for row in part]
    assert rows[0] == [b"data", 1, 5000, b"data/", ".gitignore", 3]
    assert {row[0] for row in rows} == {b"data", b"env", b"src/gen", b"a.log", b"main.pyc"}
    assert answer.result == {"count": 5, "files": 6, "bytes": 5000 + 5 + 2 + 3 + 1, "at_least": False}
