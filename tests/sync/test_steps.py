"""The lists of step names are what the code comes to: a name without a place would be a kill that never happens."""

import asyncio
import re
from pathlib import Path

import pytest

import afield
from afield.files import steps as worker_steps
from afield.sync import steps

SOURCE = Path(afield.__file__).parent


@pytest.mark.parametrize(("folder", "names"), [("sync", steps.STEPS), ("files", worker_steps.STEPS)])
def test_every_name_stands_somewhere_and_every_place_has_a_name(folder, names):
    found = set()
    for path in (SOURCE / folder).glob("*.py"):
        found.update(re.findall(r'steps\.at\("([a-z-]+)"\)', path.read_text("utf-8")))
    assert found == set(names)
    assert len(names) == len(set(names))


def test_a_session_comes_to_every_step_in_its_order(pair, monkeypatch):
    async def body():
        (pair.here / "a").write_text("1")
        (pair.here / "b").write_text("2")
        async with pair.up() as session:
            seen = []
            monkeypatch.setattr(steps, "hook", seen.append)
            async with session._lock:
                # In one cycle: the loop waits until both sides have told of all of it.
                (pair.here / "a").write_text("changed")
                (pair.there / "a").write_text("1")  # equal again, so that a hash has to tell
                (pair.here / "b").unlink()
                for side in (session.picture.here, session.picture.there):
                    await side.barrier()
            await session.flush()
        order = ["scan", "hash", "decide", "check-removals", "moves", "plan", "guard", "carry-out", "results"]
        order += ["remember", "remembered", "agreed"]
        assert list(dict.fromkeys(name for name in seen if name in order)) == order
        assert set(seen) <= set(steps.STEPS)

    asyncio.run(body())


def test_an_unset_hook_costs_nothing_to_come_by():
    assert steps.hook is None
    assert worker_steps.hook is None
    for name in steps.STEPS:
        steps.at(name)
