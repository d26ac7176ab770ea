"""Polling in turns: hot folders always, the others within their share of the time, everything when asked."""

import os

import pytest

from afield.files import polling, probe


class Folders:
    """As much of a root as polling needs: folders by path, each opened anew."""

    def __init__(self, top):
        self.top = top
        self.fds = []

    def folder(self, path):
        self.fds.append(os.open(os.path.join(self.top, path), os.O_RDONLY))
        return self.fds[-1]

    def forget(self):
        while self.fds:
            os.close(self.fds.pop())


class Task:
    until = float("inf")


@pytest.fixture
def many(folder, monkeypatch):
    """Twenty folders, and passes in which there is time for a single one beside the hot ones."""
    top = folder + b"/many"
    root = Folders(top)
    found = polling.Polling(root)
    for number in range(20):
        os.makedirs(top + b"/%02d" % number)
        found.add(b"%02d" % number)
    root.forget()
    monkeypatch.setattr(polling, "SHARE", 1e12)
    return found


def changes(found, **how):
    return [path for path, _, _ in filter(None, found.run(Task(), **how))]


def touch(found, name):
    with open(os.path.join(found.root.top, name), "w"):
        pass


def test_a_pass_has_its_share_of_time_and_all_folders_get_their_turn(many):
    for number in range(20):
        touch(many, b"%02d/f" % number)
    seen = [changes(many) for _ in range(20)]
    assert sorted(path for some in seen for path in some) == [b"%02d/f" % number for number in range(20)]
    assert max(map(len, seen)) == 1


def test_a_folder_in_which_something_changed_is_looked_at_in_every_pass(many):
    touch(many, b"00/f")
    while not changes(many):
        pass
    for number in range(5):
        touch(many, b"00/g%d" % number)
        assert b"00/g%d" % number in changes(many)


def test_everything_is_looked_at_when_asked(many):
    for number in range(20):
        touch(many, b"%02d/f" % number)
    assert len(changes(many, everything=True)) == 20


def test_hot_folders_are_bounded(many, monkeypatch):
    monkeypatch.setattr(polling, "HOT_MOST", 3)
    for number in range(10):
        many.warm(b"%02d" % number, float(number))
    assert sorted(many.hot) == [b"07", b"08", b"09"]


def test_layers_are_told_from_networks():
    assert probe.is_layered("overlay")
    assert not probe.is_layered("ext4")
    assert not probe.is_network("overlay")
