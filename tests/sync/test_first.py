"""The first sync: both ways, with care, after asking when it is large."""

import asyncio
import os

import pytest

from afield.errors import NeedsConfirmation, RootMissing, WrongIdentity


def test_what_is_on_one_side_alone_comes_to_the_other(pair):
    async def body():
        (pair.here / "a" / "b").mkdir(parents=True)
        (pair.here / "a" / "b" / "x.py").write_text("x = 1")
        (pair.there / "runs").mkdir(parents=True)
        (pair.there / "runs" / "log").write_text("done")
        os.symlink("b/x.py", pair.here / "a" / "link")
        (pair.here / "run.sh").write_text("#!/bin/sh\n")
        os.chmod(pair.here / "run.sh", 0o755)
        async with pair.up() as session:
            tree = pair.equal()
            assert tree[b"a/b/x.py"] == ("f", b"x = 1", False)
            assert tree[b"a/link"] == ("l", b"b/x.py", False)
            assert tree[b"run.sh"] == ("f", b"#!/bin/sh\n", True)
            assert tree[b"runs/log"] == ("f", b"done", False)
            await session.flush()
            status = session.status()
            assert (status.state, status.agreed, status.conflicts_total, status.problems_total) == ("live", 7, 0, 0)
            assert status.here.watch
            assert status.there.watch

    asyncio.run(body())


def test_the_time_of_a_file_comes_along(pair):
    async def body():
        (pair.here / "x").write_text("x")
        os.utime(pair.here / "x", ns=(10**18, 10**18 + 12345))
        async with pair.up():
            assert (pair.there / "x").stat().st_mtime_ns == 10**18 + 12345

    asyncio.run(body())


def test_same_content_agrees_and_different_content_conflicts(pair):
    async def body():
        pair.there.mkdir()
        for side in (pair.here, pair.there):
            (side / "same").write_text("the same")
            (side / "differs").write_text(f"from {side.name}")
        async with pair.up() as session:
            assert [(c.path, c.kind) for c in session.conflicts()] == [(b"differs", "add")]
            assert (pair.here / "differs").read_text() == "from here"
            assert (pair.there / "differs").read_text() == "from there"
            assert set(session.picture.rows) == {b"same"}

    asyncio.run(body())


def test_a_second_start_does_nothing(pair):
    async def body():
        for i in range(30):
            (pair.here / f"f{i}").write_text(str(i))
        async with pair.up():
            pass
        async with pair.up() as session:
            await session.flush()
            assert session.last is None
            assert session.notes == []
        pair.equal()

    asyncio.run(body())


def test_changes_made_while_it_was_down_are_carried_over(pair):
    async def body():
        for name in ("edit-here", "edit-there", "gone-here", "gone-there", "both"):
            (pair.here / name).write_text("old")
        async with pair.up():
            pass
        (pair.here / "edit-here").write_text("new here")
        (pair.there / "edit-there").write_text("new there")
        (pair.here / "gone-here").unlink()
        (pair.there / "gone-there").unlink()
        (pair.here / "both").write_text("one")
        (pair.there / "both").write_text("other")
        async with pair.up() as session:
            assert [c.path for c in session.conflicts()] == [b"both"]
        for side in (pair.here, pair.there):
            assert (side / "edit-here").read_text() == "new here"
            assert (side / "edit-there").read_text() == "new there"
            assert not (side / "gone-here").exists()
            assert not (side / "gone-there").exists()

    asyncio.run(body())


def test_a_folder_of_another_project_is_refused(pair, tmp_path):
    async def body():
        (pair.here / "x").write_text("mine")
        async with pair.up():
            pass
        (pair.there / ".afield" / "identity").write_text("somebody else\n")
        pair.there.joinpath("x").write_text("theirs")
        with pytest.raises(WrongIdentity) as caught:
            async with pair.up():
                pass
        assert caught.value.hint
        assert (pair.here / "x").read_text() == "mine"

    asyncio.run(body())


def test_a_missing_project_folder_is_named(pair):
    async def body():
        pair.here.rmdir()
        with pytest.raises(RootMissing):
            async with pair.up():
                pass

    asyncio.run(body())


def test_a_large_first_sync_asks_and_names_the_biggest_folders(pair):
    async def body():
        (pair.here / "data").mkdir()
        (pair.here / "data" / "big").write_bytes(bytes(5000))
        (pair.here / "src").mkdir()
        (pair.here / "src" / "small").write_bytes(bytes(10))
        session = pair.session(ask_bytes=1000)
        try:
            with pytest.raises(NeedsConfirmation) as caught:
                await session.start()
            assert caught.value.details["files"] == 2
            assert caught.value.details["bytes"] == 5010
            assert caught.value.details["biggest"][0] == ["data", 1, 5000]
            assert "data/" in caught.value.text
            assert pair.tree("there") == {}
            with pytest.raises(NeedsConfirmation):
                await session.start(allow=4000)
            (pair.here / "src" / "more").write_bytes(bytes(10))
            await session.start(allow=6000)
            assert len(pair.equal()) == 5
        finally:
            await session.close()

    asyncio.run(body())


def test_progress_counts_every_file_and_byte(pair):
    async def body():
        seen = []
        for i in range(40):
            (pair.here / f"f{i}").write_bytes(bytes(1000))
        session = pair.session(on_progress=lambda p: seen.append((p.files, p.bytes, p.files_total, p.bytes_total)))
        try:
            await session.start()
        finally:
            await session.close()
        assert seen[-1] == (40, 40000, 40, 40000)
        assert seen == sorted(seen)

    asyncio.run(body())


def test_a_preview_says_what_would_happen_and_does_nothing(pair):
    async def body():
        (pair.here / "x").write_text("x")
        pair.there.mkdir()
        (pair.there / "y").write_text("yy")
        session = pair.session()
        try:
            found = await session.preview()
            assert sorted(found.ops) == [("here", "put", b"y", 2), ("there", "put", b"x", 1)]
            assert pair.tree("there").keys() == {b"y"}
            await session.start()
            assert pair.equal().keys() == {b"x", b"y"}
        finally:
            await session.close()

    asyncio.run(body())


def test_ignored_files_stay_where_they_are_and_are_told(pair):
    async def body():
        (pair.here / "__pycache__").mkdir()
        (pair.here / "__pycache__" / "x.pyc").write_bytes(bytes(100))
        (pair.here / "data").mkdir()
        (pair.here / "data" / "big").write_bytes(bytes(300000))
        (pair.here / ".gitignore").write_text("data/\n")
        async with pair.up(ignore=("*.tmp",)) as session:
            (pair.here / "a.tmp").write_text("x")
            (pair.here / "b").write_text("x")
            await session.flush()
            assert pair.tree("there").keys() == {b".gitignore", b"b"}
            names = dict(map(tuple, session.status().here.ignored_biggest))
            assert names["data"] == 300000

    asyncio.run(body())
