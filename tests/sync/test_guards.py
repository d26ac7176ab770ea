"""Guards: whatever looks like an accident stops the sync, says what answers it, and removes nothing."""

import asyncio
import os
import shutil

import pytest

from afield.errors import GuardRefused, RootRefused, RootReplaced, WrongIdentity


def fill(folder, count=30):
    folder.mkdir(exist_ok=True)
    for i in range(count):
        (folder / f"f{i}").write_text(str(i))


async def once(pair, **changes):
    """Sync once and close."""
    async with pair.up(**changes):
        pass


async def refused(pair, kind=RootReplaced):
    """Start, which must be refused with a hint; gives the session for ``confirm``."""
    session = pair.session()
    with pytest.raises(kind) as caught:
        await session.start()
    assert caught.value.hint
    return session


def test_a_folder_that_is_gone_there_is_not_made_anew_unasked(pair):
    async def body():
        fill(pair.here)
        await once(pair)
        os.rename(pair.there, pair.folder / "elsewhere")
        session = await refused(pair)
        try:
            assert "afield sync --yes" in session.reason.hint
            assert not pair.there.exists()
            assert len(pair.tree("here")) == 30
            session.confirm()
            await session.start()
            assert any("new" in note for note in session.notes)
            assert len(pair.equal()) == 30
        finally:
            await session.close()

    asyncio.run(body())


@pytest.mark.parametrize("side", ["here", "there"])
def test_a_disk_that_is_not_mounted_is_not_an_empty_folder(pair, side):
    async def body():
        fill(pair.here)
        await once(pair)
        kept = pair.folder / "kept"
        os.rename(pair.side(side), kept)
        pair.side(side).mkdir()
        session = await refused(pair)
        await session.close()
        assert os.listdir(pair.side(side)) == [], "something was written below the mount point"
        assert len(pair.tree("there" if side == "here" else "here")) == 30
        pair.side(side).rmdir()
        os.rename(kept, pair.side(side))
        async with pair.up() as session:
            assert session.last is None
        assert len(pair.equal()) == 30

    asyncio.run(body())


@pytest.mark.parametrize("side", ["here", "there"])
def test_another_project_in_the_place_of_the_one_that_was_synced_is_not_taken_for_it(pair, side):
    async def body():
        fill(pair.here)
        await once(pair)
        os.rename(pair.side(side), pair.folder / "kept")
        fill(pair.side(side), 1)
        (pair.side(side) / ".afield").mkdir()
        (pair.side(side) / ".afield" / "identity").write_text("somebody else\n")
        session = await refused(pair, RootReplaced if side == "here" else WrongIdentity)
        await session.close()
        assert pair.tree(side).keys() == {b"f0"}
        assert len(pair.tree("there" if side == "here" else "here")) == 30

    asyncio.run(body())


@pytest.mark.parametrize("side", ["here", "there"])
def test_a_root_that_is_moved_while_live_stops_the_sync_until_it_is_back(pair, wait_for, side):
    async def body():
        fill(pair.here)
        async with pair.up() as session:
            os.rename(pair.side(side), pair.folder / "moved")
            with pytest.raises(RootReplaced) as caught:
                await session.flush()
            assert caught.value.hint
            assert (session.status().state, session.status().hint) == ("guard", caught.value.hint)
            pair.side(side).mkdir()
            with pytest.raises(RootReplaced, match="identity"):
                await session.flush()
            other = "there" if side == "here" else "here"
            assert len(pair.tree(other)) == 30
            (pair.side(other) / "f0").write_text("meanwhile")
            pair.side(side).rmdir()
            os.rename(pair.folder / "moved", pair.side(side))
            await session.flush()
            await wait_for(lambda: session.status().state == "live", "the sync to go on")
            assert pair.equal()[b"f0"] == ("f", b"meanwhile", False)
            assert len(pair.equal()) == 30

    asyncio.run(body())


def test_another_folder_in_its_place_is_taken_only_when_a_person_agrees(pair):
    async def body():
        fill(pair.here)
        async with pair.up() as session:
            os.rename(pair.there, pair.folder / "moved")
            pair.there.mkdir()
            (pair.there / "f0").write_text("another")
            (pair.there / "only").write_text("there")
            with pytest.raises(RootReplaced):
                await session.flush()
            assert pair.tree("there").keys() == {b"f0", b"only"}
            session.confirm()
            await session.flush()
            assert (pair.here / "only").read_text() == "there"
            assert [conflict.path for conflict in session.conflicts()] == [b"f0"]
            assert len(pair.tree("here")) == len(pair.tree("there")) == 31

    asyncio.run(body())


def test_a_project_whose_state_folder_was_cleaned_away_keeps_its_identity(pair):
    async def body():
        fill(pair.here)
        await once(pair)
        identity = (pair.here / ".afield" / "identity").read_text()
        shutil.rmtree(pair.here / ".afield")
        (pair.here / "f0").unlink()
        session = await refused(pair)
        try:
            session.confirm()
            await session.start()
            assert (pair.here / ".afield" / "identity").read_text() == identity
            # Compared as at a first sync: what is missing here comes back.
            assert len(pair.equal()) == 30
        finally:
            await session.close()

    asyncio.run(body())


def test_another_projects_folder_is_taken_over_only_in_words(pair):
    async def body():
        fill(pair.here, 3)
        fill(pair.there, 1)
        (pair.there / "theirs").write_text("kept")
        (pair.there / ".afield").mkdir()
        (pair.there / ".afield" / "identity").write_text("somebody else\n")
        session = await refused(pair, WrongIdentity)
        try:
            assert "afield up --take-over" in session.reason.hint
            assert pair.tree("there").keys() == {b"f0", b"theirs"}
            session.confirm()
            with pytest.raises(WrongIdentity):
                await session.start()
            session.take_over()
            await session.start()
            assert pair.equal().keys() == {b"f0", b"f1", b"f2", b"theirs"}
        finally:
            await session.close()
        await once(pair)

    asyncio.run(body())


@pytest.mark.parametrize("side", ["here", "there"])
@pytest.mark.parametrize("root", ["/", "~", "home's parent"])
def test_wide_roots_are_refused_on_either_side(pair, monkeypatch, side, root):
    home = pair.folder / "house" / "me"
    home.mkdir(parents=True)
    (home / "precious").write_text("kept")
    monkeypatch.setenv("HOME", str(home))
    path = {"/": "/", "~": str(home), "home's parent": str(home.parent)}[root]

    async def body():
        fill(pair.here, 1)
        session = pair.session(mode="push-exact", **{side: os.fsencode(path)})
        try:
            with pytest.raises(RootRefused) as caught:
                await session.start()
            assert caught.value.hint
        finally:
            await session.close()
        assert os.listdir(home) == ["precious"]

    asyncio.run(body())


@pytest.mark.parametrize(("side", "count"), [("here", 3), ("there", 3), ("there", 30)])
def test_a_folder_that_is_empty_all_at_once_stops_the_sync_however_little_it_held(pair, side, count):
    """It is not taken as a wish to delete."""

    async def body():
        fill(pair.here, count)
        await once(pair)
        for i in range(count):
            (pair.side(side) / f"f{i}").unlink()
        session = pair.session()
        try:
            with pytest.raises(GuardRefused) as caught:
                await session.start()
            assert caught.value.details["guard"] == "root-empty"
            assert "mounted" in caught.value.hint
            assert session.status().state == "waiting"
            assert len(pair.tree("there" if side == "here" else "here")) == count
            session.confirm()
            await session.start()
            assert pair.equal() == {}
        finally:
            await session.close()

    asyncio.run(body())


def test_removals_that_come_in_slices_are_added_up(pair, wait_for):
    async def body():
        fill(pair.here, 100)
        async with pair.up() as session:
            for start in (0, 40):
                for i in range(start, start + 40):
                    (pair.here / f"f{i}").unlink()
                if start == 0:
                    await session.flush()
                    assert len(pair.equal()) == 60
            # 40 of 60 would be refused anyway; 80 of the 100 that stood there a moment ago is what it says.
            with pytest.raises(GuardRefused, match="80 of 100") as caught:
                await session.flush()
            assert "afield sync --yes" in caught.value.hint
            assert len(pair.tree("there")) == 60
            await wait_for(lambda: session.status().state == "guard", "the guard")
            session.confirm()
            await session.flush()
            assert len(pair.equal()) == 20

    asyncio.run(body())


def test_many_removals_one_by_one_are_stopped_at_half(pair):
    async def body():
        fill(pair.here, 60)
        async with pair.up() as session:
            with pytest.raises(GuardRefused) as caught:
                for i in range(60):
                    (pair.here / f"f{i}").unlink()
                    await session.flush()
            assert caught.value.details["guard"] == "many-removals"
            assert len(pair.tree("there")) == 30

    asyncio.run(body())
