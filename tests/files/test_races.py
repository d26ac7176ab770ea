"""What changes right at the moment at which a file is read, sent or replaced is noticed: no content passes for another, none is lost."""

import hashlib
import os
import struct

import pytest
from plain import read, write

from afield.files.bundle import Pack
from afield.files.handles import Handles
from afield.files.tasks import Task
from afield.testing.files import FilesWorker, op, put

# A worker that writes to a file the first time it comes to a step.
BOOT = """
import sys
sys.path.insert(0, %r)
from afield.files import steps, worker
def hook(name):
    if name == STEP:
        steps.hook = None
        with open(PATH, "wb") as file:
            file.write(b"typed meanwhile")
steps.hook = hook
worker.main(0, 1)
"""


def write_old(path, content):
    write(path, content)
    os.utime(path, (1, 1))  # so that any later write shows


def meddling(step, path):
    return FilesWorker(boot=BOOT.replace("STEP", repr(step)).replace("PATH", repr(path)))


@pytest.mark.parametrize("step", ["staged", "kept"])
def test_an_edit_right_before_a_file_is_replaced_stays(root, step):
    with meddling(step, root + b"/f") as worker:
        worker.open(root)
        write_old(root + b"/f", b"scanned")
        (found,) = worker.apply([put(b"f", b"new", worker.tree()[b"f"])], [b"new"])
        assert found[0] == "refused"
        assert read(root + b"/f") == b"typed meanwhile"


@pytest.mark.parametrize("step", ["staged", "place"])
def test_a_file_that_is_made_right_before_a_new_one_takes_its_name_stays(root, step):
    with meddling(step, root + b"/f") as worker:
        worker.open(root)
        (found,) = worker.apply([put(b"f", b"new")], [b"new"])
        assert found[0] == "refused"
        assert read(root + b"/f") == b"typed meanwhile"


def test_a_removal_does_not_take_what_came_right_now(root):
    with meddling("keep", root + b"/d/f") as worker:
        worker.open(root)
        os.mkdir(root + b"/d")
        write_old(root + b"/d/f", b"scanned")
        (found,) = worker.apply([op("remove", b"d/f", worker.tree()[b"d/f"])])
        assert found[1]["code"] == "file-changed"
        assert read(root + b"/d/f") == b"typed meanwhile"
        assert worker.request("history") == []
        assert worker.apply([op("remove", b"d/f", worker.tree()[b"d/f"])])[0][0] == "ok"
        assert [event[2:4] for event in worker.request("history")] == [[b"d/f", "removed"]]


def test_a_rename_does_not_take_what_came_right_now(root):
    with meddling("move", root + b"/f") as worker:
        worker.open(root)
        write_old(root + b"/f", b"scanned")
        (found,) = worker.apply([op("move", b"f", worker.tree()[b"f"], to=b"g")])
        assert found[1]["code"] == "file-changed"
        assert read(root + b"/f") == b"typed meanwhile"
        assert not os.path.exists(root + b"/g")
        assert worker.apply([op("move", b"f", worker.tree()[b"f"], to=b"g")])[0][0] == "ok"
        assert read(root + b"/g") == b"typed meanwhile"


def test_a_name_that_is_taken_again_after_a_rename_is_left_alone(root):
    with meddling("moved", root + b"/f") as worker:
        worker.open(root)
        write_old(root + b"/f", b"scanned")
        (found,) = worker.apply([op("move", b"f", worker.tree()[b"f"], to=b"g")])
        assert found[0] == "ok"
        assert (read(root + b"/f"), read(root + b"/g")) == (b"typed meanwhile", b"scanned")


@pytest.mark.parametrize("size", [3, 2_000_000], ids=["whole", "streamed"])
@pytest.mark.parametrize("told", ["digest of the scan", "nothing"])
def test_content_that_was_damaged_on_the_way_is_not_kept(worker, root, size, told):
    content, meant = b"x" * size, b"y" * size
    one = {**put(b"f", content), **({"digest": None} if told == "nothing" else {})}
    raw = struct.pack("<Q", size) + content + b"\0" + hashlib.sha256(meant).digest()
    number = worker.send("apply", ops=[one])
    worker.send_data(number, [raw[at : at + (1 << 18)] for at in range(0, len(raw), 1 << 18)])
    ((_, outcome, error),) = [item for part in worker.wait(number).parts for item in part]
    assert (outcome, error["code"]) == ("error", "file-failed")
    assert "damaged on the way" in error["text"]
    assert not os.path.exists(root + b"/f")


@pytest.mark.parametrize("change", ["grow", "shrink", "overwrite"])
def test_a_small_file_that_changes_while_it_is_read_is_bad(folder, monkeypatch, change):
    path = folder + b"/f"
    write_old(path, b"x" * 100)
    real = os.read

    def meddle(fd, size):
        data = real(fd, size) if change == "overwrite" else b""
        monkeypatch.setattr(os, "read", real)
        with open(path, "r+b") as file:
            if change == "shrink":
                file.truncate(10)
            else:
                file.seek(0, os.SEEK_END if change == "grow" else os.SEEK_SET)
                file.write(b"changed")
        return data or real(fd, size)

    fd = os.open(folder, os.O_RDONLY)
    handles = Handles(fd)
    work, task = Pack(handles, [(b"f", None)]), Task(1)
    task.until = float("inf")
    monkeypatch.setattr(os, "read", meddle)
    data = b"".join(work.run(task))
    handles.forget()
    os.close(fd)
    assert [row[:2] for row in work.failed] == [[b"f", "file-changed"]]
    assert data == struct.pack("<Q", 0) + b"\1" + hashlib.sha256().digest()
