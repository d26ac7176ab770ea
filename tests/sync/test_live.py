"""Live: what is saved on one side is on the other a moment later, in whatever form editors and tools save."""

import asyncio
import os
import random
import shutil
import subprocess

import pytest

from afield.sync import nearwatch


@pytest.fixture(params=["inotify", "watchfiles"])
def pair(pair, request, monkeypatch):
    """``watchfiles``: the worker of here is that of a macOS laptop."""
    if request.param == "watchfiles":
        monkeypatch.setattr(nearwatch, "library", nearwatch.find_library)
    return pair


@pytest.mark.parametrize("source", ["here", "there"])
def test_a_save_arrives_without_asking(pair, wait_for, source):
    target = "there" if source == "here" else "here"

    async def body():
        (pair.here / "x").write_text("0")
        async with pair.up():
            for turn in range(5):
                (pair.side(source) / "x").write_text(f"turn {turn}")
                await wait_for(lambda t=turn: (pair.side(target) / "x").read_text() == f"turn {t}", "the save")

    asyncio.run(body())


@pytest.mark.parametrize("source", ["here", "there"])
def test_a_file_whose_second_link_goes_arrives_with_one_flush(pair, tmp_path, source):
    """As programs save that link and unlink: the times of the file change once more, and no event tells of it."""
    target = "there" if source == "here" else "here"

    async def body():
        async with pair.up() as session:
            for turn in range(3):
                written = tmp_path / f"written {turn}"
                written.write_text(f"turn {turn}")
                async with session._lock:
                    os.link(written, pair.side(source) / f"x{turn}")
                    await session.picture.side(source).barrier()
                    written.unlink()
                await session.flush()
                assert (pair.side(target) / f"x{turn}").read_text() == f"turn {turn}"

    asyncio.run(body())


def test_flush_carries_both_ways_and_is_quiet_afterwards(pair):
    async def body():
        async with pair.up() as session:
            (pair.here / "from here").write_text("1")
            (pair.there / "from there").write_text("2")
            await session.flush()
            assert pair.equal().keys() == {b"from here", b"from there"}
            cycles = session.cycles
            await session.flush()
            await session.flush()
            assert session.cycles == cycles

    asyncio.run(body())


def test_own_writes_do_not_come_back_as_changes(pair):
    async def body():
        async with pair.up() as session:
            for i in range(20):
                (pair.here / f"f{i}").write_text("x")
            await session.flush()
            await session.flush()
            assert session.picture.quiet
            assert session.last[2].to_here == 0

    asyncio.run(body())


def test_an_editor_that_replaces_the_file_is_followed(pair):
    async def body():
        (pair.here / "x.py").write_text("old")
        async with pair.up() as session:
            (pair.here / ".x.py.swp").write_text("new")
            os.replace(pair.here / ".x.py.swp", pair.here / "x.py")
            await session.flush()
            assert pair.equal() == {b"x.py": ("f", b"new", False)}

    asyncio.run(body())


def test_two_writes_within_one_step_of_the_clock_both_arrive(pair):
    async def body():
        async with pair.up() as session:
            for turn in range(30):
                (pair.here / "x").write_text(f"{turn:05d}a")
                await session.flush()
                (pair.here / "x").write_text(f"{turn:05d}b")
                await session.flush()
                assert (pair.there / "x").read_text() == f"{turn:05d}b"

    asyncio.run(body())


def test_folders_are_made_renamed_and_removed(pair):
    async def body():
        async with pair.up() as session:
            (pair.here / "a" / "b" / "c").mkdir(parents=True)
            (pair.here / "a" / "b" / "c" / "x").write_text("x")
            await session.flush()
            assert len(pair.equal()) == 4
            os.rename(pair.here / "a" / "b", pair.here / "z")
            await session.flush()
            assert pair.equal().keys() == {b"a", b"z", b"z/c", b"z/c/x"}
            shutil.rmtree(pair.there / "z")
            await session.flush()
            assert pair.equal().keys() == {b"a"}

    asyncio.run(body())


def test_a_file_becomes_a_folder_and_a_link_and_a_file_again(pair):
    async def body():
        async with pair.up() as session:
            path = pair.here / "x"
            path.write_text("file")
            await session.flush()
            path.unlink()
            path.mkdir()
            (path / "inner").write_text("i")
            await session.flush()
            assert pair.equal().keys() == {b"x", b"x/inner"}
            shutil.rmtree(path)
            os.symlink("elsewhere", path)
            await session.flush()
            assert pair.equal() == {b"x": ("l", b"elsewhere", False)}
            path.unlink()
            path.write_text("file again")
            await session.flush()
            assert pair.equal() == {b"x": ("f", b"file again", False)}

    asyncio.run(body())


def test_the_executable_bit_goes_both_ways(pair):
    async def body():
        (pair.here / "run").write_text("#!/bin/sh\n")
        async with pair.up() as session:
            os.chmod(pair.here / "run", 0o755)
            await session.flush()
            assert pair.equal()[b"run"][2] is True
            os.chmod(pair.there / "run", 0o644)
            await session.flush()
            assert pair.equal()[b"run"][2] is False

    asyncio.run(body())


def test_a_case_only_rename_is_followed(pair):
    async def body():
        (pair.here / "readme").write_text("r")
        async with pair.up() as session:
            os.rename(pair.here / "readme", pair.here / "README")
            await session.flush()
            assert pair.equal().keys() == {b"README"}

    asyncio.run(body())


def test_a_burst_of_thousands_of_files_arrives_whole(pair):
    async def body():
        rnd = random.Random(3)
        for i in range(3000):
            folder = pair.here / f"d{i % 60}"
            folder.mkdir(exist_ok=True)
            (folder / f"f{i}").write_bytes(rnd.randbytes(200))
        async with pair.up() as session:
            for i in range(3000):
                path = pair.here / f"d{i % 60}" / f"f{i}"
                if i % 3 == 0:
                    path.unlink()
                else:
                    path.write_bytes(rnd.randbytes(300))
            shutil.rmtree(pair.here / "d7")
            (pair.here / "new").mkdir()
            for i in range(500):
                (pair.here / "new" / str(i)).write_bytes(rnd.randbytes(50))
            await session.flush()
            pair.equal()
            assert session.status().problems_total == 0
            assert session.status().conflicts_total == 0

    asyncio.run(body())


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_branch_switch_is_followed(pair):
    def git(*args):
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@t", *args], cwd=pair.here, check=True, capture_output=True
        )

    async def body():
        git("init", "-q", "-b", "main")
        for i in range(200):
            (pair.here / f"m{i}.py").write_text(f"main {i}")
        git("add", "."), git("commit", "-qm", "1"), git("checkout", "-qb", "other")
        for i in range(0, 200, 2):
            (pair.here / f"m{i}.py").write_text(f"other {i}")
        for i in range(1, 40, 2):
            (pair.here / f"m{i}.py").unlink()
        git("add", "-A"), git("commit", "-qm", "2")
        async with pair.up() as session:
            for branch in ("main", "other", "main"):
                git("checkout", "-q", branch)
                await session.flush()
                here = {p: v for p, v in pair.tree("here").items() if not p.startswith(b".git")}
                assert here == pair.tree("there")

    asyncio.run(body())


def test_a_large_file_arrives_in_both_directions_at_once(pair):
    async def body():
        pair.there.mkdir()
        (pair.here / "up").write_bytes(os.urandom(1 << 20) * 40)
        (pair.there / "down").write_bytes(os.urandom(1 << 20) * 40)
        async with pair.up() as session:
            pair.equal()
            (pair.here / "up").write_bytes(os.urandom(1 << 20) * 30)
            (pair.there / "down").write_bytes(os.urandom(1 << 20) * 30)
            await session.flush()
            pair.equal()

    asyncio.run(body())


def test_a_file_that_grows_without_pause_arrives_when_it_rests(pair, wait_for):
    async def body():
        async with pair.up() as session:
            with open(pair.here / "log", "wb") as file:
                for _ in range(200):
                    file.write(os.urandom(20000))
                    file.flush()
                    await asyncio.sleep(0.001)
            await session.flush()
            await wait_for(lambda: pair.tree("here") == pair.tree("there"), "the whole log")

    asyncio.run(body())


def test_a_new_ignore_rule_deletes_nothing_on_the_other_side(pair):
    async def body():
        (pair.here / "data").mkdir()
        (pair.here / "data" / "set").write_text("precious")
        async with pair.up() as session:
            (pair.here / ".gitignore").write_text("data/\n")
            await session.flush()
            await session.flush()
            assert (pair.there / "data" / "set").read_text() == "precious"
            assert (pair.there / ".gitignore").read_text() == "data/\n"
            (pair.here / "data" / "set").write_text("changed here only")
            await session.flush()
            assert (pair.there / "data" / "set").read_text() == "precious"

    asyncio.run(body())


def test_an_ignore_rule_that_goes_brings_the_files_under_sync_again(pair, wait_for):
    async def body():
        (pair.here / ".gitignore").write_text("*.log\n")
        (pair.here / "a.log").write_text("log")
        async with pair.up() as session:
            assert pair.tree("there").keys() == {b".gitignore"}
            (pair.here / ".gitignore").write_text("\n")
            await session.flush()
            await wait_for(lambda: (pair.there / "a.log").read_text() == "log", "the file that was ignored")

    asyncio.run(body())


def test_a_mass_removal_waits_for_a_person(pair, wait_for):
    async def body():
        (pair.here / "keep").write_text("k")
        for i in range(50):
            (pair.here / f"f{i}").write_text(str(i))
        async with pair.up() as session:
            for i in range(50):
                (pair.here / f"f{i}").unlink()
            await wait_for(lambda: session.status().state == "guard", "the guard")
            status = session.status()
            assert "50 of 51" in status.reason
            assert len(pair.tree("there")) == 51
            session.confirm()
            await wait_for(lambda: len(pair.tree("there")) == 1, "the removal")
            await wait_for(lambda: session.status().state == "live", "live again")

    asyncio.run(body())


def test_a_mass_removal_that_is_taken_back_needs_nobody(pair, wait_for):
    async def body():
        (pair.here / "keep").write_text("k")
        for i in range(50):
            (pair.here / f"f{i}").write_text(str(i))
        async with pair.up() as session:
            for i in range(50):
                os.rename(pair.here / f"f{i}", pair.folder / f"f{i}")
            await wait_for(lambda: session.status().state == "guard", "the guard")
            for i in range(50):
                os.rename(pair.folder / f"f{i}", pair.here / f"f{i}")
            await wait_for(lambda: session.status().state == "live", "live again")
            assert len(pair.equal()) == 51

    asyncio.run(body())


@pytest.mark.parametrize("source", ["here", "there"])
def test_a_look_tells_whether_a_side_has_news(pair, source):
    async def body():
        async with pair.up() as session:
            await session.flush()
            await session.flush()

            async def look(side):
                answer = asyncio.get_running_loop().create_future()
                assert session.look(side, answer.set_result)
                return await answer

            assert await look(source)
            (pair.side(source) / "x").write_text("1")
            assert not await look(source)
            await session.flush(side=source)
            assert pair.equal().keys() == {b"x"}

    asyncio.run(body())
