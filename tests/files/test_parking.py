"""A worker that was parked answers the next client from what its watch kept, and never from what is no longer so."""

import os
import shutil

import pytest

from afield.files.scan import listing_digest
from afield.testing.files import FilesWorker
from afield.tree.entries import decode_entries
from afield.tree.listing import decode_same, encode_known


def write(path, data=b"x"):
    with open(path, "wb") as file:
        file.write(data)


def digests(root):
    """[(folder, digest)] of all that is synced, as it is now."""
    found = []
    for top, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in (b".afield", b"__pycache__")]
        path = b"" if top == root else os.path.relpath(top, root)
        names = sorted(folders + files)
        found.append((path, listing_digest([(name, os.lstat(os.path.join(top, name))) for name in names])))
    return found


class Client:
    """Asks as a sync does."""

    def __init__(self, worker, root):
        self.worker, self.root = worker, root

    def scan(self, known):
        number = self.worker.send("scan", path=b"", known=True, watch=True)
        self.worker.send_data(number, [encode_known(known)])
        answer = self.worker.wait(number)
        flags = decode_same(answer.result["same"], known)
        same = {path for (path, _), flag in zip(known, flags, strict=True) if flag}
        return {path for part in answer.parts for path, _ in decode_entries(part)}, same, answer.result

    def park(self):
        return self.worker.request("park")["parked"]


@pytest.fixture
def client(root, worker):
    for name in (b"a", b"a/b", b"c", b"c/__pycache__"):
        os.mkdir(root + b"/" + name)
    for name in (b"f", b"a/f", b"a/b/f", b"c/f", b"c/__pycache__/f.pyc"):
        write(root + b"/" + name)
    found = Client(worker, root)
    found.scan(digests(root))
    return found


@pytest.fixture
def opened(client, monkeypatch):
    """Park, do something, open again; gives the folders that were looked at then and the answer."""
    known = digests(client.root)

    def run(act, **args):
        assert client.park()
        act()
        client.worker.open(client.root, **args)
        return client.scan(known)

    return run


def test_nothing_changed_and_nothing_is_told(opened, client):
    told, same, result = opened(lambda: None)
    assert (told, same) == (set(), {b"", b"a", b"a/b", b"c"})
    assert [b"c/__pycache__", 1] in result["ignored"]["largest"]


def test_kept_folders_are_not_listed_again(client, folder):
    # A write through another name outside of the root is the one thing that no event tells of.
    os.link(client.root + b"/a/f", folder + b"/outside")
    known = digests(client.root)
    client.scan(known)
    client.scan(known)
    assert client.park()
    write(folder + b"/outside", b"other")
    client.worker.open(client.root)
    told, same, _ = client.scan(known)
    assert told == set()
    assert same == {path for path, _ in known}


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda root: write(root + b"/a/b/f", b"other"), {b"a/b/f"}),
        (lambda root: write(root + b"/a/new"), {b"a/f", b"a/new", b"a/b"}),
        (lambda root: os.unlink(root + b"/c/f"), set()),
        (lambda root: os.chmod(root + b"/c/f", 0o755), {b"c/f"}),
        (lambda root: os.rename(root + b"/a/b", root + b"/d"), {b"a", b"c", b"d", b"f", b"a/f", b"d/f"}),
        (lambda root: shutil.rmtree(root + b"/a"), {b"c", b"f"}),
        (lambda root: (shutil.rmtree(root + b"/a/b"), os.mkdir(root + b"/a/b"), write(root + b"/a/b/g")), None),
        (lambda root: (os.makedirs(root + b"/x/y"), write(root + b"/x/y/z")), None),
    ],
)
def test_whatever_happened_meanwhile_is_told(opened, client, act, told):
    before = dict(digests(client.root))
    found, same, _ = opened(lambda: act(client.root))
    now = dict(digests(client.root))
    assert same == {path for path, digest in before.items() if now.get(path) == digest}
    assert told is None or {path for path in found if path not in same} <= told | same
    changed = {path for path, digest in now.items() if before.get(path) != digest}
    for path in changed:
        inside = client.root + b"/" + path if path else client.root
        names = {name for name in os.listdir(inside) if name not in (b".afield", b"__pycache__")}
        missing = {os.path.join(path, name) for name in names} - found
        assert missing <= same, "not told of"


def test_after_a_second_rest_new_folders_are_watched(opened, client):
    opened(lambda: (os.makedirs(client.root + b"/x/y"), write(client.root + b"/x/y/z")))
    known = digests(client.root)
    client.scan(known)
    assert client.park()
    write(client.root + b"/x/y/z", b"other")
    client.worker.open(client.root)
    told, same, _ = client.scan(known)
    assert told == {b"x/y/z"}
    assert b"x/y" not in same


def test_nothing_is_said_while_it_rests_and_changes_are_told_again_after_it(client):
    assert client.park()
    write(client.root + b"/a/quiet")
    client.worker.open(client.root)
    client.scan(digests(client.root))
    write(client.root + b"/a/loud")
    event = client.worker.wait_event("changed")
    assert event["paths"] == [b"a/loud"]


def test_new_ignore_rules_are_looked_at_anew(opened, client):
    told, same, result = opened(lambda: write(client.root + b"/.gitignore", b"/a\n"))
    assert b"a" not in told
    assert result["mode"] == "inotify"
    assert not {b"a", b"a/b"} & same


def test_other_settings_open_the_root_anew(opened, client):
    told, same, _ = opened(lambda: None, ignore=["/c/f"])
    assert b"c" not in same
    assert told == set()


def test_an_identity_that_was_taken_away_is_not_overlooked(client):
    assert client.park()
    os.unlink(client.root + b"/.afield/identity")
    assert client.worker.open(client.root)["identity_new"]


def test_a_worker_that_does_not_watch_does_not_park(root):
    with FilesWorker() as worker:
        worker.open(root)
        assert worker.request("park") == {"parked": False}


def test_what_is_known_may_come_after_the_scan_began(root, worker, client):
    for number in range(300):
        os.mkdir(root + b"/many%d" % number)
        write(root + b"/many%d/f" % number)
    os.symlink(b"f", root + b"/many7/link")
    known = digests(root)
    write(root + b"/many3/f", b"other")
    os.unlink(root + b"/many7/f")
    number = worker.send("scan", path=b"", known=True)
    worker.request("clock")
    worker.send_data(number, [encode_known(known)])
    answer = worker.wait(number)
    told = {path for part in answer.parts for path, _ in decode_entries(part)}
    flags = decode_same(answer.result["same"], known)
    same = {path for (path, _), flag in zip(known, flags, strict=True) if flag}
    assert {path for path, _ in known} - same == {b"many3", b"many7"}
    assert {path for path in told if path not in same} == {b"many3/f", b"many7/link"}


def test_a_scan_holds_only_so_much_back(monkeypatch):
    from afield.files import early

    held = early.Early()
    monkeypatch.setattr(early, "MOST", 3)
    for number in range(4):
        assert not held.full
        held.add((b"%d" % number, None, [], None))
    assert held.full
