"""Around a run: the quick question first, the long way when there is something to do, and never both."""

import asyncio

import pytest

from afield.daemon import settling
from afield.errors import LinkLost


class Target:
    """A project whose sync answers when the test says so."""

    def __init__(self, *, askable=True, barrier=None):
        self.askable, self._barrier = askable, barrier
        self.answers = []
        self.sides = []

    def look(self, side, answer):
        self.sides.append(side)
        self.answers.append(answer)
        return self.askable

    async def barrier(self, side=None):
        self.sides.append(side)
        if self._barrier is not None:
            await self._barrier()


def look(target):
    ways = []
    settling.look(target, "here", quiet=lambda: ways.append("quiet"), busy=lambda: ways.append("busy"))
    return ways


@pytest.mark.parametrize(("nothing", "way"), [(True, "quiet"), (False, "busy")])
def test_the_answer_decides_the_way_and_only_the_first_one(nothing, way):
    async def scene():
        target = Target()
        ways = look(target)
        assert ways == []
        target.answers[0](nothing)
        target.answers[0](not nothing)
        assert ways == [way]

    asyncio.run(scene())


def test_what_cannot_be_asked_takes_the_long_way():
    async def scene():
        assert look(Target(askable=False)) == ["busy"]

    asyncio.run(scene())


def test_an_answer_that_does_not_come_takes_the_long_way(monkeypatch):
    monkeypatch.setattr(settling, "LOOK_SECONDS", 0.01)

    async def scene():
        target = Target()
        taken = asyncio.get_running_loop().create_future()
        settling.look(target, "there", quiet=lambda: taken.set_result("quiet"), busy=lambda: taken.set_result("busy"))
        assert await taken == "busy"
        target.answers[0](True)  # too late: another one would raise InvalidStateError

    asyncio.run(scene())


def test_results_that_came_need_no_word():
    target = Target()
    assert asyncio.run(settling.bring_results(target)) == ""
    assert target.sides == ["there"]


def test_results_that_do_not_come_are_told_of(monkeypatch):
    async def fails():
        raise LinkLost("the link is gone")

    assert "the link is gone" in asyncio.run(settling.bring_results(Target(barrier=fails)))
    monkeypatch.setattr(settling, "RESULTS_SECONDS", 0.01)
    assert "takes longer" in asyncio.run(settling.bring_results(Target(barrier=asyncio.Event().wait)))
