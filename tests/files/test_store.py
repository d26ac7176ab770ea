"""A file that is put goes on where it stopped, arrives with its SHA-256 or not at all, and replaces only what was meant."""

import hashlib
import os

import pytest

from afield import errors
from afield.testing.files import FilesWorker

WHOLE = os.urandom(700_000)


def digest(data):
    return hashlib.sha256(data).digest()


def send(worker, path, data, *, of, **args):
    number = worker.send("store", path=path, trailer=True, **args)
    worker.send_data(number, [data, digest(of)])
    return worker.wait(number).result


def wait_written(worker, folder):
    while not any(os.stat(folder + b"/" + name).st_size for name in os.listdir(folder) if b"part" in name):
        worker.request("list", path=folder)


def begin(worker, folder, count):
    """Send the first bytes, cut the worker off, and give what it left."""
    number = worker.send("store", path=folder + b"/f", trailer=True, resume=b"a-1")
    worker.send_piece(number, WHOLE[:count])
    wait_written(worker, folder)
    worker.cancel(number)
    with pytest.raises(errors.Cancelled):
        worker.wait(number)
    return [name for name in os.listdir(folder) if name.endswith(b".afield-part")]


def test_a_broken_store_goes_on_where_it_stopped(worker, folder):
    number = worker.send("store", path=folder + b"/f", trailer=True, resume=b"a-1")
    worker.send_piece(number, WHOLE[:500_000])
    wait_written(worker, folder)
    worker.kill()
    with FilesWorker() as fresh:
        there = fresh.request("part", path=folder + b"/f", resume=b"a-1")
        at = there["offset"]
        assert 0 < at <= 500_000
        assert there["digest"] == digest(WHOLE[:at])
        told = send(fresh, folder + b"/f", WHOLE[at:], of=WHOLE, resume=b"a-1", offset=at)
    assert told["digest"] == digest(WHOLE)
    with open(folder + b"/f", "rb") as file:
        assert file.read() == WHOLE
    assert sorted(os.listdir(folder)) == [b"f", b"root"]


def test_without_the_question_before_the_part_is_hashed_again(worker, folder):
    assert len(begin(worker, folder, 100_000)) == 1
    with FilesWorker() as fresh:
        send(fresh, folder + b"/f", WHOLE[50_000:], of=WHOLE, resume=b"a-1", offset=50_000)
    with open(folder + b"/f", "rb") as file:
        assert file.read() == WHOLE


def test_the_beginning_of_another_version_goes(worker, folder):
    begin(worker, folder, 100_000)
    assert worker.request("part", path=folder + b"/f", resume=b"b-2")["offset"] == 0
    assert os.listdir(folder) == [b"root"]


def test_a_damaged_file_is_not_put_into_place(worker, folder):
    with pytest.raises(errors.FileFailed, match="SHA-256"):
        send(worker, folder + b"/f", WHOLE[:1000], of=WHOLE, resume=b"a-1")
    assert os.listdir(folder) == [b"root"]


def test_a_part_that_vanished_is_an_error_and_no_hole(worker, folder):
    with pytest.raises(errors.FileChanged):
        send(worker, folder + b"/f", b"rest", of=WHOLE, resume=b"a-1", offset=5)
    assert not os.path.exists(folder + b"/f")


def test_what_changed_meanwhile_is_not_replaced(worker, folder):
    path = folder + b"/f"
    with open(path, "wb") as file:
        file.write(b"old")
    found = os.stat(path)
    was = [found.st_size, found.st_mtime_ns]
    send(worker, path, b"new", of=b"new", was=was)
    with pytest.raises(errors.FileChanged, match="meanwhile"):
        send(worker, path, b"newer", of=b"newer", was=was)
    with open(path, "rb") as file:
        assert file.read() == b"new"


def test_a_stamp_that_is_no_stamp_is_refused(worker, folder):
    for stamp in (b"../x", b"", b"a" * 200, "text"):
        with pytest.raises(errors.BadPath):
            worker.request("part", path=folder + b"/f", resume=stamp)
