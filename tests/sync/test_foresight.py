"""What is prepared while the way is being made is used when it was right, and never when it was not."""

import asyncio
import os

import pytest

from afield.sync import foresight, transfer
from afield.sync.channel import local_worker


@pytest.fixture
def late(pair, wait_for):
    """Have the place answer only when all that is prepared is there; ``act`` happens right before."""

    def arrange(act=lambda: None):
        seen = []

        async def maker():
            session = arrange.session
            await wait_for(lambda: session.picture.here.was_scanned and session.picture.foresight is not None)
            prepared = session.picture.foresight
            await wait_for(lambda: all(bundle.request.done.done() for bundle in prepared._bundles.values()))
            seen.append(sorted(prepared._bundles))
            act()
            return await local_worker()

        pair.makers["there"] = maker
        return seen

    return arrange


async def first(pair, late, **settings):
    session = late.session = pair.session(**settings)
    try:
        await session.start()
        await session.flush()
        assert session.status().problems_total == 0
        assert session.picture.foresight is None
        return session.status()
    finally:
        await session.close()


def fill(top):
    (top / "d" / "e").mkdir(parents=True)
    (top / "d" / "f").write_bytes(b"one")
    (top / "d" / "e" / "g").write_bytes(os.urandom(300_000))
    (top / "empty").write_bytes(b"")
    (top / "run").write_bytes(b"#!/bin/sh\n")
    (top / "run").chmod(0o755)
    (top / "link").symlink_to("d/f")


@pytest.fixture
def reads(monkeypatch):
    """Files that a transfer had to read because nothing was prepared."""
    found = []
    begin = transfer._Flow._begin

    def noted(self, source, ready):
        if ready is None:
            found.extend(path for path, _ in self.batch.items)
        return begin(self, source, ready)

    monkeypatch.setattr(transfer._Flow, "_begin", noted)
    return found


def test_a_first_upload_uses_what_was_prepared(pair, late, reads):
    seen = late()
    fill(pair.here)
    status = asyncio.run(first(pair, late))
    assert seen == [[b"d/e/g"]]
    assert reads == []
    assert status.agreed == 7
    assert len(pair.equal()) == 7


def test_a_file_that_changed_in_between_is_sent_as_it_is_now(pair, late, reads):
    def act():
        (pair.here / "d" / "f").write_bytes(b"another")
        (pair.here / "late").write_bytes(b"late")

    late(act)
    fill(pair.here)
    asyncio.run(first(pair, late))
    assert pair.equal()[b"d/f"] == ("f", b"another", False)
    assert pair.equal()[b"late"] == ("f", b"late", False)


def test_what_stands_there_is_never_overwritten_by_what_was_supposed(pair, late, reads):
    pair.there.mkdir()
    (pair.there / "run").write_bytes(b"theirs")
    (pair.there / "mine").write_bytes(b"mine")
    late()
    fill(pair.here)
    status = asyncio.run(first(pair, late))
    assert status.conflicts_total == 1
    assert (pair.there / "run").read_bytes() == b"theirs"
    assert (pair.here / "run").read_bytes() == b"#!/bin/sh\n"
    assert (pair.here / "mine").read_bytes() == b"mine"


def test_a_pull_prepares_nothing(pair, late):
    pair.there.mkdir()
    (pair.there / "theirs").write_bytes(b"t")
    seen = late()
    fill(pair.here)
    asyncio.run(first(pair, late, mode="pull"))
    assert seen == [[]]
    assert not (pair.there / "run").exists()


def test_memory_is_bounded_and_the_rest_is_read_when_it_is_wanted(pair, late, reads, monkeypatch):
    monkeypatch.setattr(foresight, "MOST_BYTES", 1000)
    monkeypatch.setattr(transfer, "BATCH_OPS", 5)
    seen = late()
    for number in range(60):
        (pair.here / f"f{number:02}").write_bytes(b"x" * 300)
    asyncio.run(first(pair, late))
    assert 1 <= len(seen[0]) <= 4
    assert len(reads) == 60 - 5 * len(seen[0])
    assert len(pair.equal()) == 60


def test_a_long_plan_is_foreseen_as_well(pair, late, reads, monkeypatch):
    from afield.sync import outcome

    monkeypatch.setattr(outcome, "PART", 20)
    monkeypatch.setattr(foresight, "FIRST", 30)
    monkeypatch.setattr(transfer, "BATCH_OPS", 10)
    late()
    for number in range(70):
        (pair.here / f"f{number:02}").write_bytes(b"%d" % number)
    asyncio.run(first(pair, late))
    assert 0 < len(reads) < 70
    assert len(pair.equal()) == 70
