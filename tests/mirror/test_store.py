"""The content store: each content once, whole or not at all, and gone when nobody uses it."""

import errno
import hashlib
import multiprocessing
import os
import time

import pytest

from afield.errors import ProtocolError
from afield.mirror.store import Store, time_of


@pytest.fixture
def store(tmp_path):
    with Store(os.fsencode(tmp_path / "store")) as made:
        yield made


def sha(data):
    return hashlib.sha256(data).digest()


def linked(store, digest, folder, name=b"x.py"):
    fd = os.open(folder, os.O_RDONLY)
    try:
        store.link(digest, name, fd)
    finally:
        os.close(fd)
    return os.stat(os.path.join(os.fsencode(folder), name))


def test_a_content_is_kept_once_and_has_the_time_of_its_hash(store, tmp_path):
    digest = store.put(b"text")
    assert store.put(b"text", sha(b"text")) == digest
    assert store.size() == (1, 4)
    found = linked(store, digest, tmp_path)
    assert (found.st_ino, found.st_nlink) == (os.stat(store.path(digest)).st_ino, 2)
    assert found.st_mtime_ns == time_of(digest) != time_of(sha(b"next"))


def test_one_that_is_not_what_was_expected_is_not_kept(store):
    with pytest.raises(ProtocolError):
        store.put(b"text", sha(b"other"))
    assert store.size() == (0, 0)


@pytest.mark.parametrize("harm", ["cut", "written", "longer"])
def test_one_that_was_harmed_is_lacking_and_made_anew(store, harm):
    digest = store.put(b"text")
    path = store.path(digest)
    os.chmod(path, 0o644)
    with open(path, "wb" if harm == "cut" else "r+b") as file:
        file.write({"cut": b"te", "written": b"TEXT", "longer": b"text and more"}[harm])
    os.chmod(path, 0o444)
    assert store.lacks({digest: 4}) == {digest}
    store.put(b"text")
    assert store.read(digest) == b"text"
    assert store.lacks({digest: 4}) == set()


def test_many_are_looked_up_as_few_are(store, monkeypatch):
    digests = {store.put(b"%d" % number): len(b"%d" % number) for number in range(20)}
    absent = {sha(b"absent%d" % number): 7 for number in range(20)}
    few = store.lacks({**digests, **absent})
    monkeypatch.setattr("afield.mirror.store._MANY", 5)
    assert store.lacks({**digests, **absent}) == few == set(absent)


def test_what_nobody_uses_goes_after_its_time_and_what_somebody_uses_stays(store, tmp_path):
    used, unused = store.put(b"used"), store.put(b"unused")
    linked(store, used, tmp_path)
    assert store.collect(3600) == (0, 0)
    assert store.collect(3600, now=time.time() + 7200) == (1, 6)
    assert store.whole(used)
    assert not store.whole(unused)
    os.unlink(tmp_path / "x.py")
    # The inode's change time tells since when nobody uses it.
    assert store.collect(3600) == (0, 0)
    assert store.collect(0, now=time.time() + 1) == (1, 4)


def test_no_collection_while_another_sync_runs(store):
    store.put(b"fetched and not yet linked")
    with Store(store.folder):
        assert store.collect(0, now=time.time() + 1) == (0, 0)
    assert store.collect(0, now=time.time() + 1)[0] == 1


def test_where_links_cannot_be_there_are_copies(store, tmp_path, monkeypatch):
    digest = store.put(b"text")

    def refuse(*_, **__):
        raise OSError(errno.EXDEV, "cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    found = linked(store, digest, tmp_path)
    assert (found.st_nlink, found.st_mtime_ns, found.st_mode & 0o777) == (1, time_of(digest), 0o444)
    assert (tmp_path / "x.py").read_bytes() == b"text"


def test_a_content_with_all_the_names_it_may_have_gets_a_new_file(store, tmp_path, monkeypatch):
    digest = store.put(b"")
    before = os.stat(store.path(digest)).st_ino
    real, failed = os.link, []

    def once(*args, **more):
        if not failed:
            failed.append(True)
            raise OSError(errno.EMLINK, "too many links")
        return real(*args, **more)

    linked(store, digest, tmp_path, b"first.py")
    monkeypatch.setattr(os, "link", once)
    assert linked(store, digest, tmp_path).st_ino != before
    assert store.whole(digest, 0)


def _put_all(folder, start):
    start.wait()
    with Store(folder) as store:
        for number in range(200):
            store.put(b"content %d" % number)


def test_two_at_once_keep_the_same_contents(store):
    context = multiprocessing.get_context("fork")
    start = context.Event()
    workers = [context.Process(target=_put_all, args=(store.folder, start)) for _ in range(3)]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert store.size()[0] == 200
    assert all(store.whole(sha(b"content %d" % number)) for number in range(200))
    assert os.listdir(store.folder + b"/new") == []
