"""The first command of the day: no daemon runs, and the login of the last time is begun before one does."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from world import command_line, processes_with, wait_for


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def dials(world):
    """How many logins began: each ssh asks the valve for a connection of its own."""
    return (world.root / "state" / "log" / "daemon.log").read_text().count(": connected")


def daemons(world):
    return [
        pid for pid in processes_with(str(world.root / "run")) if b"afield.daemon.main" in b" ".join(command_line(pid))
    ]


@pytest.fixture
def cold(world):
    """A project whose last dial is remembered, and no daemon."""
    world.afield("run", "--no-sync", "true")
    wait_for((world.root / "state" / "last-dial").exists, what="the memory of the dial")
    world.afield("daemon", "stop", "--force")
    wait_for(lambda: not world.ssh_pids(), what="the end of the link")
    return world


def test_the_login_that_was_begun_first_is_the_link(cold):
    assert cold.afield("run", "--no-sync", "echo", "far").stdout == "far\n"
    (ssh,) = cold.ssh_pids()
    assert parent(ssh) == cold.daemon_pid()
    assert b"--adopted" in command_line(cold.daemon_pid())
    assert len(os.listdir(cold.root / "run" / "ask")) == 1
    assert "no early dial" not in (cold.root / "state" / "log" / "daemon.log").read_text()
    cold.afield("daemon", "stop", "--force")
    wait_for(lambda: not cold.ssh_pids(), what="the end of the ssh")


def test_no_descriptor_and_no_token_leaks(cold):
    reader, writer = os.pipe()
    # As a shell's pipeline leaves one open: a daemon that held it would keep the pipeline waiting.
    process = cold.start(*cold.argv("run", "--no-sync", "true"), pass_fds=(writer,), stdin=subprocess.DEVNULL)
    assert process.wait(60) == 0
    os.close(writer)
    assert os.read(reader, 1) == b""
    os.close(reader)
    (ssh,) = cold.ssh_pids()
    environment = Path(f"/proc/{ssh}/environ").read_bytes().split(b"\0")
    (token,) = [word.partition(b"=")[2] for word in environment if word.startswith(b"AFIELD_ASKPASS_TOKEN=")]
    assert token not in b" ".join(command_line(cold.daemon_pid()))
    kept = {os.readlink(f"/proc/{ssh}/fd/{fd}") for fd in os.listdir(f"/proc/{ssh}/fd")}
    assert not [name for name in kept if name.startswith(str(cold.root / "run")) or name.endswith(".lock")]


def test_commands_that_start_at_once_share_one_daemon_and_one_login(cold):
    before = dials(cold)
    runs = [cold.start(*cold.argv("run", "--no-sync", "echo", str(n)), stdin=subprocess.DEVNULL) for n in range(4)]
    for number, run in enumerate(runs):
        out, err = run.communicate(timeout=60)
        assert (run.returncode, out) == (0, b"%d\n" % number), err
    assert len(cold.ssh_pids()) == 1
    assert dials(cold) == before + 1
    assert len(daemons(cold)) == 1


def test_a_sync_comes_up_over_the_login_that_was_begun(cold):
    (cold.project / "a.py").write_text("print(7)\n")
    before = dials(cold)
    assert cold.afield("python", "a.py").stdout == "7\n"
    assert dials(cold) == before + 1


@pytest.mark.parametrize("words", [["--no-sync"], []])
def test_a_place_that_does_not_answer_is_explained(cold, words):
    cold.afield("run", "true")
    cold.afield("down")  # it was synced: next time this side begins before the link is there
    cold.afield("daemon", "stop", "--force")
    cold.box.stop()
    done = cold.afield("run", *words, "true", check=False)
    assert done.returncode == 255
    assert "ssh://gpu1" in done.stderr
    assert "hint: " in done.stderr
    assert not cold.ssh_pids()


@pytest.mark.parametrize("who", ["command", "daemon", "both"])
def test_a_kill_during_the_login_leaves_no_ssh(cold, who):
    cold.valve.write_text("hold")
    run = cold.start(*cold.argv("run", "--no-sync", "true"), stdin=subprocess.DEVNULL)
    wait_for(cold.ssh_pids, what="the login")
    if who != "command":
        wait_for(lambda: daemons(cold), what="the daemon")
        for pid in daemons(cold):
            os.kill(pid, signal.SIGKILL)
    if who != "daemon":
        run.kill()
    cold.valve.write_text("open")
    assert run.wait(60) == (0 if who == "daemon" else -signal.SIGKILL)
    assert cold.afield("run", "--no-sync", "echo", "again").stdout == "again\n"
    wait_for(lambda: len(cold.ssh_pids()) == 1, what="the end of the other login")
    assert len(daemons(cold)) == 1


def test_a_setting_that_changed_is_obeyed(cold):
    toml = cold.project / "afield.toml"
    toml.write_text(toml.read_text().replace("ssh://gpu1", "ssh://nowhere"))
    done = cold.afield("run", "--no-sync", "true", check=False)
    assert done.returncode == 255
    assert "nowhere" in done.stderr
