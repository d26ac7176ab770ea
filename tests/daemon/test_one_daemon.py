"""One daemon at most answers, whatever happens around its start: many starters, kill -9, stale files, lost folders, stopped commands."""

import fcntl
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from afield.control import spawn
from afield.daemon import locks
from afield.errors import DaemonError

CLIENTS = 20
KILLS = 4


def daemons(sandbox):
    """The pids of the living daemons of this sandbox that have got past their locks (they hold one of them)."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                ours = f"AFIELD_RUN_DIR={sandbox.run}\0".encode() in file.read()
            with open(f"/proc/{name}/cmdline", "rb") as file:
                if ours and b"afield.daemon.main" in file.read():
                    found.append(int(name))
        except (OSError, ValueError):
            continue
    return found


def start_command(project, *words):
    return subprocess.Popen(
        [*spawn.cli_command(), *words],
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_twenty_commands_among_kills_and_stale_files_each_get_an_answer_or_a_clear_error(sandbox, seed, wait):
    chance = random.Random(seed)
    project = sandbox.project()
    os.makedirs(sandbox.run, 0o700)
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(sandbox.socket)
    stale.close()
    with open(os.path.join(sandbox.run, "daemon.lock"), "w", encoding="ascii") as file:
        file.write("999999999\n")
    running = [
        start_command(project, *chance.choice([("run", "echo", "hello"), ("facts", "--json")])) for _ in range(CLIENTS)
    ]
    for _ in range(KILLS):
        wait(lambda: daemons(sandbox) or all(one.poll() is not None for one in running), "a daemon to kill")
        for pid in daemons(sandbox)[:1]:
            os.kill(pid, signal.SIGKILL)
    answered = 0
    for process in running:
        out, err = process.communicate(timeout=90)
        if process.returncode == 0:
            answered += 1
            assert out == "hello\n" or json.loads(out)["pythons"], out
        else:
            assert err.startswith("afield: "), err
            assert "hint: " in err, err
            assert "Traceback" not in err
    assert answered
    with sandbox.connect() as client:
        assert client.hello["pid"] == sandbox.pid()
    wait(lambda: daemons(sandbox) == [sandbox.pid()], "the others to leave")


def test_a_command_right_after_a_stop_waits_for_the_old_daemon_and_starts_a_new_one(sandbox):
    for _ in range(3):
        with sandbox.connect() as client:
            first = client.hello["pid"]
            client.request("stop-daemon", {"force": True})
        os.unlink(sandbox.socket)
        with sandbox.connect() as client:
            assert client.hello["pid"] != first


def test_a_daemon_whose_run_folder_was_deleted_gives_way_to_the_next(sandbox, is_alive, wait):
    with sandbox.connect() as client:
        first = client.hello["pid"]
    shutil.rmtree(sandbox.run)
    with sandbox.connect() as client:
        assert client.hello["pid"] != first
    wait(lambda: not is_alive(first), "the end of the daemon that nobody can reach")


def test_a_second_run_folder_is_no_second_daemon(sandbox, monkeypatch, is_alive):
    with sandbox.connect() as client:
        first = client.hello["pid"]
    monkeypatch.setenv("AFIELD_RUN_DIR", sandbox.run + "2")
    with pytest.raises(DaemonError, match=f"process {first}.* listens in {sandbox.run}") as caught:
        sandbox.connect()
    assert f"AFIELD_RUN_DIR={sandbox.run} " in caught.value.hint
    assert is_alive(first)


def test_a_lock_on_a_file_that_was_deleted_meanwhile_locks_nobody_out(tmp_path, monkeypatch):
    path = str(tmp_path / "daemon.lock")
    real = fcntl.flock

    def flock(handle, how):
        real(handle, how)
        os.unlink(path)
        with open(path, "w"):
            pass

    monkeypatch.setattr(fcntl, "flock", flock)
    assert locks._try(path) is None
    monkeypatch.undo()
    handle = locks._try(path)
    assert handle is not None
    assert locks._try(path) is None
    os.close(handle)


def test_a_starter_that_is_stopped_makes_the_others_fail_with_a_hint_and_not_wait_for_ever(sandbox, monkeypatch):
    os.makedirs(sandbox.run, 0o700)
    hold = (
        "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX); print('held', flush=True);"
        "sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, os.path.join(sandbox.run, "start.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        monkeypatch.setattr("afield.control.client.START_SECONDS", 0.2)
        with pytest.raises(DaemonError, match="another command") as caught:
            sandbox.connect()
        assert "Ctrl-Z" in caught.value.hint
    finally:
        holder.communicate()
    with sandbox.connect() as client:
        assert client.hello["pid"]


def test_a_daemon_that_is_stopped_with_its_lock_is_named(sandbox, monkeypatch):
    with sandbox.connect() as client:
        first = client.hello["pid"]
    os.kill(first, signal.SIGSTOP)
    try:
        monkeypatch.setattr("afield.control.client.HELLO_SECONDS", 0.2)
        with pytest.raises(DaemonError, match="did not answer") as caught:
            sandbox.connect()
        assert f"kill {first}" in caught.value.hint
    finally:
        os.kill(first, signal.SIGCONT)


def test_a_question_that_a_killed_daemon_left_open_is_asked_once_more(sandbox, monkeypatch):
    from afield.cli.asking import ask_plain
    from afield.cli.terminal import Terminal
    from afield.control import client
    from afield.errors import NoProject

    killed = []
    line = client.Client._line

    def kill_first(self, timeout):
        if self._id == 2 and len(killed) < limit:
            killed.append(sandbox.kill_daemon())
            # The answer may have been quicker than the kill: here it was not.
            raise client.GoneError("the daemon went away")
        return line(self, timeout)

    monkeypatch.setattr(client.Client, "_line", kill_first)
    for limit, kind, said in ((1, NoProject, "afield.toml"), (3, DaemonError, "went away")):
        killed.clear()
        with pytest.raises(kind, match=said):
            ask_plain("connect", Terminal(), project=sandbox.folder, machine="m")
        assert len(killed) == min(limit, 2)
