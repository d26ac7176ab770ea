"""What may not be read is a problem that is told and waits; it never makes the sync spin, and goes when it may be read."""

import asyncio
import os
import shutil
import sys

import pytest

from afield.sync.channel import local_worker
from afield.sync.problems import Problems


@pytest.fixture
def plain(pair, tmp_path):
    """A pair whose workers are held to permissions, also where the tests run as root."""
    if os.geteuid() != 0:
        return pair
    if shutil.which("setpriv") is None:
        pytest.skip("root reads everything, and there is no setpriv")
    script = tmp_path / "python"
    rights = "-dac_override,-dac_read_search"
    script.write_text(f'#!/bin/sh\nexec setpriv --bounding-set={rights} {sys.executable} "$@"\n')
    script.chmod(0o755)
    for side in pair.makers:
        pair.makers[side] = lambda: local_worker(str(script))
    return pair


def told(session):
    return [(problem["side"], problem["path"]) for problem in session.status().problems]


@pytest.mark.parametrize("how", ["replaced", "edited", "new"])
def test_a_file_that_cannot_be_read_is_a_problem_and_nothing_spins(plain, wait_for, how):
    async def body():
        plain.there.mkdir()
        file = plain.here / "file"
        if how != "new":
            file.write_text("old")
        async with plain.up() as session:
            part = file if how == "edited" else plain.folder / "file"
            part.write_text("new and closed")
            part.chmod(0)
            part.rename(file)
            await session.flush()
            assert [path for _, path in told(session)] == ["file"]
            assert session.status().problems[0]["code"] == "not-allowed"
            await wait_for(lambda: session.status().state == "live", "rest")
            cycles = session.cycles
            await asyncio.sleep(0.3)
            assert session.cycles - cycles < 5, "it must not spin"
            assert (plain.there / "file").exists() == (how != "new")
            file.chmod(0o644)
            await wait_for(
                lambda: (plain.there / "file").exists() and (plain.there / "file").read_text()[0] == "n", "it"
            )
            await wait_for(lambda: told(session) == [], "the end of the problem")

    asyncio.run(body())


def test_a_problem_that_became_one_of_the_other_side_is_not_due_for_ever():
    problems = Problems()
    problems.add("there", b"f", None, 0.0)
    assert problems.due(1.0) == {b"f"}
    problems.add("here", b"f", None, 1.0)
    problems.settle()
    assert problems.next_due() > 1.0
    assert [problem.side for problem in problems.visible()] == ["here"]


def test_a_folder_that_cannot_be_read_is_a_problem_and_removes_nothing(plain, wait_for):
    async def body():
        (plain.here / "folder").mkdir()
        (plain.here / "folder" / "file").write_text("kept")
        async with plain.up():
            pass
        (plain.here / "folder").chmod(0)
        async with plain.up() as session:
            assert told(session) == [("here", "folder")]
            assert session.status().problems_total == 1
            assert (plain.there / "folder" / "file").read_text() == "kept"
            (plain.here / "folder").chmod(0o755)
            await wait_for(lambda: told(session) == [], "the end of the problem")
            (plain.here / "folder" / "file").write_text("new")
            await wait_for(lambda: (plain.there / "folder" / "file").read_text() == "new", "what is saved in it")

    asyncio.run(body())
