"""Faults: killed workers, lost stores, full disks, forbidden folders. Nothing is lost, and it is said what is wrong."""

import asyncio
import contextlib
import os
import subprocess

import pytest

from afield.errors import DiskFull, LinkLost, NotUp
from afield.sync.channel import local_worker


@pytest.mark.parametrize("side", ["here", "there"])
def test_a_killed_worker_is_started_again_and_nothing_is_missed(pair, wait_for, kill_worker, side):
    async def body():
        (pair.here / "x").write_text("0")
        async with pair.up() as session:
            kill_worker(session, side)
            (pair.here / "x").write_text("changed here")
            (pair.there / "y").write_text("new there")
            await wait_for(
                lambda: pair.tree("here") == pair.tree("there") and len(pair.tree("here")) == 2, "both changes"
            )
            await wait_for(lambda: session.status().state == "live", "live again")
            (pair.here / "x").write_text("live")
            await wait_for(lambda: (pair.there / "x").read_text() == "live", "a live save")

    asyncio.run(body())


@pytest.mark.parametrize("side", ["here", "there"])
@pytest.mark.parametrize("after", [1, 300_000, 3_000_000])
def test_a_worker_killed_in_the_middle_of_a_transfer_loses_nothing(pair, wait_for, kill_worker, side, after):
    async def body():
        (pair.here / "seed").write_text("seed")
        pair.there.mkdir(exist_ok=True)
        for i in range(300):
            (pair.here / f"h{i}").write_bytes(os.urandom(10_000))
            (pair.there / f"t{i}").write_bytes(os.urandom(10_000))
        before = {**pair.tree("here"), **pair.tree("there")}
        killed = []

        def progress(now):
            if now.bytes >= after and not killed:
                killed.append(kill_worker(session, side))

        session = pair.session(on_progress=progress)
        try:
            with contextlib.suppress(LinkLost):
                await session.start()
            if session.state != "live":
                await session.start()
            await wait_for(lambda: pair.tree("here") == pair.tree("there"), "both sides")
            assert killed
            assert pair.equal() == before
            assert session.conflicts() == []
        finally:
            await session.close()

    asyncio.run(body())


def test_a_worker_that_cannot_be_started_is_tried_again_with_pauses(pair, wait_for, kill_worker):
    async def body():
        tries = []

        async def broken():
            tries.append(1)
            if len(tries) in (2, 3, 4):
                raise LinkLost("no way there", hint="test")
            return await local_worker()

        pair.makers["there"] = broken
        async with pair.up() as session:
            kill_worker(session, "there")
            await wait_for(lambda: session.status().reason == "no way there", "the reason")
            assert session.status().state == "waiting"
            (pair.here / "x").write_text("kept for later")
            with pytest.raises(LinkLost):
                await session.flush()
            await wait_for(lambda: (pair.there / "x").read_text() == "kept for later", "the save")
            assert len(tries) == 5

    asyncio.run(body())


def test_suspended_it_waits_and_resumed_it_goes_on(pair, wait_for):
    async def body():
        async with pair.up() as session:
            session.suspend("the link is gone")
            (pair.here / "x").write_text("x")
            with pytest.raises(LinkLost):
                await session.flush()
            assert session.status().state == "paused"
            assert not (pair.there / "x").exists()
            session.resume()
            await wait_for((pair.there / "x").exists, "the save")
            await wait_for(lambda: session.status().state == "live", "live again")

    asyncio.run(body())


def test_a_closed_session_says_so(pair):
    async def body():
        session = pair.session()
        with pytest.raises(NotUp):
            await session.flush()
        await session.start()
        await session.close()
        await session.close()
        assert session.status().state == "closed"

    asyncio.run(body())


@pytest.mark.parametrize("how", ["deleted", "garbage", "truncated"])
def test_a_lost_store_means_a_careful_first_sync_and_no_deletion(pair, how):
    async def body():
        for name in ("same", "edited here", "gone here", "gone there"):
            (pair.here / name).write_text("base")
        async with pair.up():
            pass
        if how == "deleted":
            for path in pair.store.parent.iterdir():
                path.unlink()
        elif how == "garbage":
            pair.store.write_bytes(os.urandom(4096))
        else:
            os.truncate(pair.store, 3000)
        (pair.here / "edited here").write_text("edit")
        (pair.here / "gone here").unlink()
        (pair.there / "gone there").unlink()
        async with pair.up() as session:
            assert [c.path for c in session.conflicts()] == [b"edited here"]
            assert bool(session.notes) == (how != "deleted")
        for side in (pair.here, pair.there):
            assert (side / "gone here").read_text() == "base"
            assert (side / "gone there").read_text() == "base"

    asyncio.run(body())


def test_a_store_that_is_older_than_the_folders_deletes_nothing_that_is_new(pair):
    async def body():
        (pair.here / "x").write_text("1")
        async with pair.up():
            pass
        old = pair.store.read_bytes()
        async with pair.up() as session:
            (pair.here / "x").write_text("2")
            (pair.there / "y").write_text("y")
            await session.flush()
        pair.store.write_bytes(old)
        for suffix in ("-wal", "-shm"):
            pair.store.with_name(pair.store.name + suffix).unlink(missing_ok=True)
        async with pair.up() as session:
            assert session.conflicts() == []
            assert pair.equal() == {b"x": ("f", b"2", False), b"y": ("f", b"y", False)}

    asyncio.run(body())


@pytest.fixture
def small_disk(pair):
    pair.there.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", pair.there], capture_output=True)
    if made.returncode:
        pytest.skip(f"cannot mount: {made.stderr!r}")
    yield pair
    subprocess.run(["umount", pair.there], check=True)


def test_a_full_disk_is_a_problem_with_a_hint_and_the_other_direction_goes_on(small_disk, wait_for):
    pair = small_disk

    async def body():
        (pair.there / "from there").write_text("there")
        async with pair.up() as session:
            (pair.here / "big").write_bytes(os.urandom(3_000_000))
            await session.flush()
            status = session.status()
            assert [(p["path"], p["code"], p["side"]) for p in status.problems] == [("big", "disk-full", "there")]
            assert status.state == "live"
            (pair.there / "from there").write_text("more")
            (pair.here / "small").write_text("fits")
            await session.flush()
            assert (pair.here / "from there").read_text() == "more"
            assert (pair.there / "small").read_text() == "fits"
            assert not (pair.there / "big").exists()
            cycles = session.cycles
            await asyncio.sleep(0.3)
            assert session.cycles - cycles < 5, "it must not spin"
            (pair.here / "big").write_bytes(os.urandom(1000))
            await wait_for(lambda: (pair.there / "big").stat().st_size == 1000, "the file that fits now")
            await wait_for(lambda: session.status().problems == [], "the end of the problem")

    asyncio.run(body())


def test_a_folder_that_cannot_be_written_is_a_problem_of_its_own(pair, wait_for):
    async def body():
        (pair.here / "locked").mkdir()
        (pair.here / "locked" / "old").write_text("old")
        async with pair.up() as session:
            lock(pair.there / "locked", True)
            try:
                (pair.here / "locked" / "new").write_text("new")
                (pair.here / "open").write_text("open")
                await session.flush()
                assert (pair.there / "open").read_text() == "open"
                problems = session.status().problems
                assert [(p["path"], p["code"]) for p in problems] == [("locked/new", "not-allowed")]
                assert problems[0]["hint"] or problems[0]["text"]
            finally:
                lock(pair.there / "locked", False)
            await wait_for(lambda: (pair.there / "locked" / "new").read_text() == "new", "the retry")
            await wait_for(lambda: session.status().problems == [], "the end of the problem")

    def lock(folder, on):
        if os.geteuid() == 0:
            done = subprocess.run(["chattr", "+i" if on else "-i", folder], capture_output=True)
            if done.returncode:
                pytest.skip("chattr is not possible here")
        else:
            os.chmod(folder, 0o555 if on else 0o755)

    asyncio.run(body())


def test_a_path_that_is_ignored_there_alone_is_not_deleted_here(pair):
    async def body():
        (pair.here / "d").mkdir()
        (pair.here / "d" / "x").write_text("x")
        async with pair.up() as session:
            (pair.there / "d" / ".gitignore").write_text("x\n")
            await session.flush()
            await session.flush()
            assert (pair.here / "d" / "x").read_text() == "x"

    asyncio.run(body())


def test_a_folder_with_ignored_content_goes_as_far_as_it_can_and_nothing_spins(pair):
    async def body():
        (pair.here / "d").mkdir()
        (pair.here / "d" / "x").write_text("x")
        async with pair.up(ignore=("*.tmp",)) as session:
            (pair.there / "d" / "keep.tmp").write_text("ignored")
            (pair.here / "d" / "x").unlink()
            (pair.here / "d").rmdir()
            await session.flush()
            assert (pair.there / "d" / "keep.tmp").read_text() == "ignored"
            assert not (pair.there / "d" / "x").exists()
            cycles = session.cycles
            await asyncio.sleep(0.3)
            assert session.cycles - cycles < 6

    asyncio.run(body())


def test_a_big_ignored_folder_costs_nothing_and_is_named(pair):
    async def body():
        data = pair.here / "node_modules"
        data.mkdir()
        for i in range(2000):
            (data / str(i)).write_bytes(b"x" * 100)
        (pair.here / ".gitignore").write_text("node_modules\n")
        async with pair.up() as session:
            assert pair.tree("there").keys() == {b".gitignore"}
            assert "node_modules" in [name for name, _ in session.status().here.ignored_biggest]
            (data / "more").write_text("x")
            await session.flush()
            assert pair.tree("there").keys() == {b".gitignore"}

    asyncio.run(body())


def test_a_full_disk_for_what_was_agreed_on_is_waited_out_by_the_same_process(pair, wait_for, disk_at):
    """While it is full nothing is forgotten: what was removed meanwhile is removed on the other side afterwards."""

    async def body():
        disk = disk_at(pair.store.parent)
        (pair.here / "kept").write_text("kept")
        (pair.here / "gone").write_text("gone")
        async with pair.up() as session:
            disk.leave(0)
            for number in range(200):
                (pair.here / f"{number}{'x' * 200}").write_text("new")
            await wait_for(lambda: isinstance(session.reason, DiskFull), "the full disk to be told")
        os.unlink(pair.here / "gone")
        for _ in range(2):
            session = pair.session()
            with pytest.raises(DiskFull):
                await session.start()
            await session.close()
        disk.free()
        async with pair.up():
            assert pair.tree("here") == pair.tree("there")
            assert b"gone" not in pair.tree("here")

    asyncio.run(body())
