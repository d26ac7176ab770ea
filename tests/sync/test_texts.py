"""The kept texts: what is kept is right or missing, never wrong; the store is bounded and may vanish at any time."""

import asyncio
import hashlib
import os
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.sync import resolve, texts
from afield.sync.texts import Texts


def digest(text):
    return hashlib.sha256(text).digest()


@pytest.fixture
def store(tmp_path):
    made = Texts(str(tmp_path / "state" / "base.texts"))
    yield made
    made.close()


def add(store, *contents):
    store.add([(digest(text), text) for text in contents])


def test_what_was_added_is_given_back_also_after_a_restart(store):
    add(store, b"one", b"two" * 1000)
    add(store, b"one")
    store.close()
    assert store.get(digest(b"one")) == b"one"
    assert store.get(digest(b"two" * 1000)) == b"two" * 1000
    assert store.get(digest(b"three")) is None
    assert store.known() == {digest(b"one"), digest(b"two" * 1000)}
    assert os.stat(store.path).st_mode & 0o777 == 0o600


def test_the_oldest_make_room(store, monkeypatch):
    monkeypatch.setattr(texts, "KEPT_BYTES", 25_000)
    contents = [os.urandom(10_000) for _ in range(4)]
    for text in contents:
        add(store, text)
    assert store.known() == {digest(text) for text in contents[-2:]}


@given(st.binary(max_size=200))
def test_a_store_that_is_no_database_is_made_anew(tmp_path_factory, data):
    path = str(tmp_path_factory.mktemp("t") / "base.texts")
    with open(path, "wb") as file:
        file.write(b"x" + data)
    store = Texts(path)
    assert store.get(digest(b"a")) is None
    assert store.known() == set()
    add(store, b"a")
    assert store.get(digest(b"a")) == b"a"
    store.close()
    os.unlink(path)


def test_a_damaged_text_is_a_missing_one(store):
    add(store, b"one")
    store.close()
    with sqlite3.connect(store.path) as db:
        db.execute("UPDATE texts SET data = ?", (b"\x00\x01",))
    db.close()
    assert store.get(digest(b"one")) is None


def test_large_and_binary_files_are_not_kept(pair, monkeypatch):
    monkeypatch.setattr(texts, "KEPT_SIZE", 1000)

    async def body():
        (pair.here / "small").write_text("small")
        (pair.here / "large").write_text("x" * 1001)
        (pair.here / "binary").write_bytes(b"a\0b")
        (pair.here / "empty").write_text("")
        async with pair.up() as session:
            await session.texts.settled()
            assert session.texts.texts.known() == {digest(b"small")}
            (pair.here / "small").write_text("second")
            await session.flush()
            await session.texts.settled()
            assert session.texts.texts.known() == {digest(b"small"), digest(b"second")}

    asyncio.run(body())


def test_a_merge_never_overwrites_what_was_saved_while_it_was_made(pair, monkeypatch):
    merge = resolve.merging.merge

    async def body():
        (pair.here / "x").write_bytes(b"one\ntwo\nthree\n")
        async with pair.up() as session:
            await session.texts.settled()
            session.suspend("test")
            (pair.here / "x").write_bytes(b"ONE\ntwo\nthree\n")
            (pair.there / "x").write_bytes(b"one\ntwo\nTHREE\n")
            session.resume()
            await session.flush()

            def meanwhile(*args):
                (pair.here / "x").write_bytes(b"saved in that very moment")
                return merge(*args)

            monkeypatch.setattr(resolve.merging, "merge", meanwhile)
            done = await session.settle([b"x"], "merge")
            assert done.settled == []
            assert (pair.here / "x").read_bytes() == b"saved in that very moment"
            assert (pair.there / "x").read_bytes() == b"one\ntwo\nTHREE\n"
            await session.flush()
            assert [conflict.path for conflict in session.conflicts()] == [b"x"]

    asyncio.run(body())
