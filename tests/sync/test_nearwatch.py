"""The worker of a macOS laptop, on this machine: watchfiles tells of changes, and nothing is missed, doubled or carried back."""

import asyncio
import os
import shutil

import pytest

from afield.files import inotify as words
from afield.sync import nearwatch


@pytest.fixture
def laptop(pair, monkeypatch):
    """The worker of here takes its events from watchfiles; that of there is as always."""
    monkeypatch.setattr(nearwatch, "library", nearwatch.find_library)
    return pair


@pytest.fixture
def source(tmp_path):
    base = os.fsencode(os.path.realpath(tmp_path))
    found = nearwatch.Notified(base)
    found.add(b"")
    yield found, base
    found.close()


def caught_up(source, base):
    """What has happened, as (folder/name, mask)."""
    for _ in source.catch_up(base):
        pass
    found = [(folder + b"/" + name if folder else name, mask) for folder, name, mask, _ in source.read()]
    return [item for item in found if not item[0].startswith(b"cookie-")]


def test_edits_moves_and_removals_are_carried_while_live(laptop):
    async def scenario():
        (laptop.here / "src" / "deep").mkdir(parents=True)
        (laptop.here / "src" / "a.py").write_text("1")
        (laptop.here / "src" / "deep" / "b.py").write_text("2")
        async with laptop.up() as session:
            assert session.picture.here.watch_mode in ("both", "")
            await session.flush()
            (laptop.here / "src" / "a.py").write_text("longer")
            (laptop.here / "new").mkdir()
            (laptop.here / "new" / "c.py").write_text("3")
            await session.flush()
            assert (laptop.there / "src" / "a.py").read_text() == "longer"
            os.rename(laptop.here / "src" / "deep", laptop.here / "moved")
            (laptop.here / "new" / "c.py").unlink()
            await session.flush()
            assert laptop.equal().keys() == {b"src", b"src/a.py", b"moved", b"moved/b.py", b"new"}
            # A folder that came by a rename is watched like any other, and so is one that was made by the sync.
            (laptop.here / "moved" / "b.py").write_text("after the move")
            (laptop.there / "results").mkdir()
            (laptop.there / "results" / "r").write_text("r")
            await session.flush()
            (laptop.here / "results" / "r").write_text("edited here")
            await session.flush()
            assert (laptop.there / "moved" / "b.py").read_text() == "after the move"
            assert (laptop.there / "results" / "r").read_text() == "edited here"
            shutil.rmtree(laptop.here / "moved")
            await session.flush()
            assert not (laptop.there / "moved").exists()
            assert session.picture.here.watch_mode == "both"
            laptop.equal()

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_save_arrives_without_being_asked_for(laptop):
    async def scenario():
        (laptop.here / "f").write_text("1")
        async with laptop.up() as session:
            await session.flush()
            (laptop.here / "f").write_text("saved")
            while (laptop.there / "f").read_text() != "saved":
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_events_count_only_in_folders_that_were_added(source):
    notified, base = source
    os.makedirs(base + b"/in/inner")
    os.makedirs(base + b"/out")
    assert {path for path, _ in caught_up(notified, base)} == {b"in", b"out"}
    notified.add(b"in")
    for path in (b"/in/f", b"/in/inner/f", b"/out/f"):
        with open(base + path, "wb"):
            pass
    assert {path for path, _ in caught_up(notified, base)} >= {b"in/f"}
    os.rename(base + b"/in", base + b"/away")
    found = dict(caught_up(notified, base))
    assert found[b"in"] == words.MOVED_FROM | words.ISDIR
    assert found[b"away"] == words.MOVED_TO | words.ISDIR
    notified.remove_below(b"in")
    os.mkdir(base + b"/in")
    with open(base + b"/in/f", "wb"):
        pass
    assert {path for path, _ in caught_up(notified, base)} == {b"in"}


def test_a_path_that_cannot_be_told_means_that_all_is_looked_at(source):
    notified, base = source
    with open(base + b"/\xff", "wb"):
        pass
    for _ in range(1000):
        found = list(notified.read())
        if found:
            break
        for _ in notified.catch_up(base):
            pass
    assert found == [(b"", b"", words.OVERFLOW, 0)]


def test_where_nothing_can_be_written_nobody_waits(source, tmp_path):
    notified, base = source
    assert list(notified.catch_up(b"/elsewhere")) == []
    assert list(notified.catch_up(base + b"/no-such-folder")) == []
    assert not notified._cookies
    notified.close()
    notified.close()


def test_linux_has_inotify(monkeypatch):
    monkeypatch.setattr(nearwatch.sys, "platform", "linux")
    assert nearwatch.library() is None
    monkeypatch.setattr(nearwatch.sys, "platform", "darwin")
    assert os.path.isdir(os.path.join(nearwatch.library(), "watchfiles"))
    monkeypatch.setattr(nearwatch.importlib.util, "find_spec", lambda name: None)
    assert nearwatch.library() is None
