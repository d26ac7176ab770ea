"""Nothing outside the root is written, whatever a path or a symlink says; nothing that changed is overwritten."""

import os
import shutil
import socket

import pytest
from plain import read

from afield import errors
from afield.files.guards import forbid
from afield.files.handles import Handles
from afield.testing.files import op, put


def write(path, content=b"x"):
    with open(path, "wb") as file:
        file.write(content)


BAD = [b"../x", b"/tmp/x", b"a/../../x", b"./x", b"a//b", b"..", b".", b"", b"a/.", b"a/"]


@pytest.mark.parametrize("columns", [False, True], ids=["maps", "columns"])
@pytest.mark.parametrize("path", BAD)
def test_a_path_that_leaves_the_root_is_an_error_and_nothing_is_written(worker, root, folder, path, columns):
    os.mkdir(root + b"/a")
    before = sorted(os.listdir(folder)), sorted(os.listdir(root)), os.listdir(root + b"/a")
    ops = [
        put(path, b"evil"),
        op("dir", path),
        op("link", path, target=b"t"),
        op("dir", b"new"),
        put(b"new/../../x", b"evil"),
    ]
    found = worker.apply(ops, [b"evil", b"evil"], columns=columns)
    assert [item[0] for item in found] == ["error", "error", "error", "ok", "error"]
    assert found[0][1]["code"] == "bad-path"
    os.rmdir(root + b"/new")
    assert (sorted(os.listdir(folder)), sorted(os.listdir(root)), os.listdir(root + b"/a")) == before


@pytest.mark.parametrize("path", BAD)
def test_each_layer_by_itself_refuses_a_path_that_leaves_the_root(root, path):
    os.makedirs(root + b"/a")
    with pytest.raises(errors.BadPath):
        forbid(path)
    fd = os.open(root, os.O_RDONLY)
    handles = Handles(fd)
    try:
        with pytest.raises(errors.BadPath):
            handles.locate(path)
        if path:
            with pytest.raises(errors.BadPath):
                handles.folder(path)
    finally:
        handles.forget()
        os.close(fd)


@pytest.mark.parametrize(
    "path", [b".afield/identity", b".afield", b".AFIELD/x", b".git/hooks/post-checkout", b"sub/.git/config", b".GIT/x"]
)
def test_state_of_afield_and_git_is_never_written(worker, root, path):
    assert worker.apply([put(path, b"evil"), op("dir", path)], [b"evil"])[0][1]["code"] == "bad-path"
    assert (
        worker.apply([op("dir", b"sub"), put(b"sub/.git", b"gitdir: /elsewhere")], [b"gitdir: /elsewhere"])[1][0]
        == "error"
    )


def test_a_symlink_that_is_swapped_in_after_the_scan_is_not_followed(worker, root, folder):
    outside = folder + b"/outside"
    os.makedirs(root + b"/a/b")
    write(root + b"/a/b/f", b"inside")
    os.makedirs(outside + b"/b")
    write(outside + b"/b/f", b"precious")
    tree = worker.tree()
    os.rename(root + b"/a", root + b"/moved")
    os.symlink(outside, root + b"/a")
    ops = [
        put(b"a/b/f", b"evil", tree[b"a/b/f"]),
        put(b"a/b/new", b"evil"),
        op("dir", b"a/b/d"),
        op("remove", b"a/b/f", tree[b"a/b/f"]),
        op("mode", b"a/b/f", tree[b"a/b/f"], executable=True),
        op("move", b"a/b/f", tree[b"a/b/f"], to=b"g"),
    ]
    found = worker.apply(ops, [b"evil", b"evil"])
    assert [item[0] for item in found[:4]] == ["refused", "refused", "refused", "refused"]
    assert {item[0] for item in found[4:]} <= {"refused", "error"}
    assert os.listdir(outside) == [b"b"]
    assert os.listdir(outside + b"/b") == [b"f"]
    assert read(outside + b"/b/f") == b"precious"


def test_a_symlink_in_place_of_a_file_is_not_written_through(worker, root, folder):
    write(folder + b"/outside", b"precious")
    write(root + b"/f", b"inside")
    tree = worker.tree()
    os.unlink(root + b"/f")
    os.symlink(folder + b"/outside", root + b"/f")
    found = worker.apply([put(b"f", b"evil", tree[b"f"]), op("mode", b"f", tree[b"f"], executable=True)], [b"evil"])
    assert [item[0] for item in found] == ["refused", "refused"]
    link = worker.tree()[b"f"]
    assert worker.apply([put(b"f", b"mine", link)], [b"mine"])[0][0] == "ok"
    assert read(folder + b"/outside") == b"precious"
    assert read(root + b"/f") == b"mine"


def test_links_out_of_the_root_and_loops_are_only_links(worker, root):
    os.symlink(b"/etc/passwd", root + b"/out")
    os.symlink(b"loop", root + b"/loop")
    os.symlink(b".", root + b"/self")
    tree = worker.tree()
    assert {path: entry.node.content for path, entry in tree.items()} == {
        b"out": b"/etc/passwd",
        b"loop": b"loop",
        b"self": b".",
    }
    failed = worker.request("read", items=[[b"out", None], [b"loop", None], [b"self/out", None]])["failed"]
    assert [row[0] for row in failed] == [b"out", b"loop", b"self/out"]
    assert worker.parts("hash", paths=[b"out", b"self/out"]) == [[[b"out", None, None], [b"self/out", None, None]]]


def test_devices_sockets_and_fifos_are_named_and_never_touched(worker, root):
    os.mkfifo(root + b"/fifo")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(root, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
        if os.geteuid() == 0:
            os.mknod(root + b"/null", 0o20666, os.makedev(1, 3))
        tree = worker.tree()
        assert {entry.node.kind for entry in tree.values()} == {"o"}
        ops = [
            put(b"fifo", b"x", tree[b"fifo"]),
            op("remove", b"socket", tree[b"socket"]),
            op("dir", b"fifo", tree[b"fifo"]),
        ]
        assert [item[0] for item in worker.apply(ops, [b"x"])] == ["refused"] * 3
        failed = worker.request("read", items=[[path, None] for path in sorted(tree)])["failed"]
        assert failed[0][1] == "wrong-kind"
        assert len(failed) == len(tree)


def test_any_name_survives(worker, root):
    names = [
        b"new\nline",
        b"\xff\xfe",
        b"n" * 255,
        b" space ",
        b"-rf",
        b"quote'\"",
        "ümläut".encode(),
        b"\x01\x7f",
        b"a\\b",
        b"*",
    ]
    ops = [op("dir", b"dir\xff\n"), *[put(b"dir\xff\n/" + name, name) for name in names]]
    assert {item[0] for item in worker.apply(ops, names)} == {"ok"}
    tree = worker.tree()
    assert set(tree) == {b"dir\xff\n", *[b"dir\xff\n/" + name for name in names]}
    for name in names:
        assert read(root + b"/dir\xff\n/" + name) == name
    ops = [op("remove", path, tree[path]) for path in sorted(tree, reverse=True)]
    assert {item[0] for item in worker.apply(ops)} == {"ok"}
    assert worker.tree() == {}
    events = worker.request("history")
    assert len(events) == len(names)
    for event in events:
        worker.request("restore", event=event[0])
    assert set(worker.tree()) == set(tree)


@pytest.mark.parametrize("path", [b"/", b"~", b"~/"])
def test_wide_roots_are_refused(worker, path):
    with pytest.raises(errors.RootRefused) as caught:
        worker.request("open", root=path)
    assert caught.value.hint


def test_what_holds_the_home_folder_is_refused(worker):
    above = os.path.dirname(os.path.realpath(os.path.expanduser("~"))).encode()
    with pytest.raises(errors.RootRefused):
        worker.request("open", root=above)


def test_a_root_that_is_missing_a_file_or_another_projects(worker, folder):
    with pytest.raises(errors.RootMissing):
        worker.request("open", root=folder + b"/none")
    write(folder + b"/file")
    with pytest.raises(errors.RootNotFolder):
        worker.request("open", root=folder + b"/file")
    with pytest.raises(errors.RootNotFolder):
        worker.request("open", root=folder + b"/file/below", create=True)
    worker.open(folder + b"/one", identity=b"first")
    with pytest.raises(errors.WrongIdentity):
        worker.open(folder + b"/one", identity=b"second")
    assert worker.open(folder + b"/one")["identity"] == b"first"


def test_a_verb_before_open_is_an_error(worker, folder):
    with pytest.raises(errors.FilesError):
        worker.request("open", root=folder + b"/none")
    with pytest.raises(errors.FilesError, match="no root is open"):
        worker.request("scan")


def test_remove_root_wants_the_identity_and_follows_no_link(worker, root, folder):
    identity = worker.open(root)["identity"]
    write(folder + b"/outside", b"precious")
    os.makedirs(root + b"/a/b")
    os.symlink(folder, root + b"/a/b/link")
    with pytest.raises(errors.WrongIdentity):
        worker.request("remove-root", yes=b"wrong")
    assert os.path.exists(root + b"/a")
    worker.request("remove-root", yes=identity)
    assert os.listdir(folder) == [b"outside"]


def test_a_folder_that_vanishes_under_the_worker_is_no_crash(worker, root):
    os.mkdir(root + b"/d")
    shutil.rmtree(root)
    with pytest.raises(errors.RootReplaced, match="no longer there"):
        worker.parts("scan", path=b"")
    with pytest.raises(errors.RootReplaced):
        worker.apply([put(b"f", b"x")], [b"x"])
