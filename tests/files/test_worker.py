"""The loop: requests take turns, bulk rests while nobody reads, garbage and the end are met calmly."""

import os
import signal
import struct
import subprocess
import sys
import time

import pytest
from plain import write

from afield import errors
from afield.files.worker import FULL
from afield.testing.files import FilesWorker, pack, put
from afield.wire.records import encode_record


def test_a_small_request_overtakes_a_large_one(worker, root):
    write(root + b"/large", b"x" * (64 << 20))
    large = worker.send("hash", paths=[b"large"] * 20)
    small = worker.send("rescan", paths=[b"none"])
    assert worker.wait(small).result["absent"] == [b"none"]
    assert not worker._answers[large].over
    worker.cancel(large)
    with pytest.raises(errors.Cancelled):
        worker.wait(large)


def test_bulk_rests_while_nobody_reads_and_apply_does_not(worker, root):
    write(root + b"/large", b"x" * (32 << 20))
    number = worker.send("read", items=[[b"large", None]])
    worker.send_data(worker.send("apply", ops=[put(b"f", b"content")]), pack([b"content"]))
    end = time.monotonic() + 20
    while not os.path.exists(root + b"/f"):
        assert time.monotonic() < end
        time.sleep(0.01)
    with open(f"/proc/{worker.process.pid}/statm", encoding="ascii") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert resident < 40 << 20
    assert sum(map(len, worker.wait(number).parts)) == (32 << 20) + 41
    assert FULL < 32 << 20


def test_it_ends_with_its_pipe_and_leaves_no_staging(root):
    worker = FilesWorker()
    worker.open(root)
    worker.send("apply", ops=[put(b"f", b"x" * 100)])
    assert worker.close() == 0
    assert os.listdir(root + b"/.afield/staging") == []


def test_it_ends_when_nobody_reads_the_answers(root):
    worker = FilesWorker()
    worker.open(root)
    worker.process.stdout.close()
    worker.write(encode_record([99, "scan", {}]))
    worker.process.wait(20)
    worker.process.stdin.close()


def test_an_interrupt_is_not_for_the_worker(worker):
    worker.process.send_signal(signal.SIGINT)
    assert worker.request("barrier") == {}


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff\xff", struct.pack("<I", 1) + b"\xff", struct.pack("<I", 3) + b"abc"],
)
def test_bytes_that_are_no_records_end_it_with_an_error(data):
    worker = FilesWorker()
    worker.write(data)
    _, value = ("error", worker.wait_event("error"))
    assert value["code"] == "protocol"
    worker.process.wait(20)
    worker.close()


@pytest.mark.parametrize("value", [None, [], [1, "scan"], [1, 2, {}], ["a", "b", {}], {"x": 1}])
def test_a_value_that_is_no_request_is_an_error_and_no_end(worker, value):
    worker.write(encode_record(value))
    assert worker.wait_event("error")["code"] == "protocol"
    assert worker.request("barrier") == {}


@pytest.mark.parametrize(
    ("verb", "args"),
    [
        ("explode", {}),
        ("open", {}),
        ("open", {"root": "text"}),
        ("apply", {}),
        ("apply", {"ops": [{"op": "x"}]}),
        ("apply", {"ops": b"garbage"}),
        ("read", {"items": 3}),
        ("read", {"items": [[b"x", [1]]]}),
        ("rescan", {"paths": ["text"]}),
    ],
)
def test_arguments_that_are_wrong_are_an_error_and_no_end(worker, verb, args):
    with pytest.raises((errors.ProtocolError, errors.FilesError)):
        worker.request(verb, **args)
    assert worker.request("barrier") == {}


def test_data_for_nobody_is_dropped(worker):
    worker.write(encode_record([77, "data", b"x"]) + encode_record([77, "end", {}]) + encode_record([77, "cancel", {}]))
    assert worker.request("barrier") == {}


def test_two_workers_on_one_root_do_not_sweep_each_other(root):
    with FilesWorker() as one, FilesWorker() as two:
        one.open(root)
        number = one.send("apply", ops=[put(b"f", b"x" * (2 << 20))])
        one.write(encode_record([number, "data", struct.pack("<Q", 2 << 20) + b"x" * (1 << 19)]))
        one.request("barrier")
        two.open(root)
        assert two.apply([put(b"g", b"y")], [b"y"])[0][0] == "ok"
        import hashlib

        rest = b"x" * (3 << 19) + b"\0" + hashlib.sha256(b"x" * (2 << 20)).digest()
        one.send_data(number, [rest[place : place + (1 << 18)] for place in range(0, len(rest), 1 << 18)])
        assert one.wait(number).parts[0][0][1] == "ok"


def test_it_starts_without_the_heavy_modules():
    code = (
        "import sys; sys.path.insert(0, %r); import afield.files.worker; "
        "print(sorted({'typing','asyncio','subprocess','json','logging','socket','ctypes','threading'} & set(sys.modules)))"
    )
    from afield.testing.files import SOURCE

    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code % SOURCE], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_a_root_that_is_only_looked_at_stays_as_it_is(root):
    os.mkdir(root)
    write(root + b"/Name", b"content")
    with FilesWorker() as worker:
        opened = worker.request("open", root=root, look=True, ignore=[])
        assert (opened["identity"], opened["created"], opened["probe"]["case_sensitive"]) == (b"", False, True)
        assert worker.request("scan", path=b"")["count"] == 1
        assert worker.parts("hash", paths=[b"Name"])
        for verb, args in (
            ("apply", {"ops": [{"op": "remove", "path": b"Name", "was": None, "was_kind": None}]}),
            ("history", {}),
            ("restore", {"event": b"a/replaced/b"}),
            ("remove-root", {"yes": b""}),
            ("signature", {"path": b"Name", "was": None, "block": 8192}),
        ):
            with pytest.raises(errors.FilesError, match="only to look"):
                worker.request(verb, **args)
        assert os.listdir(root) == [b"Name"]
        assert worker.request("open", root=root, ignore=[])["identity_new"]
    with FilesWorker() as worker:
        # One that was synced is opened as ever.
        assert worker.request("open", root=root, look=True, ignore=[])["identity"]


FAILING = """
import errno, sys
sys.path.insert(0, %r)
from afield.files import steps
from afield.files.worker import main

def hook(name):
    if name == "hash":
        raise OSError(errno.EIO, "Input/output error")

steps.hook = hook
main(0, 1)
"""


def test_a_failure_of_the_system_that_no_verb_expects_is_told_as_one(root):
    with FilesWorker(boot=FAILING) as worker:
        worker.open(root)
        with pytest.raises(errors.FileFailed, match="Input/output error"):
            worker.request("hash", paths=[b"f"])
        assert worker.request("rescan", paths=[b"none"]) is not None
