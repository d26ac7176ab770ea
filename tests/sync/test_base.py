"""The store keeps what was agreed on; a store that is no good counts as none."""

import os
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afield.errors import DiskFull
from afield.sync.base import BaseStore, Row
from afield.tree.entries import FOLDER, Node, Stat

PAIR = {"identity": "abc", "here": "/h", "there": "place /t"}
numbers = st.integers(0, 2**63 - 1)
stats = st.builds(Stat, numbers, st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**64 - 1), numbers)
nodes = st.one_of(
    st.builds(Node, st.just("f"), st.booleans(), st.binary(min_size=32, max_size=32)),
    st.builds(Node, st.just("l"), st.just(False), st.binary(min_size=1, max_size=40)),
)
some_rows = st.builds(Row, nodes, stats, stats) | st.just(Row(FOLDER, Stat(0, 0, 0, 0), Stat(0, 0, 0, 0)))
rows = st.dictionaries(st.binary(min_size=1, max_size=40), some_rows, max_size=10)
STAT = Stat(1, 2, 3, 4)
FILE = Row(Node("f", False, bytes(32)), STAT, STAT)


def test_a_full_disk_is_named_and_the_store_stays_as_it_was(store):
    store.load(PAIR)
    store.remember([(b"kept", FILE)], [])
    store._db.execute("PRAGMA max_page_count = 1")
    with pytest.raises(DiskFull, match="full here"):
        store.remember([(b"%d" % number + b"x" * 500, FILE) for number in range(200)], [b"kept"])
    store.remember([(b"small", FILE)], [])
    store.close()
    again = BaseStore(store.path)
    assert set(again.load(PAIR).rows) == {b"kept", b"small"}
    again.close()


def test_a_disk_that_is_full_when_it_is_opened_does_not_cost_the_store(store, monkeypatch):
    store.load(PAIR)
    store.remember([(b"kept", FILE)], [])
    store.close()
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    with monkeypatch.context() as patched:
        patched.setattr(BaseStore, "_open", lambda *_: (_ for _ in ()).throw(error))
        with pytest.raises(DiskFull):
            store.load(PAIR)
    loaded = store.load(PAIR)
    assert (set(loaded.rows), loaded.trouble) == ({b"kept"}, None)


@pytest.mark.parametrize("room", [0, 4096, 16384, 36864, 65536])
def test_a_store_whose_disk_was_full_is_opened_again_by_the_same_process(tmp_path, disk_at, room):
    disk = disk_at(tmp_path / "disk")
    store, failures = BaseStore(str(disk.folder / "base.db")), []
    store.load(PAIR)
    store.remember([(b"%d" % number + b"x" * 300, FILE) for number in range(300)], [])
    store.close()
    disk.leave(room)

    def attempt(act, *args):
        try:
            act(*args)
        except DiskFull as error:  # and kept: what it still holds open must not be in the way
            failures.append(error)

    for again in (store, BaseStore(store.path)):
        attempt(again.identity_of, "")
        attempt(again.read_ahead)
        attempt(again.load, PAIR)
        if again.is_open:
            attempt(again.remember, [(b"%d" % number + b"y" * 300, FILE) for number in range(900)], [])
            again.close()
    assert failures
    disk.free()
    for count, again in ((300, store), (301, BaseStore(store.path))):
        loaded = again.load(PAIR)
        assert (len(loaded.rows), loaded.trouble) == (count, None)
        again.remember([(b"new", FILE)], [])
        again.close()


def test_a_first_store_that_a_full_disk_did_not_take_is_made_when_there_is_room(tmp_path, disk_at):
    disk = disk_at(tmp_path / "disk")
    store = BaseStore(str(disk.folder / "base.db"))
    disk.leave(8192)
    with pytest.raises(DiskFull):
        store.load(PAIR)
    disk.free()
    assert store.load(PAIR) == ({}, None)
    store.remember([(b"new", FILE)], [])
    store.close()


@pytest.fixture
def store(tmp_path):
    made = BaseStore(str(tmp_path / "state" / "base.db"))
    yield made
    made.close()


@given(rows, rows)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_remembered_is_there_after_a_restart(tmp_path, first, second):
    path = str(tmp_path / "p" / "base.db")
    for name in (path, path + "-wal", path + "-shm"):
        if os.path.exists(name):
            os.unlink(name)
    store = BaseStore(path)
    assert store.load(PAIR) == ({}, None)
    store.remember(first.items(), ())
    store.remember(second.items(), [p for p in first if p not in second])
    store.close()
    again = BaseStore(path)
    assert again.load(PAIR) == (second, None)
    again.close()


def test_the_store_is_private(store):
    store.load(PAIR)
    assert os.stat(store.path).st_mode & 0o077 == 0


def test_a_store_of_another_pair_counts_as_empty(store):
    store.load(PAIR)
    store.remember([(b"a", FILE)], ())
    store.close()
    found = store.load({**PAIR, "there": "elsewhere /t"})
    assert found.rows == {}
    assert "another pair" in found.trouble


def test_a_store_that_is_garbage_counts_as_empty_and_is_kept_for_a_look(store):
    os.makedirs(os.path.dirname(store.path))
    with open(store.path, "wb") as file:
        file.write(os.urandom(5000))
    found = store.load(PAIR)
    assert found.rows == {}
    assert found.trouble
    assert os.path.exists(store.path + ".broken")
    store.remember([(b"a", FILE)], ())
    store.close()
    assert store.load(PAIR) == ({b"a": FILE}, None)


def test_a_store_with_torn_pages_counts_as_empty(store):
    store.load(PAIR)
    store.remember([(b"%d" % i, FILE) for i in range(2000)], ())
    store.close()
    size = os.path.getsize(store.path)
    with open(store.path, "r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * 8192)
    assert store.load(PAIR).rows == {}


@pytest.mark.parametrize(
    "row",
    [
        (b"a", b"F" + bytes(64) + b"short"),
        (b"a", b"?" + bytes(64)),
        (b"a", b"f" + bytes(64)),
        (b"a", b"d" + bytes(32)),
        (b"", b"d" + bytes(64)),
    ],
)
def test_a_row_that_cannot_be_makes_the_store_empty(store, row):
    store.load(PAIR)
    store.close()
    db = sqlite3.connect(store.path)
    db.execute("INSERT INTO agreed VALUES (?, ?)", row)
    db.commit()
    db.close()
    found = store.load(PAIR)
    assert found.rows == {}
    assert found.trouble


def test_a_transaction_that_fails_leaves_the_rows_as_they_were(store):
    store.load(PAIR)
    store.remember([(b"a", FILE)], ())
    with pytest.raises(AttributeError):
        store.remember([(b"b", FILE), (b"c", (None, None, None))], [b"a"])
    store.close()
    assert store.load(PAIR).rows == {b"a": FILE}


def test_forget_all_makes_it_empty(store):
    store.load(PAIR)
    store.remember([(b"a", FILE)], ())
    store.forget_all()
    store.close()
    assert store.load(PAIR) == ({}, None)
