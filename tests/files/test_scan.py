"""A scan tells what stands there, leaves out what is ignored, and never takes the unreadable for gone."""

import os
import shutil
import subprocess
import tempfile

import pytest

from afield import errors
from afield.testing.files import FilesWorker, entries, op, put


def write(path, content=b""):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def test_entries_say_kind_mode_target_and_stat(worker, root):
    write(root + b"/d/f", b"hello")
    os.chmod(root + b"/d/f", 0o755)
    os.symlink(b"d/f", root + b"/l")
    tree = worker.tree()
    assert set(tree) == {b"d", b"d/f", b"l"}
    found = os.lstat(root + b"/d/f")
    assert tree[b"d/f"].node == ("f", True, None)
    assert tree[b"d/f"].stat == (5, found.st_mtime_ns, found.st_ino, found.st_ctime_ns)
    assert tree[b"l"].node == ("l", False, b"d/f")
    assert tree[b"d"].node == ("d", False, None)


def test_folders_come_before_what_is_in_them(worker, root):
    for place in range(300):
        write(root + b"/a/%d/b/f" % (place % 7) + b"%d" % place)
    seen = {b""}
    for path in worker.tree():
        assert path.rpartition(b"/")[0] in seen
        seen.add(path)


def test_many_entries_come_in_parts_and_none_is_lost(worker, root):
    os.mkdir(root + b"/many")
    for place in range(9000):
        os.close(os.open(root + b"/many/%d" % place, os.O_CREAT | os.O_WRONLY))
    number = worker.send("scan", path=b"")
    answer = worker.wait(number)
    assert len(answer.parts) > 1
    assert len(entries(answer.parts)) == answer.result["count"] == 9001


def test_long_names_and_targets_fit_their_records(worker, root):
    os.mkdir(root + b"/long")
    for place in range(600):
        os.symlink(b"t" * 4000, root + b"/long/" + b"%0250d" % place)
    assert len(worker.tree()) == 601


def test_nested_ignore_files_environments_and_noise_are_left_out_and_measured(worker, root):
    write(root + b"/.gitignore", b"*.log\n/data/\n")
    write(root + b"/keep.py")
    write(root + b"/x.log", b"12345")
    write(root + b"/data/a/big", b"x" * 1000)
    write(root + b"/sub/.gitignore", b"!x.log\nsecret\n")
    write(root + b"/sub/x.log")
    write(root + b"/sub/secret")
    write(root + b"/sub/.afieldignore", b"local.*\n")
    write(root + b"/sub/local.txt")
    write(root + b"/env38/pyvenv.cfg")
    write(root + b"/env38/bin/python", b"x" * 10)
    write(root + b"/__pycache__/m.pyc")
    number = worker.send("scan", path=b"")
    answer = worker.wait(number)
    assert set(entries(answer.parts)) == {
        b".gitignore",
        b"keep.py",
        b"sub",
        b"sub/.gitignore",
        b"sub/x.log",
        b"sub/.afieldignore",
    }
    ignored = answer.result["ignored"]
    assert ignored["largest"][0] == [b"data", 1000]
    assert ignored["bytes"] >= 1015
    assert ignored["files"] >= 6
    assert ignored["at_least"] is False


def test_rules_of_the_settings_count_too(worker, root):
    worker.open(root, ignore=["*.bin", "!keep.bin"])
    write(root + b"/a.bin")
    write(root + b"/keep.bin")
    assert set(worker.tree()) == {b"keep.bin"}


def test_rescan_tells_present_absent_and_ignored_apart(worker, root):
    write(root + b"/.gitignore", b"hidden/\ngone/\n*.log\n")
    write(root + b"/d/a")
    write(root + b"/hidden/x")
    write(root + b"/f")
    number = worker.send(
        "rescan", paths=[b"d", b"f", b"none", b"hidden", b"hidden/x", b"f/below", b"d/none", b"gone", b"no/x.log"]
    )
    answer = worker.wait(number)
    assert set(entries(answer.parts)) == {b"d", b"d/a", b"f"}
    assert answer.result["absent"] == [b"none", b"f/below", b"d/none"]
    assert answer.result["ignored"] == [b"hidden", b"hidden/x", b"gone", b"no/x.log"]


def test_a_scan_of_a_subfolder(worker, root):
    write(root + b"/a/b/c")
    write(root + b"/other")
    assert set(worker.tree(b"a/b")) == {b"a/b", b"a/b/c"}
    with pytest.raises(errors.NoSuchFile):
        worker.tree(b"none")
    with pytest.raises(errors.BadPath):
        worker.tree(b"../x")


DROPPED = """
import os, sys
sys.path.insert(0, %r)
from afield.files.worker import main
os.environ["HOME"] = "/nonexistent"
os.setgid(65534)
os.setuid(65534)
main(0, 1)
"""


@pytest.fixture
def foreign():
    """A folder in the open part of the disk that belongs to another user."""
    if os.geteuid() != 0:
        pytest.skip("another user has to look, root reads everything: needs root")
    path = tempfile.mkdtemp(prefix="afield-foreign-", dir="/tmp")
    os.chmod(path, 0o755)
    yield os.fsencode(path)
    shutil.rmtree(path)


def test_what_cannot_be_read_is_an_error_and_still_an_entry(foreign):
    root = foreign + b"/root"
    write(root + b"/closed/f")
    write(root + b"/open/f")
    for where, _, _ in os.walk(root):
        os.chown(where, 65534, 65534)
    os.chown(root + b"/closed", 0, 0)
    os.chmod(root + b"/closed", 0o700)
    with FilesWorker(boot=DROPPED) as worker:
        worker.open(root)
        answer = worker.wait(worker.send("scan", path=b""))
        assert set(entries(answer.parts)) == {b"closed", b"open", b"open/f"}
        assert [row[0] for row in answer.result["errors"]] == [b"closed"]
        found = worker.wait(worker.send("rescan", paths=[b"closed/f"])).result
        assert found["absent"] == []
        assert [row[0] for row in found["errors"]] == [b"closed/f"]


def test_a_file_that_cannot_be_read_is_told_apart_from_one_that_changes(foreign):
    root = foreign + b"/root"
    for name in (b"/closed", b"/open"):
        write(root + name)
        os.chown(root + name, 0, 0)
    os.chmod(root + b"/closed", 0o600)
    os.chown(root, 65534, 65534)
    with FilesWorker(boot=DROPPED) as worker:
        worker.open(root)
        (rows,) = worker.wait(worker.send("hash", paths=[b"closed", b"gone", b"open"])).parts
        assert [(row[0], row[1] is None) for row in rows] == [(b"closed", True), (b"gone", True), (b"open", False)]
        assert [row[2] for row in rows[:2]] == ["not-allowed", None]


def test_a_folder_and_a_root_that_may_not_be_written(foreign):
    root = foreign + b"/root"
    write(root + b"/closed/f", b"old")
    os.chown(root, 65534, 65534)
    with FilesWorker(boot=DROPPED) as worker:
        worker.open(root)
        tree = worker.tree()
        ops = [
            put(b"closed/f", b"new", tree[b"closed/f"]),
            put(b"closed/g", b"new"),
            op("remove", b"closed/f", tree[b"closed/f"]),
        ]
        found = worker.apply(ops, [b"new", b"new"])
        assert [item[1]["code"] for item in found] == ["not-allowed"] * 3
        with open(root + b"/closed/f", "rb") as file:
            assert file.read() == b"old"
        with pytest.raises(errors.NotAllowed):
            worker.open(root + b"/closed")


def test_a_mount_point_is_named_and_not_crossed(worker, root):
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    os.makedirs(root + b"/mounted")
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", os.fsdecode(root + b"/mounted")], check=False
    ).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        write(root + b"/mounted/inside")
        number = worker.send("scan", path=b"")
        answer = worker.wait(number)
        assert {path: entry.node.kind for path, entry in entries(answer.parts).items()} == {b"mounted": "o"}
        assert [row[0] for row in answer.result["errors"]] == [b"mounted"]
        assert worker.apply([put(b"mounted/new", b"x")], [b"x"])[0][0] == "refused"
    finally:
        subprocess.run(["umount", os.fsdecode(root + b"/mounted")], check=True)


def test_hashes_match_and_a_vanished_file_has_none(worker, root):
    import hashlib

    write(root + b"/f", b"content")
    write(root + b"/large", b"x" * (1 << 20))
    rows = [row for part in worker.parts("hash", paths=[b"f", b"large", b"none"]) for row in part]
    assert rows[0][:2] == [b"f", hashlib.sha256(b"content").digest()]
    assert tuple(rows[0][2]) == tuple(worker.tree()[b"f"].stat)
    assert rows[1][1] == hashlib.sha256(b"x" * (1 << 20)).digest()
    assert rows[2] == [b"none", None, None]


def test_rescan_of_a_removed_folder_knows_what_the_rules_leave_out_below_it(root, worker):
    write(root + b"/.gitignore", b"*.log\nbuild/\n/gone/secret\n")
    asked = [
        b"gone",
        b"gone-by",
        b"gone/a.log",
        b"gone/a.py",
        b"gone/build/x.py",
        b"gone/d",
        b"gone/d/b.py",
        b"gone/secret",
    ]
    asked += [b"left"]
    write(root + b"/left", b"x")
    found = worker.request("rescan", paths=asked)
    one_by_one = [worker.request("rescan", paths=[path]) for path in asked]
    assert found["ignored"] == [b"gone/a.log", b"gone/build/x.py", b"gone/secret"]
    assert found["absent"] == [b"gone", b"gone-by", b"gone/a.py", b"gone/d", b"gone/d/b.py"]
    assert found["ignored"] == [path for answer in one_by_one for path in answer["ignored"]]
    assert found["absent"] == [path for answer in one_by_one for path in answer["absent"]]
