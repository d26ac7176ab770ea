"""A user's world, opened for each test and closed with all its processes."""

import pytest
from world import World

from hosts import SSHD


@pytest.fixture
def make_world(tmp_path_factory):
    if SSHD is None:
        pytest.skip("no sshd on this machine")
    worlds = []

    def make(**sshd):
        world = World(tmp_path_factory.mktemp("w"), **sshd).open()
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make_world):
    made = make_world()
    made.init()
    return made
