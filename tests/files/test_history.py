"""What was replaced or removed can be listed and brought back, and bringing back overwrites nothing."""

import os
import time

import pytest
from plain import read, write

from afield import errors
from afield.files import history
from afield.files.roots import Root
from afield.files.state import State
from afield.testing.files import FilesWorker, op, put


def test_a_restored_file_takes_its_place_and_what_stood_there_is_kept(worker, root):
    write(root + b"/f", b"first")
    worker.apply([put(b"f", b"second", worker.tree()[b"f"])], [b"second"])
    (event,) = worker.request("history")
    assert worker.request("restore", event=event[0]) == {"path": b"f"}
    assert read(root + b"/f") == b"first"
    (event,) = worker.request("history")
    assert event[2:] == [b"f", "replaced", 6]
    worker.request("restore", event=event[0])
    assert read(root + b"/f") == b"second"


def test_a_removed_file_comes_back_with_its_folders(worker, root):
    os.makedirs(root + b"/a/b")
    write(root + b"/a/b/f", b"x")
    tree = worker.tree()
    worker.apply([op("remove", path, tree[path]) for path in (b"a/b/f", b"a/b", b"a")])
    assert os.listdir(root) == [b".afield"]
    (event,) = worker.request("history", path=b"a")
    worker.request("restore", event=event[0])
    assert read(root + b"/a/b/f") == b"x"
    assert [event[2:4] for event in worker.request("history")] == [[b"a/b/f", "restored"]]


def test_a_restore_of_what_was_gone_can_be_undone_and_done_again(worker, root):
    os.makedirs(root + b"/a/b")
    write(root + b"/a/b/f", b"x")
    tree = worker.tree()
    worker.apply([op("remove", path, tree[path]) for path in (b"a/b/f", b"a/b", b"a")])
    for _ in range(3):
        (event,) = [event for event in worker.request("history") if event[3] == "removed"]
        worker.request("restore", event=event[0])
        assert read(root + b"/a/b/f") == b"x"
        (event,) = worker.request("history")
        worker.request("restore", event=event[0])
        assert os.listdir(root) == [b".afield"]


def test_an_empty_folder_that_was_removed_comes_back(worker, root):
    os.makedirs(root + b"/a/empty")
    tree = worker.tree()
    worker.apply([op("remove", path, tree[path]) for path in (b"a/empty", b"a")])
    (event,) = worker.request("history")
    assert event[2:] == [b"a/empty", "folder-removed", 0]
    worker.request("restore", event=event[0])
    assert os.path.isdir(root + b"/a/empty")
    (event,) = worker.request("history")
    assert event[2:4] == [b"a/empty", "restored"]
    worker.request("restore", event=event[0])
    assert os.listdir(root) == [b".afield"]


def test_the_list_comes_in_parts_when_asked_for(worker, root):
    for place in range(250):
        write(root + b"/%d" % place)
    tree = worker.tree()
    worker.apply([op("remove", path, entry) for path, entry in tree.items()])
    parts = worker.parts("history", parts=True)
    assert [len(part) for part in parts] == [100, 100, 50]
    assert {event[2] for part in parts for event in part} == set(tree)


def test_links_are_kept_too(worker, root):
    os.symlink(b"one", root + b"/l")
    worker.apply([op("link", b"l", worker.tree()[b"l"], target=b"two")])
    (event,) = worker.request("history")
    worker.request("restore", event=event[0])
    assert os.readlink(root + b"/l") == b"one"


def test_a_folder_in_the_way_is_not_replaced(worker, root):
    write(root + b"/f", b"x")
    worker.apply([op("remove", b"f", worker.tree()[b"f"])])
    os.mkdir(root + b"/f")
    (event,) = worker.request("history")
    with pytest.raises(errors.WrongKind):
        worker.request("restore", event=event[0])
    assert worker.request("history") == [event]


def test_the_same_path_many_times_keeps_every_content(worker, root):
    write(root + b"/f", b"0")
    for place in range(1, 6):
        content = b"%d" % place * place
        assert worker.apply([put(b"f", content, worker.tree()[b"f"])], [content])[0][0] == "ok"
    assert sorted(event[4] for event in worker.request("history")) == [1, 1, 2, 3, 4]


def test_a_file_and_later_a_folder_of_that_name_are_both_kept(worker, root):
    write(root + b"/n", b"file")
    worker.apply([op("remove", b"n", worker.tree()[b"n"])])
    os.mkdir(root + b"/n")
    write(root + b"/n/f", b"in folder")
    assert worker.apply([op("remove", b"n/f", worker.tree()[b"n/f"])])[0][0] == "ok"
    assert {event[2] for event in worker.request("history")} == {b"n", b"n/f"}


@pytest.mark.parametrize(
    "event", [b"x", b"x/replaced/f", b"a/b/c", b"../../f", b"/etc/passwd", b"x/replaced/../../../f"]
)
def test_an_event_that_is_none_is_an_error(worker, event):
    with pytest.raises((errors.NoSuchFile, errors.BadPath)):
        worker.request("restore", event=event)


def test_the_list_is_newest_first_and_bounded(worker, root):
    for place in range(5):
        write(root + b"/%d" % place)
    tree = worker.tree()
    for place in range(5):
        worker.apply([op("remove", b"%d" % place, tree[b"%d" % place])])
    assert [event[2] for event in worker.request("history", limit=3)] == [b"4", b"3", b"2"]
    times = [event[1] for event in worker.request("history")]
    assert times == sorted(times, reverse=True)
    assert abs(times[0] - time.time()) < 60


@pytest.fixture
def kept(root):
    opened = Root(root, create=True)
    state = State(opened)
    found = history.History(state)
    yield opened, found
    found.close()
    state.close()
    opened.close()


def keep(opened, found, name, when, size, monkeypatch):
    write(opened.path + b"/" + name, b"x" * size)
    monkeypatch.setattr(history.time, "time", lambda: when)
    found.keep_move(opened.fd, name, name, os.stat(name, dir_fd=opened.fd))


def test_what_is_older_than_a_month_goes(kept, monkeypatch):
    opened, found = kept
    monkeypatch.setattr(history, "ALWAYS_BYTES", 1)
    keep(opened, found, b"old", 1_000_000_000.0, 1, monkeypatch)
    keep(opened, found, b"new", 1_000_000_000.0 + history.KEPT_SECONDS + 100, 1, monkeypatch)
    list(found.prune(now=1_000_000_000.0 + history.KEPT_SECONDS + 200))
    assert [event[2] for event in found.events()] == [b"new"]


def test_a_clock_that_jumps_does_not_empty_the_history(kept, monkeypatch):
    opened, found = kept
    keep(opened, found, b"before", 1_000_000_000.0, 1, monkeypatch)
    keep(opened, found, b"without a clock", 0.0, 1, monkeypatch)
    keep(opened, found, b"far ahead", 4_000_000_000.0, 1, monkeypatch)
    list(found.prune(now=4_000_000_100.0))
    list(found.prune(now=1_000_000_100.0))
    assert sorted(event[2] for event in found.events()) == [b"before", b"far ahead", b"without a clock"]


def test_the_oldest_goes_first_when_there_is_too_much(kept, monkeypatch):
    opened, found = kept
    monkeypatch.setattr(history, "KEPT_BYTES", 250)
    for place in range(5):
        keep(opened, found, b"%d" % place, 1_000_000_000.0 + 100 * place, 100, monkeypatch)
    list(found.prune(now=1_000_001_000.0))
    assert sorted(event[2] for event in found.events()) == [b"3", b"4"]


def test_where_links_are_not_allowed_the_content_is_copied(kept, monkeypatch):
    opened, found = kept
    write(opened.path + b"/f", b"content")
    os.symlink(b"t", opened.path + b"/l")

    def refuse(*_, **__):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(history.os, "link", refuse)
    found.keep_link(opened.fd, b"f", b"f", 7)
    found.keep_link(opened.fd, b"l", b"l", 1)
    assert sorted(event[2] for event in found.events()) == [b"f", b"l"]
    (event,) = found.events(b"f")
    assert read(opened.path + b"/.afield/history/" + event[0]) == b"content"


def test_an_old_batch_goes_by_itself_after_open(root):
    os.makedirs(root + b"/.afield/history/20010101T000000Z-1-1/removed")
    with open(root + b"/.afield/history/20010101T000000Z-1-1/removed/f", "wb") as file:
        file.truncate(history.ALWAYS_BYTES + 1)
    with FilesWorker() as worker:
        worker.open(root)
        end = time.monotonic() + 20
        while os.listdir(root + b"/.afield/history"):
            assert time.monotonic() < end
            worker.request("barrier")
        assert worker.request("history") == []
