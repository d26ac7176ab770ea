"""Which ports of a run are told, and when: looks are values here, and time is a list of what was asked for."""

import pytest

from afield.agent import treeports


class Loop:
    def __init__(self):
        self.asked = []

    def call_later(self, seconds, callback):
        self.asked.append((seconds, callback))

    def turn(self):
        seconds, callback = self.asked.pop()
        callback()
        return seconds


class Run:
    """A run in place of one with a process: it hears each look that is told."""

    def __init__(self, process):
        self.lives, self.heard = True, process

    def look(self, now, changed):
        if changed:
            self.heard.append(sorted(now.values()))


@pytest.fixture
def looks(monkeypatch):
    seen = {}
    monkeypatch.setattr(treeports, "listening", lambda: dict(seen))
    monkeypatch.setattr(treeports, "_Run", Run)
    return seen


def poller():
    loop, heard = Loop(), []
    keeper = type("Keeper", (), {"loop": loop})()
    treeports.Poller(keeper).add(heard)
    return loop, heard


def test_ports_that_are_opened_one_after_the_other_are_told_together(looks):
    loop, heard = poller()
    looks[b"1"] = 5001
    loop.turn()
    for number in (2, 3):
        assert heard == []
        looks[b"%d" % number] = 5000 + number
        assert loop.turn() == treeports.SETTLE
    loop.turn()
    assert heard == [[5001, 5002, 5003]]
    loop.turn()
    assert heard == [[5001, 5002, 5003]]
    assert loop.asked[0][0] >= treeports.INTERVAL


def test_a_machine_on_which_ports_come_all_the_time_is_told_of_as_well(looks):
    loop, heard = poller()
    for number in range(treeports.SETTLES + 1):
        looks[b"%d" % number] = 5000 + number
        loop.turn()
    assert len(heard) == 1
    looks.clear()
    loop.turn()
    loop.turn()
    assert heard[1] == []
