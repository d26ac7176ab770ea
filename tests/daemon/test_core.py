"""When the daemon ends by itself and which links it lets go; inside one loop, with short times."""

import asyncio
import os

import pytest

from afield.daemon import api, core, logs


@pytest.fixture
def in_loop(sandbox, monkeypatch):
    """Run a coroutine function with a daemon object whose idle time is ``seconds``."""
    os.makedirs(sandbox.state, mode=0o700)
    os.makedirs(sandbox.run, mode=0o700)

    def go(work, seconds):
        monkeypatch.setattr(core, "IDLE_SECONDS", seconds)

        async def main():
            diary = logs.Log(os.path.join(sandbox.state, "log"))
            daemon = core.Daemon(diary)
            daemon.handlers = api.handlers(daemon)
            try:
                async with asyncio.timeout(60):
                    return await work(daemon)
            finally:
                await daemon.close()
                diary.close()

        return asyncio.run(main())

    return go


def test_it_ends_by_itself_when_nobody_uses_it(in_loop):
    async def work(daemon):
        await daemon.wait_stopped()

    in_loop(work, 0.05)


def test_it_stays_while_something_is_kept(in_loop):
    async def work(daemon):
        daemon.forwards[1] = type(
            "Held", (), {"stop": lambda self: asyncio.sleep(0), "target": type("T", (), {"place": None})}
        )()
        seen = []
        daemon.release_idle = lambda: _note(seen)
        while len(seen) < 3:
            await asyncio.sleep(0.01)
        assert not daemon._stopped.is_set()
        daemon.forwards.clear()
        await daemon.wait_stopped()

    async def _note(seen):
        seen.append(1)

    in_loop(work, 0.02)


def test_an_unused_link_is_closed_and_dialed_again_by_need(in_loop, sandbox):
    folder = sandbox.project()

    async def work(daemon):
        target = daemon.projects.get(folder, None)
        await target.place.ready()
        await daemon.release_idle(1000)
        assert target.place.connected
        await daemon.release_idle(0)
        assert not target.place.connected
        await target.place.ready()
        assert target.place.connected

    in_loop(work, 1000.0)


def test_a_bug_in_a_verb_is_logged_and_answered(in_loop, sandbox):
    async def work(daemon):
        daemon.bug("a verb", ValueError("what"))
        assert "ValueError: what" in logs.tail(daemon.diary.path, 1)[0]

    in_loop(work, 1000.0)
