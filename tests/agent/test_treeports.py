"""Ports of programs are told in whole groups: not while more of them come up."""

import types

import pytest

from afield.agent import treeports


class Loop:
    def __init__(self):
        self.calls = []

    def call_later(self, seconds, call):
        self.calls.append((seconds, call))
        return self

    def step(self):
        """Run what is due next; gives the seconds until then."""
        seconds, call = self.calls.pop(0)
        call()
        return seconds


@pytest.fixture
def told(monkeypatch):
    """Give (step, tell): ``step(ports)`` looks while these are open; ``tell`` is what the run was told."""
    loop, found = Loop(), []
    channel = types.SimpleNamespace(message=lambda value: found.append(value["ports"]))
    process = types.SimpleNamespace(state="running", channel=channel, pid=1, id=b"x")
    now = {}
    monkeypatch.setattr(treeports, "listening", lambda: {b"%d" % port: port for port in now["ports"]})
    monkeypatch.setattr(treeports, "tree", lambda pid, word: {pid})
    monkeypatch.setattr(treeports, "sockets", lambda pid: {b"%d" % port for port in now["ports"]})
    poller = treeports.Poller(types.SimpleNamespace(loop=loop))
    poller.add(process)

    def step(*ports):
        now["ports"] = list(ports)
        loop.step()
        return loop.calls[0][0]

    return step, found


def test_a_group_that_comes_up_is_told_when_it_is_whole(told):
    step, found = told
    assert step() >= treeports.INTERVAL
    assert step(1) < treeports.INTERVAL
    assert step(1, 2) < treeports.INTERVAL
    assert found == []
    assert step(1, 2) >= treeports.INTERVAL
    assert found == [[1, 2]]
    step(1, 2)
    assert found == [[1, 2]]


def test_what_goes_is_told_at_once(told):
    step, found = told
    for _ in range(2):
        step(1, 2)
    step(2)
    assert found == [[1, 2], [2]]


def test_a_program_that_opens_more_and_more_is_told_of_all_the_same(told):
    step, found = told
    for count in range(1, 2 * treeports.SETTLINGS):
        step(*range(1, count + 1))
    assert len(found) == 1
    assert len(found[0]) > treeports.SETTLINGS
