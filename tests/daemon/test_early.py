"""The first dial begins before what is slow to import: a login takes longer than all the rest of the daemon's start."""

import os
import subprocess
import sys

import pytest

import afield
from afield.control import spawn

SOURCE = os.path.dirname(os.path.dirname(afield.__file__))
# What a daemon does up to the dial, with a start of the command that tells what is loaded by then.
CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from afield.link import spawn
def start(dial):
    print(dial.argv[0] + " " + ",".join(name for name in sys.argv[3:] if name in sys.modules))
    return spawn.Process(0, -1, -1, -1)
spawn.spawn = start
from afield.daemon import main
main.dial_early((sys.argv[2], ""))
"""
# Each of them costs a start 3 ms or more.
SLOW = ["asyncio", "subprocess", "logging", "ssl", "sqlite3", "tempfile", "random", "concurrent.futures"]


@pytest.mark.parametrize("place", ["ssh://gpu1", None])
def test_the_first_dial_begins_before_asyncio_is_loaded(sandbox, place):
    project = sandbox.project(place=place)
    os.makedirs(sandbox.run)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", CODE, SOURCE, project, *SLOW],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    program, loaded = done.stdout.rstrip("\n").split(" ")
    assert os.path.basename(program) == ("ssh" if place else os.path.basename(sys.executable))
    assert loaded == ""


def test_the_link_of_a_started_daemon_is_the_one_that_began_early(sandbox):
    project = sandbox.project()
    with sandbox.connect(dial=(project, None)) as client:
        client.request("connect", {"project": project}, timeout=60)
    assert "no early dial" not in sandbox.log()
    assert len(os.listdir(os.path.join(sandbox.run, "ask"))) == 1


def test_a_daemon_that_was_begun_is_the_one_that_serves_and_others_may_start_one_after_it(sandbox):
    spawn.begin((sandbox.project(), None))
    spawn.begin()  # once is enough
    with sandbox.connect() as client:
        assert client.hello["pid"] == sandbox.pid()
    first = sandbox.kill_daemon()
    with sandbox.connect() as client:  # the starter's lock was given back
        assert client.hello["pid"] != first


def test_who_finds_another_starter_leaves_it_to_that_one(sandbox):
    handle = spawn.open_start_lock()
    assert spawn.lock(handle)
    spawn.begin()
    assert not os.path.exists(os.path.join(sandbox.run, "daemon.lock"))
    os.close(handle)
    with sandbox.connect() as client:
        assert client.hello["pid"] == sandbox.pid()
