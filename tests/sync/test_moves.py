"""Renames: found by stat or by content, carried over without the content, safe when the other side changed."""

from __future__ import annotations

import asyncio
import os

import pytest

from afield.sync import cycle


@pytest.fixture
def ops(monkeypatch):
    """Every op of every plan that is carried out, in order."""
    seen = []
    plain = cycle.carry_out

    async def carry_out(picture, plan, progress):
        seen.extend(plan.to_here + plan.to_there)
        return await plain(picture, plan, progress)

    monkeypatch.setattr(cycle, "carry_out", carry_out)
    return seen


def fill(folder, count=5):
    folder.mkdir()
    for number in range(count):
        (folder / f"f{number}").write_text(f"content {number}")


def kinds(ops):
    return {(op["op"], op["path"], op.get("to")) for op in ops}


@pytest.mark.parametrize("side", ["here", "there"])
def test_a_renamed_folder_sends_no_content(pair, ops, side):
    async def body():
        fill(pair.here / "old")
        async with pair.up() as session:
            await session.flush()
            ops.clear()
            os.rename(pair.side(side) / "old", pair.side(side) / "new")
            await session.flush()
            assert pair.equal().keys() == {b"new", *(b"new/f%d" % number for number in range(5))}
            assert {op["op"] for op in ops} == {"dir", "move", "remove"}
            ops.clear()
            await session.flush()
            assert ops == []

    asyncio.run(body())


def test_a_rename_while_nobody_watched_is_found_by_its_content(pair, ops):
    async def body():
        (pair.here / "a").write_text("the same")
        async with pair.up() as session:
            await session.flush()
        ops.clear()
        os.rename(pair.here / "a", pair.here / "b")
        os.utime(pair.here / "b")
        async with pair.up() as session:
            await session.flush()
            assert kinds(ops) == {("move", b"a", b"b")}
            assert pair.equal().keys() == {b"b"}

    asyncio.run(body())


def test_another_content_of_the_same_size_is_sent(pair, ops):
    async def body():
        (pair.here / "a").write_text("one")
        async with pair.up() as session:
            await session.flush()
            ops.clear()
            (pair.here / "a").unlink()
            (pair.here / "b").write_text("two")
            await session.flush()
            assert "move" not in {op["op"] for op in ops}
            assert pair.equal() == {b"b": ("f", b"two", False)}

    asyncio.run(body())


def test_a_move_that_cannot_be_done_is_sent_instead(pair, ops, monkeypatch):
    async def body():
        (pair.here / "a").write_text("content")
        async with pair.up() as session:
            await session.flush()
            ops.clear()
            plain, failed = cycle.carry_out, []

            async def carry_out(picture, plan, progress):
                if any(op["op"] == "move" for op in plan.to_there):
                    failed.append(plan)
                    (pair.there / "b").mkdir()  # in the way, seen by nobody yet
                    done = await plain(picture, plan, progress)
                    (pair.there / "b").rmdir()
                    return done
                return await plain(picture, plan, progress)

            monkeypatch.setattr(cycle, "carry_out", carry_out)
            os.rename(pair.here / "a", pair.here / "b")
            await session.flush()
            assert len(failed) == 1
            assert pair.equal() == {b"b": ("f", b"content", False)}

    asyncio.run(body())


def test_a_file_that_changed_there_is_not_moved_away(pair):
    async def body():
        (pair.here / "a").write_text("content")
        async with pair.up() as session:
            await session.flush()
            session.suspend("the test")
            os.rename(pair.here / "a", pair.here / "b")
            (pair.there / "a").write_text("newer")
            session.resume()
            await session.flush()
            assert pair.equal() == {b"a": ("f", b"newer", False), b"b": ("f", b"content", False)}

    asyncio.run(body())


@pytest.mark.parametrize("change", ["removed", "replaced"])
def test_what_changes_while_a_rename_is_looked_at_is_decided_anew(pair, monkeypatch, change):
    """An op is of what was decided on: nothing that changed there after the decision is removed or written over."""

    async def body():
        (pair.here / "a").write_text("content")
        if change == "replaced":
            (pair.here / "c").write_text("content of another")
        async with pair.up() as session:
            await session.flush()
            plain, told = cycle.learn_moved, []

            async def learn_moved(picture, found):
                found = await plain(picture, found)
                if not told and any(each.path == b"b" for each in found.to_there):
                    told.append(found)
                    (pair.there / ("a" if change == "removed" else "c")).write_text("newer")
                    await picture.there.barrier()
                return found

            monkeypatch.setattr(cycle, "learn_moved", learn_moved)
            session.suspend("the test")
            os.rename(pair.here / "a", pair.here / "b")
            if change == "replaced":
                (pair.here / "c").write_text("edited")
            session.resume()
            await session.flush()
            assert told
            assert (pair.there / ("a" if change == "removed" else "c")).read_text() == "newer"
            if change == "removed":
                assert pair.equal() == {b"a": ("f", b"newer", False), b"b": ("f", b"content", False)}
            else:
                assert [conflict.path for conflict in session.conflicts()] == [b"c"]
                assert (pair.here / "c").read_text() == "edited"

    asyncio.run(body())
