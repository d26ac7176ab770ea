"""The daemon as a process: one at a time, private, hard to hurt, and started by need."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading

import pytest

from afield import __version__
from afield.errors import AfieldError, ConfigError, DaemonError, NoProject, UsageError


def speak(sandbox, data, *, seconds=10):
    """Send raw bytes, read until the daemon closes; gives what came."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(seconds)
        sock.connect(sandbox.socket)
        got = b""
        try:
            sock.sendall(data)
            while piece := sock.recv(1 << 16):
                got += piece
        except (BrokenPipeError, ConnectionResetError):
            pass
        return got


def test_it_is_started_by_need_and_greets(sandbox):
    with sandbox.connect() as client:
        assert client.hello["version"] == __version__
        assert client.hello["pid"] == sandbox.pid()
        assert client.hello["keeps"] == []
        assert client.request("status")["daemon"]["pid"] == sandbox.pid()


def test_without_start_an_absent_daemon_is_an_error_with_a_hint(sandbox):
    with pytest.raises(DaemonError, match="not running") as caught:
        sandbox.connect(start=False)
    assert caught.value.hint


def test_socket_and_folders_are_for_the_user_alone(sandbox):
    sandbox.connect().close()
    assert stat.S_IMODE(os.stat(sandbox.socket).st_mode) == 0o600
    for folder in (sandbox.run, sandbox.state, os.path.join(sandbox.state, "log")):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(os.path.join(sandbox.state, "log", "daemon.log")).st_mode) == 0o600


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_is_refused(sandbox):
    sandbox.connect().close()
    path = sandbox.socket
    # The folder keeps others out; this opens it, so that the check of the peer itself is what refuses.
    opened = [path]
    while opened[-1] not in ("/", "/tmp"):
        opened.append(os.path.dirname(opened[-1]))
    before = {name: stat.S_IMODE(os.stat(name).st_mode) for name in opened if name not in ("/", "/tmp")}
    try:
        for name in before:
            os.chmod(name, 0o777)
        code = (
            "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])\n"
            'try:\n s.sendall(b\'{"v":1,"id":1,"do":"hello","args":{}}\\n\'); got = s.recv(100)\n'
            "except (BrokenPipeError, ConnectionResetError): got = b''\n"
            "sys.exit(0 if got == b'' else 1)"
        )
        done = subprocess.run([sys.executable, "-I", "-S", "-c", code, path], timeout=30, check=False)
    finally:
        for name, mode in before.items():
            os.chmod(name, mode)
    assert done.returncode == 0
    assert "user 65534 was refused" in sandbox.log()
    with sandbox.connect(start=False) as client:
        assert client.hello["pid"]


def test_many_starters_at_once_get_one_daemon(sandbox):
    pids, errors = [], []

    def one():
        try:
            with sandbox.connect() as client:
                pids.append(client.hello["pid"])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    assert len(pids) == 6
    assert len(set(pids)) == 1


def test_two_daemons_started_at_once_are_one(sandbox, start_process, wait):
    first, second = start_process(), start_process()
    wait(lambda: os.path.exists(sandbox.socket), "the socket")
    wait(lambda: first.poll() is not None or second.poll() is not None, "one of the two to leave")
    loser = first if first.poll() is not None else second
    assert loser.returncode == 0
    with sandbox.connect(start=False) as client:
        assert client.hello["pid"] in (first.pid, second.pid)


def test_a_stale_socket_is_replaced_after_kill_9(sandbox):
    with sandbox.connect() as client:
        first = client.hello["pid"]
    sandbox.kill_daemon()
    assert os.path.exists(sandbox.socket)
    with sandbox.connect() as client:
        assert client.hello["pid"] != first


def test_sigterm_is_a_clean_end(sandbox, is_alive, wait):
    sandbox.connect().close()
    pid = sandbox.pid()
    os.kill(pid, signal.SIGTERM)
    wait(lambda: not is_alive(pid), "the end")
    assert not os.path.exists(sandbox.socket)
    assert sandbox.log().splitlines()[-1].endswith("info ended")


def test_stop_daemon_ends_it(sandbox, is_alive, wait):
    with sandbox.connect() as client:
        pid = client.hello["pid"]
        assert client.request("stop-daemon") == {"stopping": True}
    wait(lambda: not is_alive(pid), "the end")


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 100,
        b"GET / HTTP/1.0\r\n\r\n",
        b"{\n",
        b"{]\n",
        b'{"v":1}\n',
        b"A" * 100,
        b"AFR1" + b"\xff" * 50,
        b"AFR1i\0\0\0\0",
        b"[" * 50000 + b"\n",
        b'{"v":1,"id":1,"do":' + b"[" * 100000 + b"\n",
    ],
)
def test_garbage_ends_its_own_connection_and_nothing_else(sandbox, data):
    with sandbox.connect() as client:
        speak(sandbox, data)
        assert client.request("hello")["pid"] == sandbox.pid()


def test_a_refused_request_is_answered_and_the_connection_lives(sandbox):
    with sandbox.connect() as client:
        with pytest.raises(UsageError, match="unknown request"):
            client.request("no-such-verb")
        with pytest.raises(UsageError, match="project"):
            client.request("up", {})
        with pytest.raises(NoProject):
            client.request("up", {"project": sandbox.folder})
        assert client.request("hello")


def test_a_broken_setting_is_named(sandbox):
    folder = sandbox.project(extra='[machines.m.sync]\nmode = "sideways"\n')
    with sandbox.connect() as client, pytest.raises(ConfigError, match="sideways"):
        client.request("up", {"project": folder})


def test_another_protocol_version_ends_an_idle_daemon(sandbox, is_alive, wait):
    sandbox.connect().close()
    pid = sandbox.pid()
    answer = speak(sandbox, b'{"v":2,"id":5,"do":"hello","args":{}}\n')
    assert json.loads(answer)["error"]["code"] == "version"
    wait(lambda: not is_alive(pid), "the end")
    with sandbox.connect() as client:
        assert client.hello["pid"] != pid


def test_a_client_that_says_nothing_and_one_that_reads_nothing_block_nobody(sandbox):
    with sandbox.connect() as client, socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as deaf:
        silent.connect(sandbox.socket)
        deaf.connect(sandbox.socket)
        line = b'{"v":1,"id":%d,"do":"status","args":{}}\n'
        deaf.setblocking(False)
        try:
            for number in range(20000):
                deaf.sendall(line % number)
        except BlockingIOError:
            pass
        assert client.request("hello", timeout=20)["pid"] == sandbox.pid()


def test_a_client_that_dies_in_the_middle_of_a_request_is_forgotten(sandbox, wait):
    with sandbox.connect() as client:
        other = sandbox.connect()
        other._send("watch", {})
        other.close()
        wait(lambda: client.request("hello")["pid"] == sandbox.pid(), "an answer")


def test_watch_tells_each_change_in_order(sandbox):
    folder = sandbox.project()
    seen = []

    class Enough(Exception):
        pass

    class Look(sandbox_events()):
        def event(self, event):
            seen.append(event["change"])
            raise Enough

    with sandbox.connect() as watcher, sandbox.connect() as client:
        with pytest.raises(UsageError):
            client.request("forward", {"project": folder, "spec": ""})
        with pytest.raises(Enough):
            watcher.request("watch", {"after": 0}, events=Look(), timeout=20)
    assert seen[0]["n"] == 1


def sandbox_events():
    from afield.control.client import Events

    return Events


def test_the_log_can_be_read_through_the_daemon(sandbox):
    with sandbox.connect() as client:
        told = client.request("log", {"lines": 5})
    assert told["path"] == os.path.join(sandbox.state, "log", "daemon.log")
    assert any(line.endswith("ready") for line in told["lines"])


def test_the_daemon_holds_nothing_of_its_starter(sandbox, tmp_path):
    reader, writer = os.pipe()
    try:
        os.set_inheritable(writer, True)
        sandbox.connect().close()
        os.close(writer)
        writer = -1
        os.set_blocking(reader, True)
        assert os.read(reader, 1) == b""
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)
    assert os.getsid(sandbox.pid()) == sandbox.pid()
    assert os.readlink(f"/proc/{sandbox.pid()}/cwd") == "/"


def test_a_very_long_run_folder_works(sandbox, monkeypatch):
    folder = os.path.join(sandbox.folder, *(["d" * 50] * 5))
    monkeypatch.setenv("AFIELD_RUN_DIR", folder)
    sandbox.run = folder
    with sandbox.connect() as client:
        assert client.hello["run"] == folder


def test_a_daemon_of_another_version_makes_room_when_it_keeps_nothing(sandbox, monkeypatch):
    from afield.control import client as clients

    with sandbox.connect() as client:
        first = client.hello["pid"]
    monkeypatch.setattr(clients, "__version__", "99.0")
    with sandbox.connect() as client:
        assert client.hello["pid"] != first


def test_a_face_hands_over_where_its_ssh_agent_is(sandbox, monkeypatch):
    folder = sandbox.project(place="ssh://me@far")
    script = os.path.join(sandbox.folder, "tell")
    with open(script, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\necho "$SSH_AUTH_SOCK" > {sandbox.folder}/told\nexit 255\n')
    os.chmod(script, 0o755)
    monkeypatch.setenv("AFIELD_SSH", script)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    sandbox.connect().close()
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/agent.of.this.terminal")
    with sandbox.connect() as client, pytest.raises(AfieldError):
        client.request("connect", {"project": folder}, timeout=60)
    with open(os.path.join(sandbox.folder, "told"), encoding="utf-8") as file:
        assert file.read() == "/tmp/agent.of.this.terminal\n"
