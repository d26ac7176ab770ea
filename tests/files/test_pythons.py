"""The worker does its work under every Python that an agent may meet."""

import os

import pytest

from afield.testing.files import FilesWorker, entries, op, put

pytestmark = pytest.mark.pythons


def test_scan_apply_read_watch_and_history_under_every_python(python, root):
    with FilesWorker(python) as worker:
        assert worker.open(root)["created"]
        worker.request("watch", on=True)
        large = os.urandom(700_000)
        ops = [
            op("dir", b"d\xff"),
            put(b"d\xff/a", b"1", executable=True),
            put(b"large", large),
            op("link", b"l", target=b"d\xff"),
        ]
        assert {item[0] for item in worker.apply(ops, [b"1", large], columns=True)} == {"ok"}
        tree = worker.tree()
        assert set(tree) == {b"d\xff", b"d\xff/a", b"large", b"l"}
        assert len(worker.read([[b"large", list(tree[b"large"].stat)]])) == 700_041
        assert worker.apply([put(b"d\xff/a", b"22", tree[b"d\xff/a"])], [b"22"])[0][0] == "ok"
        (event,) = worker.request("history")
        worker.request("restore", event=event[0])
        os.mkdir(root + b"/e")
        with open(root + b"/e/f", "wb") as file:
            file.write(b"x")
        seen = {}
        while b"e/f" not in seen:
            seen.update(entries([worker.wait_event("changed")["entries"]]))
        worker.request("barrier")
        assert worker.request("remove-root", yes=worker.open(root)["identity"]) == {"root": os.path.realpath(root)}
    assert not os.path.exists(root)
