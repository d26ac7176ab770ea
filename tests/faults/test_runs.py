"""Programs there survive whatever happens to the link, the daemon or the laptop; nothing of their output is lost or doubled."""

import contextlib
import os
import signal
import time

import pytest
from world import wait_for

pytestmark = [pytest.mark.ssh, pytest.mark.slow, pytest.mark.timeout(180)]

COUNT = "import sys, time\nfor i in range(60):\n    print(i, flush=True); time.sleep(0.05)\nprint('end', file=sys.stderr)\nsys.exit(5)"
WHOLE = b"".join(b"%d\n" % i for i in range(60))
ECHO = "import sys, hashlib\nh = hashlib.sha256()\nn = 0\nwhile True:\n    d = sys.stdin.buffer.read1(65536)\n    if not d: break\n    h.update(d); n += len(d)\nprint(n, h.hexdigest())"


def begin(world, code=COUNT):
    world.afield("up", "--yes")
    return world.start(world.shim, "-c", code)


def first_lines(process, count=5):
    return b"".join(process.stdout.readline() for _ in range(count))


def finish(process, seen=b""):
    out, err = process.communicate(timeout=100)
    return seen + out, err, process.returncode


def test_a_killed_ssh_is_not_noticed(world):
    process = begin(world)
    seen = first_lines(process)
    world.kill_link()
    assert finish(process, seen) == (WHOLE, b"end\n", 5)


def test_many_killed_links_are_not_noticed(world):
    process = begin(world)
    seen = b""
    for _ in range(4):
        seen += first_lines(process, 8)
        world.kill_link()
    assert finish(process, seen) == (WHOLE, b"end\n", 5)


def test_output_that_pours_is_exact_over_killed_links(world):
    process = begin(world, "import sys\nfor n in range(4000): sys.stdout.buffer.write(b'%015d\\n' % n * 1000)")
    came = bytearray()
    for enough in (8 << 20, 32 << 20, None):
        links = wait_for(world.ssh_pids, what="an ssh to kill")
        while (enough is None or len(came) < enough) and (data := process.stdout.read(1 << 20)):
            came += data
        for pid in links if enough else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # right now: what is on its way is lost with it
    assert (process.wait(60), len(came)) == (0, 64_000_000)
    assert came == b"".join(b"%015d\n" % n * 1000 for n in range(4000))


def test_a_killed_daemon_is_not_noticed(world):
    process = begin(world)
    seen = first_lines(process)
    os.kill(world.daemon_pid(), signal.SIGKILL)
    out, err, status = finish(process, seen)
    assert (out, status) == (WHOLE, 5), err
    assert err.endswith(b"end\n")


def test_a_program_that_ended_while_the_link_was_down_delivers_everything(world):
    code = "import sys; print('begin', flush=True); sys.stdin.readline(); sys.stdout.write('x' * 3000000); sys.exit(7)"
    process = begin(world, code)
    assert process.stdout.readline() == b"begin\n"
    process.stdin.write(b"\n")
    process.stdin.flush()
    world.valve.write_text("cut")
    wait_for(lambda: world.link_state() in ("waiting", "dialing"), what="the lost link")
    world.valve.write_text("open")
    out, err, status = finish(process)
    assert (len(out), status) == (3000000, 7), err


@pytest.mark.parametrize("seconds", [1, pytest.param(30, marks=pytest.mark.timeout(240))])
def test_a_silent_network_for_a_while_loses_nothing(world, seconds):
    process = begin(world)
    seen = first_lines(process)
    world.valve.write_text("hold")
    time.sleep(seconds)  # the length of the silence is what is tested
    world.valve.write_text("open")
    assert finish(process, seen) == (WHOLE, b"end\n", 5)


@pytest.mark.skipif("AFIELD_LONG" not in os.environ, reason="a cut of ten minutes takes ten minutes: AFIELD_LONG=1")
@pytest.mark.timeout(900)
def test_a_cut_of_ten_minutes_loses_nothing(world):
    process = begin(world)
    seen = first_lines(process)
    world.valve.write_text("cut")
    time.sleep(600)  # the length of the cut is what is tested
    world.valve.write_text("open")
    assert finish(process, seen) == (WHOLE, b"end\n", 5)


def test_a_laptop_that_sleeps_loses_nothing(world):
    process = begin(world)
    seen = first_lines(process)
    asleep = [world.daemon_pid(), *world.ssh_pids()]
    for pid in asleep:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(5)  # the length of the sleep is what is tested
    for pid in asleep:
        os.kill(pid, signal.SIGCONT)
    assert finish(process, seen) == (WHOLE, b"end\n", 5)


def test_a_killed_agent_ends_the_run_and_says_so_and_the_next_run_works(world):
    process = begin(world)
    seen = first_lines(process)
    os.kill(world.agent_pid(), signal.SIGKILL)
    out, err, status = finish(process, seen)
    assert WHOLE.startswith(out)
    assert status == 255
    assert b"gpu1" in err
    assert b"hint:" in err
    done = world.afield("python", "-c", "print('again')")
    assert done.stdout == "again\n"


def test_three_megabytes_of_input_arrive_exactly_over_broken_links(world):
    import hashlib

    data = os.urandom(3_000_000)
    process = begin(world, ECHO)
    for start in range(0, len(data), 1_000_000):
        process.stdin.write(data[start : start + 1_000_000])
        process.stdin.flush()
        world.kill_link()
        wait_for(lambda: world.link_state() == "connected", what="the link")
    out, err, status = finish(process)
    assert (out, status) == (f"3000000 {hashlib.sha256(data).hexdigest()}\n".encode(), 0), err


@pytest.mark.skipif("AFIELD_LONG" not in os.environ, reason="a gigabyte takes ten seconds and more: AFIELD_LONG=1")
def test_a_gigabyte_of_input_and_output_passes_and_nobody_holds_it(world):
    import hashlib
    import threading

    piece, count = os.urandom(1 << 20), 1024
    process = begin(world, "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)")

    def feed():
        for _ in range(count):
            process.stdin.write(piece)
        process.stdin.close()

    feeder = threading.Thread(target=feed)
    feeder.start()
    came, expected, size = hashlib.sha256(), hashlib.sha256(), 0
    while data := process.stdout.read(1 << 20):
        came.update(data)
        size += len(data)
    feeder.join()
    for _ in range(count):
        expected.update(piece)
    assert (process.wait(60), size, came.digest()) == (0, count << 20, expected.digest())
    for pid in (world.daemon_pid(), world.agent_pid()):
        with open(f"/proc/{pid}/status") as file:
            peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
        assert peak < 100_000, f"{peak} kB"


def test_a_killed_client_ends_the_program_there(world):
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(1000)"
    process = begin(world, code)
    pid = int(process.stdout.readline())
    process.kill()

    def gone():
        try:
            with open(f"/proc/{pid}/stat") as file:
                return file.read().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    wait_for(gone, what="the end of the program there")


def test_status_says_that_the_link_is_down_and_why(world):
    world.afield("up", "--yes")
    world.valve.write_text("cut")
    world.kill_link()
    wait_for(lambda: world.link_state() in ("waiting", "dialing"), what="the lost link")
    place = wait_for(
        lambda: next((p for p in world.status()["places"].values() if p.get("why")), None), what="a reason"
    )
    assert place["why"]
    text = world.afield("status").stdout
    assert "gpu1" in text
    world.valve.write_text("open")
    wait_for(lambda: world.link_state() == "connected", what="the link")
