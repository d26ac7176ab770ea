"""Copies: a new file whose content the other side has is made there from it; nothing is lost when that does not hold."""

import asyncio
import os
import shutil

import pytest

from afield.sync import copied, cycle
from afield.sync.channel import local_worker


class Counting:
    """A channel that counts the bytes to and from its worker."""

    def __init__(self, inner):
        self.inner = inner
        self.sent = self.received = 0
        self.process = inner.process

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def start(self, on_data, on_end):
        def took(data):
            self.received += len(data)
            on_data(data)

        self.inner.start(took, on_end)

    def write(self, data):
        self.sent += len(data)
        self.inner.write(data)


@pytest.fixture
def wire(pair):
    """The channels to the worker there, as they are made."""
    made = []

    async def make():
        made.append(Counting(await local_worker()))
        return made[-1]

    pair.makers["there"] = make
    return made


@pytest.fixture
def ops(monkeypatch):
    """Every op of every plan that is carried out, in order."""
    seen = []
    plain = cycle.carry_out

    async def carry_out(picture, plan, progress):
        seen.extend([*plan.to_here, *plan.to_there])
        return await plain(picture, plan, progress)

    monkeypatch.setattr(cycle, "carry_out", carry_out)
    return seen


@pytest.fixture
def small(monkeypatch):
    """Small files count, too."""
    monkeypatch.setattr(copied, "LEAST", 0)


@pytest.mark.parametrize("side", ["here", "there"])
def test_a_copied_large_file_sends_no_content(pair, wire, side):
    async def body():
        (pair.here / "data").write_bytes(os.urandom(50_000_000))
        async with pair.up() as session:
            await session.flush()
            before = wire[0].sent + wire[0].received
            shutil.copy(pair.side(side) / "data", pair.side(side) / "second")
            await session.flush()
            assert (pair.here / "second").read_bytes() == (pair.there / "second").read_bytes()
            assert wire[0].sent + wire[0].received - before < 10_000

    asyncio.run(body())


def test_a_copied_folder_of_1000_files_is_a_few_bytes_a_file(pair, wire, ops):
    async def body():
        (pair.here / "old").mkdir()
        for number in range(1000):
            (pair.here / "old" / f"{number}.bin").write_bytes(os.urandom(2000))
        async with pair.up() as session:
            await session.flush()
            before = wire[0].sent + wire[0].received
            ops.clear()
            # Made elsewhere, so that it comes at once: of a folder that grows slowly little pieces are simply sent.
            shutil.copytree(pair.here / "old", pair.folder / "new")
            os.rename(pair.folder / "new", pair.here / "new")
            await session.flush()
            assert len(pair.equal()) == 2002
            assert wire[0].sent + wire[0].received - before < 100_000
            assert {op["op"] for op in ops} == {"dir", "copy"}
            ops.clear()
            await session.flush()
            assert ops == []
        async with pair.up():
            assert ops == []

    asyncio.run(body())


def test_an_original_that_just_changed_there_is_not_copied(pair, ops, small, monkeypatch):
    async def body():
        (pair.here / "a").write_text("original")
        async with pair.up() as session:
            await session.flush()
            ops.clear()
            plain = cycle.carry_out

            async def late(picture, plan, progress):
                if not (pair.there / "a").read_text().startswith("changed"):
                    (pair.there / "a").write_text("changed!")
                return await plain(picture, plan, progress)

            monkeypatch.setattr(cycle, "carry_out", late)
            shutil.copy(pair.here / "a", pair.here / "b")
            await session.flush()
            await session.flush()
            assert [op["op"] for op in ops if op["path"] == b"b"] == ["copy", "put"]
            assert (pair.there / "b").read_text() == "original"
            assert (pair.here / "a").read_text() == "changed!"
            pair.equal()

    asyncio.run(body())


def test_what_is_changed_or_goes_in_the_same_cycle_is_not_copied_from(pair, ops, small):
    async def body():
        for name in ("edited", "gone"):
            (pair.here / name).write_text(f"of {name:8}")
        async with pair.up() as session:
            await session.flush()
            ops.clear()
            session.suspend("to gather the changes")
            for name in ("edited", "gone"):
                shutil.copy(pair.here / name, pair.here / f"copy of {name}")
                shutil.copy(pair.here / name, pair.here / f"second of {name}")
            (pair.here / "edited").write_text("another text")
            (pair.here / "gone").unlink()
            session.resume()
            await session.flush()
            assert {op["op"] for op in ops} <= {"put", "move"}
            assert len(pair.equal()) == 5

    asyncio.run(body())
