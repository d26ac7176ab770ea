"""A mirror over a real sshd whose link dies in the middle: it goes on, or is taken up again, and is never half there."""

import json
import os
import signal
import sys

import pytest
from far_env import install, make_env
from world import processes_with, wait_for

pytestmark = [pytest.mark.ssh, pytest.mark.timeout(180)]

NAME = f"python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def mirrored(make_world):
    world = make_world()
    world.env["XDG_CACHE_HOME"] = str(world.root / "cache")
    world.init()
    python, world.site = make_env(world.root / "env")
    for number in range(40):
        # Noise, so that the link has something to carry.
        files = {f"p{number}/m{each}.py": b"#" + os.urandom(40_000).hex().encode() for each in range(20)}
        install(world.site, f"p{number}", files)
    text = (world.project / "afield.toml").read_text()
    (world.project / "afield.toml").write_text(f'python = "{python}"\n{text}')
    world.copy = world.project / ".afield/lib" / NAME / "site-packages"
    world.afield("facts")
    yield world
    world.afield("mirror", "remove", check=False)


def contents(world):
    return sum(len(files) for _, _, files in os.walk(world.root / "cache/afield/mirror"))


def test_a_killed_ssh_in_the_middle_costs_nothing(mirrored):
    process = mirrored.start(*mirrored.argv("mirror", "sync"))
    wait_for(lambda: contents(mirrored) > 20, what="some contents")
    mirrored.kill_link()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert b"files here" in out
    assert len(list(mirrored.copy.glob("p*/m*.py"))) == 800


def test_a_killed_daemon_in_the_middle_leaves_no_half_mirror_and_what_came_stays(mirrored):
    process = mirrored.start(*mirrored.argv("mirror", "sync"))
    wait_for(lambda: contents(mirrored) > 100, what="some contents")
    os.kill(mirrored.daemon_pid(), signal.SIGKILL)
    process.wait(60)
    wait_for(lambda: not processes_with("afield.mirror.worker"), what="the end of the worker")
    came = contents(mirrored)
    done = json.loads(mirrored.afield("mirror", "sync", "--json").stdout)
    assert done["fetched"] < done["files"] - came / 2
    assert len(list(mirrored.copy.glob("p*/m*.py"))) == 800
    assert json.loads(mirrored.afield("mirror", "status", "--json").stdout)["mirror"]["odd"] == []


def test_clean_takes_the_mirror_away(mirrored):
    mirrored.afield("mirror", "sync")
    assert "the mirror here" in mirrored.afield("clean", "--yes").stdout
    assert not mirrored.copy.exists()
