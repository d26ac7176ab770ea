"""A large file over a real sshd: a killed daemon, a cut link, and it goes on where it was."""

import os
import signal

import pytest
from world import wait_for

pytestmark = [pytest.mark.ssh, pytest.mark.slow, pytest.mark.timeout(180)]

MEGA = 1 << 20


def limited(world, rate):
    """Slow the sync down, so that there is a middle to break it off in."""
    with open(world.project / "afield.toml", "a") as file:
        file.write(f'\n[sync]\nlimit = "{rate}"\n')


def staged(world):
    """Bytes of unfinished files there."""
    total = 0
    for folder, _, names in os.walk(world.there / ".afield" / "staging"):
        for name in names:
            try:
                total += os.path.getsize(os.path.join(folder, name)) if name.endswith(".part") else 0
            except FileNotFoundError:
                continue
    return total


def test_a_killed_daemon_leaves_a_part_that_the_next_one_takes_up(world):
    limited(world, "30 MB/s")
    world.afield("up", "--yes")
    content = os.urandom(96 * MEGA)
    (world.project / "big").write_bytes(content)
    wait_for(lambda: staged(world) > 32 * MEGA, what="a third of the file there")
    os.kill(world.daemon_pid(), signal.SIGKILL)
    world.afield("up", "--yes")
    wait_for(lambda: (world.there / "big").exists(), what="the file", seconds=60)
    world.afield("sync")
    assert world.same()
    assert staged(world) == 0


def test_a_cut_link_in_the_middle_of_a_large_file_loses_nothing(world):
    limited(world, "30 MB/s")
    world.afield("up", "--yes")
    content = os.urandom(48 * MEGA)
    (world.project / "big").write_bytes(content)
    wait_for(lambda: staged(world) > 8 * MEGA, what="a part of the file there")
    world.kill_link()
    wait_for(lambda: (world.there / "big").exists(), what="the file", seconds=60)
    world.afield("sync")
    assert world.same()
    assert staged(world) == 0
