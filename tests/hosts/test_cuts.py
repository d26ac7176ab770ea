"""A cable is pulled in the middle of everything, and a laptop sleeps: nothing is lost, and `afield status` says why it waits."""

import os
import signal
import subprocess
import time

import pytest
from world import wait_for

MANY = 3000
COUNT = "import sys, time\nfor n in range(int(sys.argv[1])):\n    print(n, flush=True)\n    time.sleep(0.02)\n"


def begin(world, *words):
    """Start a command without a terminal, and read its first lines: what happens then meets the middle of its output."""
    process = subprocess.Popen(
        world.argv(*words),
        cwd=world.project,
        env=world.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # readline and communicate may be mixed without losing what a buffer holds
    )
    return process, b"".join(process.stdout.readline() for _ in range(5))


def end(process, first):
    """Give (status, the whole stdout, stderr)."""
    out, err = process.communicate(timeout=120)
    return process.returncode, first + out, err


def numbers(count):
    return b"".join(b"%d\n" % n for n in range(count))


def begin_upload(world):
    """Save many files, and come back when some of them, and not all, are there."""
    folder = world.project / "many"
    folder.mkdir()
    for n in range(MANY):
        (folder / f"f{n}").write_bytes(b"%d\n" % n * 4000)
    wait_for(lambda: arrived(world) > 20, what="the first of many files there")


def arrived(world):
    folder = there(world, "many")
    return len(list(folder.glob("f*"))) if folder.is_dir() else 0


def check_upload(world):
    """Wait until all are there, and compare every byte."""
    wait_for(lambda: arrived(world) == MANY, 60, what="the rest of many files there")
    world.afield("sync")
    for n in range(MANY):
        assert there(world, f"many/f{n}").read_bytes() == b"%d\n" % n * 4000


@pytest.fixture
def live(world):
    """A project that is up on a, with a program that counts."""
    (world.project / "count.py").write_text(COUNT)
    world.init("a")
    world.afield("up", "--yes")
    return world


def there(world, path):
    return world.there("a", path)


def test_a_second_without_a_network_is_not_noticed(live):
    process, first = begin(live, "python", "count.py", "150")
    begin_upload(live)
    live.lab.a.cut()
    assert arrived(live) < MANY, "the cut came after the upload"
    (live.project / "during.txt").write_text("here")
    time.sleep(1)  # how long the cut is
    live.lab.a.heal()
    assert end(process, first) == (0, numbers(150), b"")
    wait_for(lambda: there(live, "during.txt").exists(), what="the file that was saved during the cut")
    check_upload(live)


@pytest.mark.slow
def test_a_long_cut_is_said_and_everything_goes_on_where_it_was(live):
    process, first = begin(live, "python", "count.py", "400")
    begin_upload(live)
    live.lab.a.cut()
    assert arrived(live) < MANY, "the cut came after the upload"
    (live.project / "here.txt").write_text("here")
    there(live, "there.txt").write_text("there")
    os.chown(there(live, "there.txt"), 5001, 5001)
    cut = time.monotonic()
    state = wait_for(
        lambda: (place := live.place()).get("state") in ("dialing", "waiting") and place, 45, what="the loss to be seen"
    )
    assert state["why"]
    shown = live.afield("status").stdout
    assert "reconnecting" in shown
    assert state["why"] in shown
    time.sleep(max(0.0, 30 - (time.monotonic() - cut)))  # half a minute altogether
    live.lab.a.heal()
    status, out, err = end(process, first)
    assert (status, out) == (0, numbers(400)), err
    wait_for(lambda: there(live, "here.txt").exists(), 60, what="what was saved here")
    wait_for((live.project / "there.txt").exists, 60, what="what was written there")
    check_upload(live)
    assert live.place()["state"] == "connected"


def test_a_reset_in_the_middle_is_healed_at_once(live):
    process, first = begin(live, "python", "count.py", "150")
    live.lab.a.reset_connections()
    assert end(process, first) == (0, numbers(150), b"")


@pytest.mark.slow
def test_a_laptop_that_sleeps_wakes_up_where_it_was(live):
    process, first = begin(live, "python", "count.py", "200")
    asleep = [int((live.root / "run" / "daemon.lock").read_text()), *live.ssh_pids()]
    for pid in asleep:
        os.kill(pid, signal.SIGSTOP)
    there(live, "there.txt").write_text("there")
    os.chown(there(live, "there.txt"), 5001, 5001)
    time.sleep(8)  # longer than the program runs, and than a heartbeat
    for pid in asleep:
        os.kill(pid, signal.SIGCONT)
    assert end(process, first) == (0, numbers(200), b"")
    wait_for((live.project / "there.txt").exists, 60, what="what was written while it slept")
