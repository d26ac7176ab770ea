"""File systems that take two names for one, clocks that are wrong, watches that run out: nothing is lost, and people are told."""

import asyncio
import os
import shlex
import sys
import time
from pathlib import Path

import pytest

from afield.sync.channel import local_worker
from afield.sync.clocks import offset
from afield.sync.history import merged

ODD = Path(__file__).parents[1] / "support" / "odd_python.py"


def odd(pair, side, kind):
    """Let a side's worker live in an odd world."""
    script = pair.folder / f"python-{side}"
    words = [sys.executable, "-I", "-S", str(ODD), kind]
    script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    script.chmod(0o755)
    pair.makers[side] = lambda: local_worker(str(script))


def problems(session):
    return {(p["side"], p["path"]): p["code"] for p in session.status().problems}


@pytest.mark.parametrize(("one", "other"), [("File.py", "file.py"), ("é.py", "e\u0301.py"), ("A/x", "a/x")])
def test_two_names_that_are_one_there_are_told_and_neither_is_lost(pair, one, other):
    odd(pair, "there", "insensitive")

    async def body():
        for name in (one, other):
            path = pair.here / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(name)
        async with pair.up() as session:
            assert session.picture.there.opened.probe["case_sensitive"] is False
            assert session.picture.there.opened.probe["unicode_exact"] is False
            kept = {name: (pair.here / name).read_text() for name in (one, other)}
            assert kept == {one: one, other: other}
            contents = [each[1].decode() for each in pair.tree("there").values() if each[0] == "f"]
            assert len(contents) == 1
            assert contents[0] in (one, other)
            assert set(problems(session).values()) == {"case-clash"}
            assert "takes both for one" in session.status().problems[0]["text"]
            (pair.here / "more").write_text("goes on")
            await session.flush()
            assert (pair.there / "more").exists()
            assert len(pair.tree("here")) == len(pair.tree("there")) + len(problems(session))

    asyncio.run(body())


def test_the_second_name_goes_over_when_the_first_is_gone(pair, wait_for):
    odd(pair, "there", "insensitive")

    async def body():
        (pair.here / "File.py").write_text("one")
        (pair.here / "file.py").write_text("other")
        async with pair.up() as session:
            assert problems(session) == {("there", "file.py"): "case-clash"}
            (pair.here / "File.py").unlink()
            await session.flush()
            await wait_for(lambda: pair.tree("there").get(b"file.py"), "the second name")
            await session.flush()
            assert pair.equal() == {b"file.py": ("f", b"other", False)}
            assert problems(session) == {}

    asyncio.run(body())


@pytest.mark.parametrize("edit", [False, True])
def test_a_rename_that_changes_case_alone_arrives(pair, wait_for, edit):
    odd(pair, "there", "insensitive")

    async def body():
        (pair.here / "File.py").write_text("text")
        async with pair.up() as session:
            (pair.here / "File.py").rename(pair.here / "file.py")
            if edit:
                (pair.here / "file.py").write_text("text, edited")
            await session.flush()
            await wait_for(lambda: b"file.py" in pair.tree("there"), "the new name")
            await session.flush()
            assert pair.equal().keys() == {b"file.py"}
            assert problems(session) == {}

    asyncio.run(body())


def test_a_name_that_is_one_here_does_not_replace_what_stands_here(pair):
    odd(pair, "here", "insensitive")

    async def body():
        (pair.here / "Data.csv").write_text("mine")
        pair.there.mkdir()
        (pair.there / "data.csv").write_text("theirs")
        async with pair.up(mode="pull") as session:
            assert (pair.here / "Data.csv").read_text() == "mine"
            assert (pair.there / "data.csv").read_text() == "theirs"
            assert problems(session) == {("here", "data.csv"): "case-clash"}

    asyncio.run(body())


# -- clocks


def test_the_offset_is_as_sure_as_the_answer_was_quick():
    assert offset(10.0, 110.5, 11.0) == (100.0, 0.5)
    assert offset(10.0, 110.5, 11.0).sure == 100.0
    assert offset(10.0, 10.9, 11.0).sure == 0.0


@pytest.mark.parametrize("ahead", [7200.0, -3600.0])
def test_a_wrong_clock_there_is_told(pair, wait_for, ahead):
    odd(pair, "there", f"ahead={ahead}")

    async def body():
        (pair.here / "a").write_text("first")
        async with pair.up() as session:
            await wait_for(lambda: session.status().clock, "the clocks to be compared")
            assert session.status().clock == pytest.approx(ahead, abs=5.0)

    asyncio.run(body())


def test_history_of_a_side_whose_clock_is_ahead_has_the_right_times(pair, wait_for):
    # Only ahead: the time of an event is the later of the batch's and the file's, and the kernel's clock is right here.
    odd(pair, "there", "ahead=7200")

    async def body():
        for name in ("a", "b"):
            (pair.here / name).write_text("first")
        async with pair.up() as session:
            await wait_for(lambda: session.status().clock, "the clocks to be compared")
            (pair.here / "a").write_text("second")
            await session.flush()
            (pair.there / "b").write_text("second")
            await session.flush()
            events = await session.history()
            assert {(os.fsdecode(event.path), event.side) for event in events} == {("a", "there"), ("b", "here")}
            assert all(abs(event.time - time.time()) < 60 for event in events)

    asyncio.run(body())


def test_events_of_both_sides_are_in_the_order_in_which_they_happened():
    here = [[b"h", 100.0, b"second", "replaced", 1]]
    there = [[b"t2", 7301.0, b"third", "replaced", 1], [b"t1", 7299.0, b"first", "replaced", 1]]
    found = merged(here, there, ahead=7200.0)
    assert [(event.path, event.time) for event in found] == [(b"third", 101.0), (b"second", 100.0), (b"first", 99.0)]


def test_clocks_that_agree_say_nothing(pair):
    async def body():
        (pair.here / "a").write_text("x")
        async with pair.up() as session:
            assert abs(session.status().clock) < 2.0

    asyncio.run(body())


# -- watches


def test_where_the_watches_run_out_changes_are_still_found_and_the_status_counts_the_rest(pair, wait_for):
    odd(pair, "here", "watches=2")

    async def body():
        for number in range(5):
            (pair.here / str(number)).mkdir()
        async with pair.up() as session:
            await wait_for(lambda: session.status().here.unwatched == 4, "the count of what is polled")
            assert session.status().there.unwatched == 0
            for number in range(5):
                (pair.here / str(number) / "f").write_text("new")
            await wait_for(lambda: len(pair.tree("there")) == 10, "what was saved where nothing is watched")
            (pair.here / "new").mkdir()
            await wait_for(lambda: session.status().here.unwatched == 5, "the count with one more folder")

    asyncio.run(body())
