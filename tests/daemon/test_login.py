"""What two machines must share to share a link."""

import types

import pytest

from afield.daemon.login import place_key


def machine(place, **more):
    return types.SimpleNamespace(**{"place": place, "ssh": (), "agent_python": None, **more})


@pytest.mark.parametrize("short", ["gpu1", "me@gpu1"])
def test_the_short_and_the_long_form_of_a_place_are_one(short):
    assert place_key(machine(short)) == place_key(machine(f"ssh://{short}"))


@pytest.mark.parametrize(
    "other",
    [
        machine("ssh://gpu1:2222"),
        machine("ssh://gpu1/folder"),
        machine("local://"),
        machine("gpu1", ssh=("-p", "22")),
        machine("gpu1", agent_python="python3.9"),
        machine("me@gpu1"),
    ],
)
def test_another_way_to_log_in_is_a_link_of_its_own(other):
    assert place_key(other) != place_key(machine("ssh://gpu1"))
