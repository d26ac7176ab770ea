"""Changes are told with what stands there now; nothing is lost in bursts, new folders, overflows or polling."""

import errno
import os
import shutil
import statistics
import time

import pytest
from plain import write

from afield.files import looking, polling, service
from afield.files.pending import LONGEST_STEP
from afield.files.roots import Root
from afield.files.rules import Rules
from afield.files.tasks import Task
from afield.files.watch import Watch
from afield.sync import nearwatch
from afield.testing.files import FilesWorker, entries, op, put
from afield.tree.entries import decode_entries

POLL = """
import sys
sys.path.insert(0, %r)
from afield.files import polling, service, worker
polling.EVERY = 0.05
plain = service.Service.__init__
def init(self):
    plain(self)
    self.use_inotify = False
service.Service.__init__ = init
worker.main(0, 1)
"""


NOTIFIED = f"""
import sys
sys.path += [%r, {nearwatch.find_library()!r}]
from afield.files import polling
polling.EVERY = 1000.0
from afield.sync.nearwatch import main
main(0, 1)
"""
BOOTS = {"inotify": {}, "polling": {"boot": POLL}, "both": {"boot": NOTIFIED}}


@pytest.fixture(params=BOOTS)
def watched(request, root):
    """``both``: as on macOS, through watchfiles, and the look at everything too late to help."""
    with FilesWorker(**BOOTS[request.param]) as worker:
        worker.open(root)
        os.mkdir(root + b"/old")
        assert worker.request("watch", on=True)["mode"] == request.param
        worker.mode = request.param
        yield worker


def plain(tree):
    """The stat of a folder means nothing."""
    return {path: entry if entry.node.kind != "d" else entry.node for path, entry in tree.items()}


def follow(worker, known, until, patience=20.0):
    """Play ``changed`` events on a picture of the tree, as the engine does, until it is as wanted; give the number of events."""
    end, count = time.monotonic() + patience, 0
    while not until(known):
        value = worker.wait_event("changed", end - time.monotonic())
        count += 1
        for path in value["paths"]:
            for old in [old for old in known if old == path or old.startswith(path + b"/")]:
                del known[old]
        found = entries([value["entries"]])
        assert not set(value["absent"]) & set(found)
        known.update(found)
    return count


def test_a_new_file_a_change_a_mode_and_a_removal(watched, root):
    known = watched.tree()
    write(root + b"/f", b"1")
    follow(watched, known, lambda tree: b"f" in tree and tree[b"f"].stat.size == 1)
    write(root + b"/f", b"22")
    follow(watched, known, lambda tree: tree[b"f"].stat.size == 2)
    os.chmod(root + b"/f", 0o755)
    follow(watched, known, lambda tree: tree[b"f"].node.executable)
    os.symlink(b"f", root + b"/l")
    follow(watched, known, lambda tree: b"l" in tree)
    os.unlink(root + b"/f")
    follow(watched, known, lambda tree: b"f" not in tree)
    watched.request("barrier")
    assert plain(known) == plain(watched.tree())


def test_a_new_tree_is_told_whole_and_watched(watched, root):
    known = watched.tree()
    os.makedirs(root + b"/a/b/c")
    write(root + b"/a/b/c/f", b"1")
    follow(watched, known, lambda tree: b"a/b/c/f" in tree)
    write(root + b"/a/b/c/g", b"2")
    follow(watched, known, lambda tree: b"a/b/c/g" in tree)
    os.rename(root + b"/a/b", root + b"/moved")
    follow(watched, known, lambda tree: b"moved/c/g" in tree and b"a/b/c/g" not in tree)
    write(root + b"/moved/c/g", b"333")
    follow(watched, known, lambda tree: tree[b"moved/c/g"].stat.size == 3)
    shutil.rmtree(root + b"/moved")
    follow(watched, known, lambda tree: set(tree) == {b"old", b"a"})
    watched.request("barrier")
    assert plain(known) == plain(watched.tree())


def test_a_barrier_tells_everything_that_happened_before(watched, root):
    known = watched.tree()
    with open(root + b"/old/open", "wb") as file:
        file.write(b"not closed yet")
        file.flush()
        write(root + b"/f", b"1")
        os.mkdir(root + b"/d")
        write(root + b"/d/g")
        watched.request("barrier")
        found = {path for name, value in watched.events if name == "changed" for path in value["paths"]}
        assert {b"old/open", b"f", b"d"} <= found
        follow(watched, known, lambda tree: {b"old/open", b"f", b"d", b"d/g"} <= set(tree))
    assert watched.events == []


def test_a_barrier_does_not_overtake_a_report_that_is_under_way(root):
    made = service.Service()
    task = Task(0)
    for _ in service.open_root(made, {"root": root, "create": True}, task):
        pass
    try:
        for _ in looking.watch(made, {"on": True}, task):
            pass
        for name in (b"/a", b"/b"):
            write(root + name)
        made.watch.read()
        made.watch.pending.due = dict.fromkeys(made.watch.pending.due, 0.0)
        made.watch.pending.soonest = 0.0
        task.until = 0.0  # a machine so busy that every slice is over as soon as it began
        report = made.watch.run(task)
        assert next(report) is None
        asked = looking.barrier(made, {}, Task(0))
        for _ in range(20):
            assert next(asked) is None
        told = {path for event in report if event is not None for path in event[1]["paths"]}
        assert told == {b"a", b"b"}
        assert [event for event in asked if event is not None] == []
    finally:
        made.close()


def test_a_checkout_of_thousands_of_files_is_a_few_records(root):
    with FilesWorker() as worker:
        worker.open(root)
        worker.request("watch", on=True)
        known = worker.tree()
        for place in range(20):
            os.mkdir(root + b"/%d" % place)
        follow(worker, known, lambda tree: len(tree) == 20)
        start = time.monotonic()
        for place in range(3000):
            write(root + b"/%d/%d" % (place % 20, place), b"x")
        count = follow(worker, known, lambda tree: len(tree) == 3020)
        # On a quiet machine this is a dozen; on a busy one the files themselves take seconds to come.
        assert count < 40 + (time.monotonic() - start) / LONGEST_STEP
        worker.request("barrier")
        assert plain(known) == plain(worker.tree())


def test_ignored_paths_are_not_told_and_an_ignore_file_makes_an_overflow(watched, root):
    write(root + b"/.gitignore", b"*.log\n")
    watched.wait_event("overflow")
    watched.request("barrier")
    watched.events.clear()
    os.mkdir(root + b"/__pycache__")
    write(root + b"/__pycache__/m.pyc")
    write(root + b"/x.log")
    write(root + b"/seen")
    value = watched.wait_event("changed")
    assert value["paths"] == [b"seen"]
    watched.request("barrier")
    # FSEvents may tell of one change twice.
    assert told_of(watched) <= ({b"seen"} if watched.mode == "both" else set())


def told_of(worker):
    return {path for name, value in worker.events if name == "changed" for path in value["paths"]}


@pytest.mark.parametrize("by", ["the worker", "a save", "a write"])
def test_what_a_new_ignore_file_leaves_out_is_never_told(watched, root, by):
    for number in range(20):
        name = b"runs%d" % number
        text = b"".join(b"runs%d/\n" % each for each in range(number + 1))
        if by == "the worker":
            known = watched.tree()
            ((outcome, *_),) = watched.apply([put(b".gitignore", text, known.get(b".gitignore"))], [text])
            assert outcome == "ok"
        elif by == "a save":
            write(root + b"/.gitignore.tmp", text)
            os.rename(root + b"/.gitignore.tmp", root + b"/.gitignore")
        else:
            write(root + b"/.gitignore", text)
        os.mkdir(root + b"/" + name)
        write(root + b"/" + name + b"/m")
        write(root + b"/seen%d" % number)
        if number % 2:
            time.sleep(0.01)
    watched.request("barrier")
    assert not [path for path in told_of(watched) if path.startswith(b"runs")]
    assert "overflow" in [name for name, _ in watched.events]
    watched.events.clear()
    write(root + b"/seen")
    watched.request("barrier")
    assert told_of(watched) == {b"seen"}


def test_many_ignore_files_do_not_take_more_than_half_of_the_time(root):
    watch = Watch(Root(root, create=True), Rules)
    try:
        now = time.monotonic()
        watch.restarted = (now, 3.0)
        watch.done(b"d/.gitignore", None)
        assert (watch.sees_all, watch.deadline()) == (False, now + 3.0)
    finally:
        watch.close()


class Unheard:
    """What tells of changes, where it cannot be had (``base`` None) or has no room for a folder."""

    fd = -1

    def __init__(self, base):
        self.watches = {}

    def add(self, path):
        if path:
            raise OSError(errno.ENOSPC, "no room")
        self.watches[path] = 1

    def read(self):
        return ()

    def catch_up(self, folder):
        return ()

    def close(self):
        pass


def refuse(base):
    raise OSError(errno.EMFILE, "no descriptor")


@pytest.mark.parametrize(("new_events", "mode"), [(refuse, "polling"), (Unheard, "both")])
def test_a_folder_that_nothing_tells_of_is_looked_at_in_every_barrier(root, new_events, mode, monkeypatch):
    monkeypatch.setattr(polling, "SHARE", float("inf"))  # no folder has its turn
    os.makedirs(root + b"/d")
    watch = Watch(Root(root), Rules, new_events=new_events)
    try:
        assert watch.mode == mode
        for _ in watch.start(Task(1)):
            pass
        list(watch.run(Task(1), everything=True))
        write(root + b"/d/f")
        told = [value["paths"] for event in watch.run(Task(1), everything=True) if event for value in [event[1]]]
        assert told == [[b"d/f"]]
    finally:
        watch.close()


def test_what_the_worker_applied_is_not_told(watched, root):
    write(root + b"/f", b"old")
    write(root + b"/g", b"old")
    watched.request("barrier")
    watched.events.clear()
    tree = watched.tree()
    ops = [
        op("dir", b"d"),
        put(b"d/x", b"1"),
        put(b"f", b"new", tree[b"f"]),
        put(b"n", b"2"),
        op("remove", b"g", tree[b"g"]),
    ]
    assert {item[0] for item in watched.apply(ops, [b"1", b"new", b"2"])} == {"ok"}
    watched.request("barrier")
    if watched.mode == "both":
        # Told once and again: what it looks like is what the apply said.
        found = watched.tree()
        for _, value in watched.events:
            assert all(
                found[path].stat == entry.stat for path, entry in entries([value["entries"]]).items() if path != b"d"
            )
        watched.events.clear()
    assert watched.events == []
    write(root + b"/d/x", b"by hand")
    assert watched.wait_event("changed")["paths"] == [b"d/x"]


def test_a_save_by_temporary_file_and_rename_tells_one_path(root):
    with FilesWorker() as worker:
        worker.open(root)
        write(root + b"/f", b"old")
        worker.request("watch", on=True)
        with open(root + b"/f.tmp", "wb") as file:
            file.write(b"new")
        os.rename(root + b"/f.tmp", root + b"/f")
        told = set()
        while b"f" not in told:
            value = worker.wait_event("changed")
            told.update(value["paths"])
        assert entries([value["entries"]])[b"f"].stat.size == 3


def test_an_editor_that_moves_the_old_file_away_makes_no_removal(root):
    with FilesWorker() as worker:
        worker.open(root)
        write(root + b"/f", b"old")
        worker.request("watch", on=True)
        os.rename(root + b"/f", root + b"/f~")
        write(root + b"/f", b"newer")
        os.unlink(root + b"/f~")
        worker.request("barrier")
        absent = {path for name, value in worker.events if name == "changed" for path in value["absent"]}
        assert b"f" not in absent


def test_a_file_that_stays_open_is_told_after_a_pause_in_writing(root):
    with FilesWorker() as worker:
        worker.open(root)
        worker.request("watch", on=True)
        with open(root + b"/log", "wb", buffering=0) as file:
            file.write(b"line\n")
            value = worker.wait_event("changed")
            assert entries([value["entries"]])[b"log"].stat.size == 5


LIMIT = """
import sys
sys.path.insert(0, %r)
import errno
from afield.files import inotify, polling, worker
polling.EVERY = 0.05
plain = inotify.Inotify.add
def add(self, path):
    if len(self.watches) >= 2 and path not in self.watches:
        raise OSError(errno.ENOSPC, "no more watches")
    plain(self, path)
inotify.Inotify.add = add
worker.main(0, 1)
"""


def test_when_the_watches_are_used_up_the_rest_is_polled(root):
    for place in range(4):
        os.makedirs(root + b"/%d" % place)
    with FilesWorker(boot=LIMIT) as worker:
        worker.open(root)
        worker.request("watch", on=True)
        assert worker.wait_event("limited") == {"watched": 2, "unwatched": 3}
        known = worker.tree()
        for place in range(4):
            write(root + b"/%d/f" % place)
        follow(worker, known, lambda tree: len(tree) == 8)


OVERFLOW = """
import sys
sys.path.insert(0, %r)
from afield.files import inotify, worker
plain = inotify.Inotify.read
def read(self):
    for folder, name, mask, cookie in plain(self):
        yield (b"", b"", inotify.OVERFLOW, 0) if name == b"trigger" else (folder, name, mask, cookie)
inotify.Inotify.read = read
worker.main(0, 1)
"""


def test_after_lost_events_there_is_an_overflow_and_watching_goes_on(root):
    with FilesWorker(boot=OVERFLOW) as worker:
        worker.open(root)
        worker.request("watch", on=True)
        write(root + b"/trigger")
        worker.wait_event("overflow")
        os.mkdir(root + b"/d")
        known = {}
        follow(worker, known, lambda tree: b"d" in tree)
        write(root + b"/d/f")
        follow(worker, known, lambda tree: b"d/f" in tree)


def test_a_renamed_folder_is_told_in_one_event_with_what_is_gone(root):
    with FilesWorker() as worker:
        worker.open(root)
        os.mkdir(root + b"/old")
        write(root + b"/old/f")
        worker.request("watch", on=True)
        os.rename(root + b"/old", root + b"/new")
        event = worker.wait_event("changed")
    assert sorted(event["paths"]) == [b"new", b"old"]
    assert event["absent"] == [b"old"]
    assert [path for path, _ in decode_entries(event["entries"])] == [b"new", b"new/f"]


def test_watching_can_be_turned_off(watched, root):
    assert watched.request("watch", on=False)["mode"] == "off"
    write(root + b"/f")
    watched.request("barrier")
    assert watched.events == []


def test_a_change_is_told_within_milliseconds(root):
    with FilesWorker() as worker:
        worker.open(root)
        write(root + b"/f", b"0")
        worker.request("watch", on=True)
        taken = []
        for place in range(40):
            with open(root + b"/f", "r+b") as file:
                file.write(b"%d" % place)
                start = time.perf_counter()
            worker.wait_event("changed")
            taken.append(time.perf_counter() - start)
            time.sleep(0.006)  # a person saves seldom: the allowance for bursts is not what is measured
        # 1 ms is the aim on a quiet machine; the bound only tells a design that waits from one that does not.
        assert statistics.median(taken) < 0.02


def test_what_goes_from_a_folder_that_was_just_applied_is_told(watched, root):
    for number in range(20):
        folder = b"new%d" % number
        results = watched.apply([op("dir", folder), put(folder + b"/x", b"x"), put(folder + b"/y", b"y")], [b"x", b"y"])
        assert [result[0] for result in results] == ["ok", "ok", "ok"]
        # Most often before the worker has begun to watch the folder.
        os.unlink(root + b"/" + folder + b"/x")
        watched.request("barrier")
        known = {folder: None, folder + b"/x": None, folder + b"/y": None}
        follow(watched, known, lambda tree, gone=folder + b"/x": gone not in tree)
        assert folder + b"/y" in known
