"""Ops take effect in order, each only where the tree is what it says; results say what happened."""

import os
import stat

import pytest
from plain import read

from afield.files.bundle import stat_of
from afield.testing.files import FilesWorker, op, pack, put, results
from afield.wire.records import encode_record


def write(path, content=b"", mode=None):
    with open(path, "wb") as file:
        file.write(content)
    if mode is not None:
        os.chmod(path, mode)


def kinds(found):
    return [item[0] for item in found]


@pytest.fixture(params=[False, True], ids=["maps", "columns"])
def columns(request):
    return request.param


def staging(root):
    return [name for _, folders, files in os.walk(root + b"/.afield/staging") for name in files] + [
        name for own in os.listdir(root + b"/.afield/staging") for name in os.listdir(root + b"/.afield/staging/" + own)
    ]


def test_a_new_tree_is_there_with_content_time_mode_and_links(worker, root, columns):
    ops = [
        op("dir", b"a"),
        op("dir", b"a/b"),
        put(b"a/b/run.sh", b"#!/bin/sh\n", executable=True, mtime_ns=1234567890123456789),
        put(b"top", b""),
        op("link", b"a/link", target=b"../top"),
    ]
    found = worker.apply(ops, [b"#!/bin/sh\n", b""], columns=columns)
    assert kinds(found) == ["ok"] * 5
    assert read(root + b"/a/b/run.sh") == b"#!/bin/sh\n"
    after = os.stat(root + b"/a/b/run.sh")
    assert after.st_mtime_ns == 1234567890123456789
    assert stat.S_IMODE(after.st_mode) & 0o111
    assert os.readlink(root + b"/a/link") == b"../top"
    tree = worker.tree()
    assert [tuple(tree[path].stat) for path in (b"a/b/run.sh", b"top", b"a/link")] == [
        tuple(found[place][1]) for place in (2, 3, 4)
    ]
    assert staging(root) == []


def test_a_replaced_file_keeps_its_mode_and_goes_to_history(worker, root, columns):
    write(root + b"/f", b"old", 0o640)
    tree = worker.tree()
    assert kinds(worker.apply([put(b"f", b"new", tree[b"f"])], [b"new"], columns=columns)) == ["ok"]
    assert read(root + b"/f") == b"new"
    assert stat.S_IMODE(os.stat(root + b"/f").st_mode) == 0o640
    (event,) = worker.request("history")
    assert event[2:] == [b"f", "replaced", 3]


def test_the_executable_bit_is_set_and_taken_away(worker, root):
    write(root + b"/f", b"x", 0o644)
    found = worker.apply([op("mode", b"f", worker.tree()[b"f"], executable=True)])
    assert kinds(found) == ["ok"]
    assert stat.S_IMODE(os.stat(root + b"/f").st_mode) == 0o755
    tree = worker.tree()
    assert tuple(tree[b"f"].stat) == tuple(found[0][1])
    worker.apply([op("mode", b"f", tree[b"f"], executable=False)])
    assert stat.S_IMODE(os.stat(root + b"/f").st_mode) == 0o644


@pytest.mark.parametrize("name", ["put", "link", "remove", "mode", "move"])
def test_a_file_that_changed_since_the_scan_is_refused_and_both_survive(worker, root, columns, name):
    write(root + b"/f", b"scanned")
    tree = worker.tree()
    write(root + b"/f", b"changed meanwhile")
    ops = {
        "put": put(b"f", b"new", tree[b"f"]),
        "link": op("link", b"f", tree[b"f"], target=b"t"),
        "remove": op("remove", b"f", tree[b"f"]),
        "mode": op("mode", b"f", tree[b"f"], executable=True),
        "move": op("move", b"f", tree[b"f"], to=b"g"),
    }
    found = worker.apply([ops[name]], [b"new"] if name == "put" else [], columns=columns)
    assert kinds(found) == ["refused"]
    assert read(root + b"/f") == b"changed meanwhile"
    assert sorted(os.listdir(root)) == [b".afield", b"f"]
    assert staging(root) == []


def test_a_name_that_was_taken_meanwhile_is_refused(worker, root, columns):
    write(root + b"/f", b"mine")
    os.mkdir(root + b"/d")
    ops = [put(b"f", b"theirs"), op("link", b"f", target=b"x"), put(b"d", b"file"), op("dir", b"f")]
    assert kinds(worker.apply(ops, [b"theirs", b"file"], columns=columns)) == ["refused"] * 4
    assert read(root + b"/f") == b"mine"
    assert staging(root) == []


def test_a_file_that_is_gone_is_refused(worker, root):
    write(root + b"/f", b"x")
    tree = worker.tree()
    os.unlink(root + b"/f")
    found = worker.apply([put(b"f", b"new", tree[b"f"]), op("remove", b"f", tree[b"f"])], [b"new"])
    assert kinds(found) == ["refused", "refused"]
    assert os.listdir(root) == [b".afield"]


def test_one_op_that_fails_does_not_stop_the_others(worker, root, columns):
    ops = [put(b"a", b"1"), put(b"no/such/folder", b"2"), put(b"b", b"3")]
    assert kinds(worker.apply(ops, [b"1", b"2", b"3"], columns=columns)) == ["ok", "refused", "ok"]
    assert read(root + b"/b") == b"3"


def test_content_that_changed_while_it_was_read_is_not_applied(worker, root):
    write(root + b"/f", b"old")
    tree = worker.tree()
    number = worker.send(
        "apply", ops=[put(b"f", b"new", tree[b"f"]), put(b"g", b"good"), op("dir", b"d"), put(b"d/h", b"bad")]
    )
    worker.send_data(number, pack([b"new", b"good", b"bad"], bad=[0, 2]))
    found = results(worker.wait(number).parts, 4)
    assert [found[0][1]["code"], found[1][0], found[2][0], found[3][1]["code"]] == [
        "file-changed",
        "ok",
        "ok",
        "file-changed",
    ]
    assert read(root + b"/f") == b"old"
    assert os.listdir(root + b"/d") == []


def test_content_that_was_damaged_on_the_way_is_not_applied(worker, root):
    number = worker.send("apply", ops=[put(b"f", b"good")])
    data = bytearray(b"".join(pack([b"good"])))
    data[9] ^= 1
    worker.send_data(number, [bytes(data)])
    assert results(worker.wait(number).parts, 1)[0][0] == "error"
    assert os.listdir(root) == [b".afield"]


def test_content_other_than_announced_is_not_applied(worker, root):
    found = worker.apply([put(b"f", b"announced"), put(b"g", b"same")], [b"another", b"size"])
    assert [item[1]["code"] for item in found] == ["file-changed"] * 2
    assert os.listdir(root) == [b".afield"]


def test_puts_without_their_data_are_errors(worker, root):
    found = worker.apply([put(b"f", b"1"), put(b"g", b"2")], [b"1"])
    assert kinds(found) == ["ok", "error"]


@pytest.mark.parametrize("where", [b"", b"fresh/"])
def test_large_content_streams_through(worker, root, where):
    content = os.urandom(3 << 20)
    ops = [op("dir", b"fresh"), put(where + b"large", content), put(where + b"small", b"s")]
    assert kinds(worker.apply(ops, [content, b"s"])) == ["ok"] * 3
    assert read(root + b"/" + where + b"large") == content
    assert staging(root) == []


def test_large_content_that_comes_byte_by_byte_at_its_edges(worker, root):
    content = os.urandom(600 << 10)
    data = b"".join(pack([content, b"after"]))
    number = worker.send("apply", ops=[put(b"large", content), put(b"after", b"after")])
    cuts = [1, 7, 8, 9, 8 + len(content) - 1, 8 + len(content), 8 + len(content) + 1, 8 + len(content) + 32, len(data)]
    worker.send_data(number, [data[a:b] for a, b in zip([0, *cuts], cuts, strict=False)])
    assert kinds(results(worker.wait(number).parts, 2)) == ["ok", "ok"]
    assert read(root + b"/large") == content


def test_a_removed_file_goes_to_history_and_a_removed_folder_must_be_empty(worker, root):
    os.makedirs(root + b"/d/e")
    write(root + b"/d/e/f", b"x")
    write(root + b"/d/kept", b"x")
    tree = worker.tree()
    ops = [op("remove", path, tree[path]) for path in (b"d/e/f", b"d/e", b"d")]
    assert kinds(worker.apply(ops)) == ["ok", "ok", "refused"]
    assert os.listdir(root + b"/d") == [b"kept"]
    assert [event[2:4] for event in worker.request("history")] == [[b"d/e/f", "removed"]]


def test_caches_of_python_do_not_keep_a_removed_folder(worker, root):
    os.makedirs(root + b"/pkg/__pycache__")
    write(root + b"/pkg/__pycache__/m.cpython-311.pyc", b"x")
    os.makedirs(root + b"/other/__pycache__")
    write(root + b"/other/__pycache__/notes.txt", b"x")
    tree = worker.tree()
    assert kinds(worker.apply([op("remove", b"pkg", tree[b"pkg"]), op("remove", b"other", tree[b"other"])])) == [
        "ok",
        "refused",
    ]
    assert not os.path.exists(root + b"/pkg")
    assert os.path.exists(root + b"/other/__pycache__/notes.txt")


def test_kinds_replace_each_other(worker, root):
    write(root + b"/to_folder", b"file")
    os.mkdir(root + b"/to_file")
    os.symlink(b"x", root + b"/to_file2")
    write(root + b"/to_link", b"file")
    tree = worker.tree()
    ops = [
        op("dir", b"to_folder", tree[b"to_folder"]),
        put(b"to_folder/in", b"1"),
        put(b"to_file", b"2", tree[b"to_file"]),
        put(b"to_file2", b"3", tree[b"to_file2"]),
        op("link", b"to_link", tree[b"to_link"], target=b"t"),
    ]
    assert kinds(worker.apply(ops, [b"1", b"2", b"3"])) == ["ok"] * 5
    assert read(root + b"/to_folder/in") == b"1"
    assert read(root + b"/to_file") == b"2"
    assert read(root + b"/to_file2") == b"3"
    assert os.readlink(root + b"/to_link") == b"t"
    assert {event[2] for event in worker.request("history")} == {b"to_folder", b"to_file2", b"to_link"}


def test_move_takes_a_file_and_a_folder_along_and_never_overwrites(worker, root):
    os.mkdir(root + b"/d")
    write(root + b"/d/f", b"x")
    write(root + b"/taken", b"y")
    tree = worker.tree()
    assert kinds(worker.apply([op("move", b"d/f", tree[b"d/f"], to=b"taken")])) == ["refused"]
    found = worker.apply([op("move", b"d/f", tree[b"d/f"], to=b"g"), op("move", b"d", tree[b"d"], to=b"e")])
    assert kinds(found) == ["ok", "ok"]
    assert tuple(worker.tree()[b"g"].stat) == tuple(found[0][1])
    assert sorted(os.listdir(root)) == [b".afield", b"e", b"g", b"taken"]


def test_a_rename_that_changes_only_the_case(worker, root):
    write(root + b"/Readme", b"x")
    tree = worker.tree()
    assert kinds(worker.apply([op("move", b"Readme", tree[b"Readme"], to=b"README")])) == ["ok"]
    assert b"README" in os.listdir(root)


def test_a_folder_that_is_there_already_is_fine(worker, root):
    os.mkdir(root + b"/d")
    assert kinds(worker.apply([op("dir", b"d"), put(b"d/f", b"x")], [b"x"])) == ["ok", "ok"]


def test_a_new_folder_is_refused_as_a_whole_when_its_name_is_taken_meanwhile(worker, root):
    number = worker.send("apply", ops=[op("dir", b"d"), put(b"d/f", b"1"), put(b"other", b"2"), put(b"d/g", b"3")])
    data = b"".join(pack([b"1", b"2", b"3"]))
    worker.write(encode_record([number, "data", data[: 2 * 42]]))
    assert worker.wait_part(number) == [[2, "ok", list(stat_of(os.stat(root + b"/other")))]]
    os.mkdir(root + b"/d")
    write(root + b"/d/theirs", b"x")
    worker.send_data(number, [data[2 * 42 :]])
    found = results(worker.wait(number).parts, 4)
    assert kinds(found) == ["refused", "refused", "ok", "refused"]
    assert os.listdir(root + b"/d") == [b"theirs"]
    assert staging(root) == []


def test_requests_are_applied_in_order_without_waiting_between_them(worker, root):
    first = worker.send("apply", ops=[op("dir", b"d"), put(b"d/a", b"1")])
    second = worker.send("apply", ops=[put(b"d/b", b"2")])
    worker.send_data(second, pack([b"2"]))
    worker.send_data(first, pack([b"1"]))
    assert kinds(results(worker.wait(first).parts, 2)) == ["ok", "ok"]
    assert kinds(results(worker.wait(second).parts, 1)) == ["ok"]
    assert read(root + b"/d/b") == b"2"


def test_a_cancelled_apply_leaves_no_litter_and_lets_the_next_one_run(worker, root):
    number = worker.send("apply", ops=[op("dir", b"d"), put(b"d/a", b"1"), put(b"large", b"x" * (1 << 20))])
    data = b"".join(pack([b"1", b"x" * (1 << 20)]))
    worker.write(encode_record([number, "data", data[: 700 << 10]]))
    worker.cancel(number)
    with pytest.raises(Exception, match="cancelled"):
        worker.wait(number)
    assert worker.apply([put(b"after", b"x")], [b"x"])[0][0] == "ok"
    assert sorted(os.listdir(root)) == [b".afield", b"after"]
    assert staging(root) == []


def test_a_million_names_long_path_is_an_error_of_that_op_alone(worker, root):
    ops = [put(b"n" * 256, b"1"), put(b"/".join([b"p"] * 3000), b"2"), put(b"n" * 255, b"3")]
    found = worker.apply(ops, [b"1", b"2", b"3"])
    assert kinds(found)[0] == "error"
    assert kinds(found)[2] == "ok"


def test_history_can_be_turned_off(root):
    with FilesWorker() as worker:
        worker.open(root, history=False)
        write(root + b"/f", b"old")
        write(root + b"/g", b"old")
        tree = worker.tree()
        assert kinds(worker.apply([put(b"f", b"new", tree[b"f"]), op("remove", b"g", tree[b"g"])], [b"new"])) == [
            "ok",
            "ok",
        ]
        assert worker.request("history") == []
    assert os.listdir(root + b"/.afield/staging") == []


def test_a_time_that_no_system_keeps_is_an_error_of_that_op_alone(worker, root):
    ops = [put(b"f", b"1", mtime_ns=2**63 - 1), op("dir", b"d"), put(b"d/g", b"2", mtime_ns=-(2**63)), put(b"h", b"3")]
    found = worker.apply(ops, [b"1", b"2", b"3"])
    assert found[3][0] == "ok"
    assert worker.request("barrier") == {}
    assert staging(root) == []
