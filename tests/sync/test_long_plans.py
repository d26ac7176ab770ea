"""A first sync of very many files is done in parts: the same result, and what is done is remembered when it is cut off."""

from __future__ import annotations

import asyncio

import pytest

from afield.errors import AfieldError
from afield.sync import cycle, outcome
from afield.sync.base import BaseStore


@pytest.fixture(autouse=True)
def short_parts(monkeypatch):
    monkeypatch.setattr(outcome, "PART", 7)


def fill(pair):
    for number in range(40):
        folder = pair.here / f"d{number % 4}"
        folder.mkdir(exist_ok=True)
        (folder / f"f{number}").write_text(f"content {number}")
    (pair.here / "both").write_text("same")
    (pair.there / "both").write_text("same")
    (pair.there / "theirs").mkdir()
    for number in range(10):
        (pair.there / "theirs" / f"t{number}").write_text("there")
    (pair.here / "clash").write_text("one")
    (pair.there / "clash").write_text("two")


def test_a_long_plan_ends_where_a_short_one_ends(pair):
    pair.there.mkdir()
    fill(pair)

    async def body():
        async with pair.up() as session:
            report = session.last[2]
            assert (report.to_there, report.to_here, report.failed, report.conflicts) == (44, 11, 0, 1)
            here, there = pair.tree("here"), pair.tree("there")
            assert here.pop(b"clash") != there.pop(b"clash")
            assert here == there
            await session.flush()
            assert [conflict.path for conflict in session.conflicts()] == [b"clash"]
            assert len(session.picture.rows) == len(here)

    asyncio.run(body())


def test_what_was_carried_over_before_a_failure_is_remembered(pair, monkeypatch):
    pair.there.mkdir()
    fill(pair)
    plain, calls = cycle.carry_out, []

    async def carry_out(picture, plan, progress):
        calls.append(plan)
        if len(calls) == 3:
            raise AfieldError("cut")
        return await plain(picture, plan, progress)

    async def first():
        session = pair.session()
        with pytest.raises(AfieldError):
            await session.start()
        await session.close()

    async def again():
        async with pair.up() as session:
            await session.flush()
            assert len(session.conflicts()) == 1
            assert session.last[2].to_there == 44 - 14

    monkeypatch.setattr(cycle, "carry_out", carry_out)
    asyncio.run(first())
    store = BaseStore(str(pair.store))
    assert len(store.read_ahead()) >= 14
    calls[:] = [None] * 10
    asyncio.run(again())


def test_a_file_that_goes_between_parts_is_looked_at_again(pair, monkeypatch):
    fill_only = [pair.here / f"f{number:02}" for number in range(20)]
    for path in fill_only:
        path.write_text(path.name)
    plain = cycle.carry_out

    async def carry_out(picture, plan, progress):
        if b"f15" in picture.here.tree:
            (pair.here / "f15").unlink()
            await picture.here.rescan([b"f15"])
        return await plain(picture, plan, progress)

    async def body():
        async with pair.up() as session:
            await session.flush()
            assert len(pair.equal()) == 19
            assert session.status().problems_total == 0

    monkeypatch.setattr(cycle, "carry_out", carry_out)
    asyncio.run(body())


def test_what_was_the_same_and_changes_between_parts_is_not_remembered_as_agreed(pair, monkeypatch):
    pair.there.mkdir()
    for number in range(30):
        for side in (pair.here, pair.there):
            (side / f"f{number:02}").write_text(f"content {number}")
    plain, rows = cycle.remember, {}

    async def remember(picture, plan, results):
        if not rows:
            (pair.there / "f20").write_text("edited")
            await picture.there.rescan([b"f20"])
        done = await plain(picture, plan, results)
        rows.update({path: picture.rows[path] for path in (b"f20",) if path in picture.rows})
        rows[b""] = None
        return done

    async def body():
        async with pair.up() as session:
            assert list(rows) == [b""]
            await session.flush()
            assert [conflict.path for conflict in session.conflicts()] == [b"f20"]

    monkeypatch.setattr(cycle, "remember", remember)
    asyncio.run(body())
