"""A worker that rests after bulk gives its freed memory back, once."""

import os

import pytest

from afield.files import worker
from afield.wire.records import RecordReader, encode_record


@pytest.fixture
def served(monkeypatch):
    """A worker, a function that sends it a request and takes its answers, and the list of its trims."""
    trims = []
    monkeypatch.setattr(worker, "trim", lambda: trims.append(1))
    monkeypatch.setattr(worker, "TRIM_AFTER", 0.01)
    requests, send = os.pipe()
    take, answers = os.pipe()
    made = worker.Worker(requests, answers)

    def ask(*request):
        os.write(send, encode_record(list(request)))
        reader, got = RecordReader(), []
        while not any(value[1] in ("done", "error") for value in got):
            made.step()
            os.set_blocking(take, False)
            try:
                got += reader.feed(os.read(take, 1 << 20))
            except BlockingIOError:
                continue
        return got[-1]

    yield made, ask, trims
    for fd in (requests, send, take, answers):
        os.close(fd)


def test_memory_goes_back_once_after_bulk(served, tmp_path):
    made, ask, trims = served
    (tmp_path / "a").write_bytes(b"x")
    assert ask(1, "barrier", {})[1] in ("done", "error")
    assert made.trim_at == float("inf")
    assert ask(2, "open", {"root": os.fsencode(str(tmp_path)), "create": False})[1] == "done"
    assert ask(3, "hash", {"paths": [b"a"]})[1] == "done"
    while not trims:
        made.step()  # waits for that moment and for nothing else
    assert trims == [1]
    assert made.trim_at == float("inf")


def test_trimming_is_harmless():
    worker.trim()
