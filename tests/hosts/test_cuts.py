"""A cable is pulled in the middle of everything, and a laptop sleeps: nothing is lost, and `afield status` says why it waits."""

import os
import signal
import subprocess
import time

import pytest
from world import wait_for

COUNT = "import sys, time\nfor n in range(int(sys.argv[1])):\n    print(n, flush=True)\n    time.sleep(0.02)\n"


def begin(world, *words):
    """Start a command without a terminal; its stdout is read at the end."""
    return subprocess.Popen(
        world.argv(*words),
        cwd=world.project,
        env=world.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def numbers(count):
    return "".join(f"{n}\n" for n in range(count))


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
    process = begin(live, "python", "count.py", "150")
    wait_for(lambda: there(live, "count.py").exists(), what="the program there")
    time.sleep(0.5)  # so that the cut meets the middle of the output
    live.lab.a.cut()
    (live.project / "during.txt").write_text("here")
    time.sleep(1)  # how long the cut is
    live.lab.a.heal()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, numbers(150), "")
    wait_for(lambda: there(live, "during.txt").exists(), what="the file that was saved during the cut")


@pytest.mark.slow
def test_a_long_cut_is_said_and_everything_goes_on_where_it_was(live):
    process = begin(live, "python", "count.py", "300")
    time.sleep(1)  # the middle of the output
    live.lab.a.cut()
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
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, numbers(300)), err
    wait_for(lambda: there(live, "here.txt").exists(), 60, what="what was saved here")
    wait_for((live.project / "there.txt").exists, 60, what="what was written there")
    assert live.place()["state"] == "connected"


def test_a_reset_in_the_middle_is_healed_at_once(live):
    process = begin(live, "python", "count.py", "150")
    time.sleep(0.7)  # the middle of the output
    live.lab.a.reset_connections()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, numbers(150), "")


@pytest.mark.slow
def test_a_laptop_that_sleeps_wakes_up_where_it_was(live):
    process = begin(live, "python", "count.py", "200")
    time.sleep(0.7)  # the middle of the output
    asleep = [int((live.root / "run" / "daemon.lock").read_text()), *live.ssh_pids()]
    for pid in asleep:
        os.kill(pid, signal.SIGSTOP)
    there(live, "there.txt").write_text("there")
    os.chown(there(live, "there.txt"), 5001, 5001)
    time.sleep(8)  # longer than the program runs, and than a heartbeat
    for pid in asleep:
        os.kill(pid, signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, numbers(200), "")
    wait_for((live.project / "there.txt").exists, 60, what="what was written while it slept")
