"""What came about together is undone together, and an undo can itself be undone, again and again."""

import asyncio

import crashes
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import DiskFull, FileChanged, GuardRefused, NoSuchFile
from afield.sync.history import PAUSE, Event, chosen, deed


def event(side, time, path, action="removed"):
    return Event(side, b"batch/" + action.encode() + b"/" + path, time, path, action, 1)


def test_a_deed_ends_at_a_pause_and_at_a_path_that_comes_again():
    newest = [event("there", 10.0 - place * 0.01, b"%d" % place) for place in range(5)]
    older = [event("there", 10.0 - 2 * PAUSE, b"old")]
    assert deed(newest + older) == newest
    assert deed([*newest, event("there", 9.9, b"0")]) == newest
    assert deed([newest[0], event("here", 9.995, b"x"), *newest[1:]]) == newest
    assert deed([]) == []


@given(
    st.lists(st.tuples(st.sampled_from(["here", "there"]), st.floats(0, 100), st.sampled_from([b"a", b"b", b"a/c"])))
)
def test_a_deed_is_of_one_side_and_has_each_path_once(items):
    events = sorted((event(*item) for item in items), key=lambda item: -item.time)
    found = deed(events)
    assert len({item.path for item in found}) == len(found)
    assert len({item.side for item in found}) <= 1
    assert found[:1] == events[:1]


def test_one_file_is_chosen_by_its_very_path_and_one_event_by_its_name():
    events = [event("there", 3.0, b"d/a"), event("there", 2.99, b"d/b"), event("here", 1.0, b"d/a", "replaced")]
    assert chosen(events, path=b"d/a", side=None, event=None) == events[:1]
    assert chosen(events, path=b"d", side=None, event=None) == events[:2]
    assert chosen(events, path=b"d", side="here", event=None) == events[2:]
    assert chosen(events, path=None, side=None, event=events[2].id) == events[2:]
    assert chosen(events, path=None, side=None, event="batch/replaced/d/a") == events[2:]
    assert chosen(events, path=None, side=None, event="nothing") == []


def test_a_removed_folder_comes_back_whole_and_goes_again_and_comes_again(pair):
    async def body():
        for place in range(30):
            (pair.here / "d" / str(place)).mkdir(parents=True)
            (pair.here / "d" / str(place) / "f").write_text(str(place))
        (pair.here / "d" / "empty").mkdir()
        others = {b"o%d" % place for place in range(20)}
        for name in others:
            (pair.here / name.decode()).write_text("other")
        async with pair.up() as session:
            whole = pair.equal()
            for path in sorted((pair.here / "d").rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()
            (pair.here / "d").rmdir()
            with pytest.raises(GuardRefused):
                await session.flush()
            session.confirm()
            await session.flush()
            assert set(pair.equal()) == others
            for _ in range(2):
                await session.undo(b"d")
                await session.flush()
                assert pair.equal() == whole
                await session.undo(b"d")
                await session.flush()
                assert set(pair.equal()) == others
            await session.undo()
            await session.flush()
            assert pair.equal() == whole

    asyncio.run(body())


def test_an_undo_of_a_replacement_can_be_undone(pair):
    async def body():
        (pair.here / "x").write_text("one")
        async with pair.up() as session:
            (pair.here / "x").write_text("two!")
            await session.flush()
            for text in ("one", "two!", "one"):
                await session.undo(b"x")
                await session.flush()
                assert pair.equal()[b"x"][1] == text.encode()

    asyncio.run(body())


def test_a_path_in_conflict_is_not_undone_unless_forced(pair):
    async def body():
        (pair.here / "x").write_text("base")
        async with pair.up() as session:
            (pair.here / "x").write_text("second")
            await session.flush()
            session.suspend("test")
            (pair.here / "x").write_text("mine")
            (pair.there / "x").write_text("theirs")
            session.resume()
            await session.flush()
            with pytest.raises(FileChanged) as caught:
                await session.undo(b"x")
            assert "afield resolve x" in caught.value.hint
            assert (pair.there / "x").read_text() == "theirs"
            await session.undo(b"x", force=True)
            assert (pair.there / "x").read_text() == "base"
            kept = [event for event in await session.history(b"x") if event.side == "there"]
            assert kept[0].action == "replaced"

    asyncio.run(body())


def test_nothing_kept_is_said(pair):
    async def body():
        async with pair.up() as session:
            for more in ({}, {"event": "12345678"}):
                with pytest.raises(NoSuchFile):
                    await session.undo(**more)

    asyncio.run(body())


def test_an_undo_that_fails_for_one_file_is_over_when_it_says_so(pair):
    """The disk is full for the first of three; the others are back before the error is told, and the next undo brings it too."""
    pair.makers["there"] = lambda: crashes.odd_worker("restore", 1, "full")

    async def body():
        for name in ("a", "b", "c", *map(str, range(9))):
            (pair.here / name).write_text(name)
        async with pair.up() as session:
            whole = pair.equal()
            for name in ("a", "b", "c"):
                (pair.here / name).unlink()
            await session.flush()
            with pytest.raises(DiskFull):
                await session.undo()
            back = {name for name in ("a", "b", "c") if (pair.there / name).exists()}
            assert len(back) == 2
            (missing,) = {"a", "b", "c"} - back
            await session.undo(missing.encode())
            await session.flush()
            assert pair.equal() == whole

    asyncio.run(body())
