"""Conflicts: both versions stay, they are listed, and one word settles them; what is replaced can be brought back."""

import asyncio
import os

import pytest

from afield.errors import NoSuchFile


async def conflict(pair, session, name="x", here="mine", there="theirs"):
    """Change the same file on both sides before either change is seen."""
    session.suspend("test")
    (pair.here / name).write_text(here)
    (pair.there / name).write_text(there)
    session.resume()
    await session.flush()


def test_both_versions_of_a_conflict_stay_and_it_is_listed(pair):
    async def body():
        (pair.here / "x").write_text("base")
        async with pair.up() as session:
            await conflict(pair, session)
            assert [(c.path, c.kind) for c in session.conflicts()] == [(b"x", "edit")]
            assert session.status().conflicts == [{"path": "x", "kind": "edit"}]
            assert (pair.here / "x").read_text() == "mine"
            assert (pair.there / "x").read_text() == "theirs"
            (pair.here / "other").write_text("goes on")
            await session.flush()
            assert (pair.there / "other").read_text() == "goes on"
            assert session.status().conflicts_total == 1

    asyncio.run(body())


@pytest.mark.parametrize(("winner", "text", "kept_on"), [("here", "mine", "there"), ("there", "theirs", "here")])
def test_settling_puts_the_winner_on_both_sides_and_keeps_the_other_in_history(pair, winner, text, kept_on):
    async def body():
        (pair.here / "x").write_text("base")
        async with pair.up() as session:
            await conflict(pair, session)
            await session.settle([b"x"], winner)
            assert pair.equal() == {b"x": ("f", text.encode(), False)}
            assert session.conflicts() == []
            events = await session.history(b"x")
            assert events[0].side == kept_on
            await session.undo(b"x")
            await session.flush()
            loser = {"mine": "theirs", "theirs": "mine"}[text]
            assert pair.equal() == {b"x": ("f", loser.encode(), False)}

    asyncio.run(body())


def test_settling_one_conflict_leaves_the_others(pair):
    async def body():
        async with pair.up() as session:
            session.suspend("test")
            for name in ("a", "b"):
                (pair.here / name).write_text("mine")
                (pair.there / name).write_text("theirs")
            session.resume()
            await session.flush()
            await session.settle([b"a"], "here")
            assert [c.path for c in session.conflicts()] == [b"b"]

    asyncio.run(body())


def test_a_conflict_ends_by_itself_when_both_sides_become_equal(pair):
    async def body():
        async with pair.up() as session:
            await conflict(pair, session)
            (pair.here / "x").write_text("theirs")
            await session.flush()
            assert session.conflicts() == []
            assert (await session.history()) == []

    asyncio.run(body())


def test_an_edit_beats_a_deletion_on_the_other_side(pair):
    async def body():
        for name in ("a", "b"):
            (pair.here / name).write_text("base")
        async with pair.up() as session:
            session.suspend("test")
            (pair.here / "a").unlink()
            (pair.there / "a").write_text("edited there")
            (pair.there / "b").unlink()
            (pair.here / "b").write_text("edited here")
            session.resume()
            await session.flush()
            tree = pair.equal()
            assert tree[b"a"][1] == b"edited there"
            assert tree[b"b"][1] == b"edited here"

    asyncio.run(body())


def test_a_folder_removed_here_and_filled_there_stays(pair):
    async def body():
        (pair.here / "d").mkdir()
        (pair.here / "d" / "old").write_text("old")
        async with pair.up() as session:
            session.suspend("test")
            (pair.here / "d" / "old").unlink()
            (pair.here / "d").rmdir()
            (pair.there / "d" / "new").write_text("new")
            session.resume()
            await session.flush()
            assert pair.equal() == {b"d": ("d", None, False), b"d/new": ("f", b"new", False)}

    asyncio.run(body())


def test_a_file_against_a_folder_is_one_conflict(pair):
    async def body():
        async with pair.up() as session:
            session.suspend("test")
            (pair.here / "x").write_text("file")
            (pair.there / "x").mkdir()
            (pair.there / "x" / "inner").write_text("i")
            session.resume()
            await session.flush()
            assert [(c.path, c.kind) for c in session.conflicts()] == [(b"x", "clash")]
            assert (pair.here / "x").read_text() == "file"
            assert (pair.there / "x" / "inner").read_text() == "i"

    asyncio.run(body())


def test_what_stands_in_the_folder_comes_over_when_the_file_gives_way(pair):
    (pair.here / "e").write_text("a file")
    (pair.there / "e" / "deep").mkdir(parents=True)
    (pair.there / "e" / "deep" / "a").write_text("in a folder")

    async def body():
        async with pair.up() as session:
            assert [conflict.path for conflict in session.conflicts()] == [b"e"]
            (pair.here / "e").unlink()
            await session.flush()
            assert not session.conflicts()
            assert pair.equal()[b"e/deep/a"][1] == b"in a folder"

    asyncio.run(body())


@pytest.mark.parametrize(
    ("mode", "here", "there"),
    [
        ("two-way-here-wins", b"mine", b"mine"),
        ("two-way-there-wins", b"theirs", b"theirs"),
        ("push", b"mine", b"mine"),
        ("pull", b"theirs", b"theirs"),
    ],
)
def test_a_mode_decides_what_safe_leaves_open(pair, mode, here, there):
    async def body():
        (pair.here / "x").write_text("base")
        async with pair.up(mode=mode) as session:
            await conflict(pair, session)
            assert session.conflicts() == []
            assert (pair.here / "x").read_bytes() == here
            assert (pair.there / "x").read_bytes() == there

    asyncio.run(body())


def test_push_keeps_what_is_there_alone_and_push_exact_does_not(pair):
    async def body():
        pair.there.mkdir()
        (pair.here / "a").write_text("a")
        (pair.there / "theirs").write_text("t")
        async with pair.up(mode="push"):
            assert pair.tree("here").keys() == {b"a"}
            assert pair.tree("there").keys() == {b"a", b"theirs"}
        async with pair.up(mode="push-exact"):
            assert pair.equal().keys() == {b"a"}

    asyncio.run(body())


def test_undo_brings_back_what_was_deleted_on_the_other_side(pair):
    async def body():
        (pair.here / "a").write_text("precious")
        async with pair.up() as session:
            (pair.here / "a").unlink()
            await session.flush()
            assert pair.equal() == {}
            (event,) = await session.undo()
            assert (event.path, event.side) == (b"a", "there")
            await session.flush()
            assert pair.equal() == {b"a": ("f", b"precious", False)}

    asyncio.run(body())


def test_undo_of_what_is_not_kept_says_so(pair):
    async def body():
        async with pair.up() as session:
            with pytest.raises(NoSuchFile) as caught:
                await session.undo(b"never")
            assert caught.value.hint

    asyncio.run(body())


def test_a_socket_or_fifo_is_left_alone(pair):
    async def body():
        os.mkfifo(pair.here / "pipe")
        (pair.here / "x").write_text("x")
        async with pair.up() as session:
            await session.flush()
            assert pair.tree("there").keys() == {b"x"}

    asyncio.run(body())
