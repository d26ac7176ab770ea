"""A daemon of its own for each test: own run, state and home folders; every process is gone afterwards."""

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import pytest

from afield.control import client as control_client
from afield.control import spawn

SECONDS = 30.0


def wait_for(look, what, seconds=SECONDS):
    """Wait until look() gives something true and return it."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.01)


def alive(pid):
    """Whether a process runs (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def children_with(marker):
    """Give the ids of all processes whose environment has marker."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
                if marker.encode() in file.read() and alive(name):
                    found.append(int(name))
    return found


class RunClient:
    """A raw run client: what the shims do, without a terminal."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(path)
        self.buffer = b""
        self.out = b""
        self.err = b""
        self.notices = b""
        self.id = b""
        self.credit = 0
        self.ack = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    @staticmethod
    def frame(kind, payload=b""):
        return kind + struct.pack("<I", len(payload)) + payload

    def send(self, kind, payload=b""):
        self.sock.sendall(self.frame(kind, payload))

    def request(self, project, argv, *, mode="run", cwd=None, flags="", env=None, argv0="afield"):
        pairs = {"LANG": "C.UTF-8"} if env is None else env
        fields = ["1", mode, argv0, project, "", cwd or project, flags, "24", "80", "xterm", str(len(argv)), *argv]
        fields += [str(len(pairs)), *(f"{name}={value}" for name, value in pairs.items())]
        payload = b"".join(os.fsencode(field) + b"\0" for field in fields)
        self.sock.sendall(b"AFR1" + self.frame(b"R", payload))
        return self

    def resume(self, project, number, credit, out, err):
        payload = number + struct.pack("<QQQ", credit, out, err) + os.fsencode(project) + b"\0\0"
        self.sock.sendall(b"AFR1" + self.frame(b"T", payload))
        return self

    def next(self):
        """Give the next frame, acknowledging output; (b"", b"") at the end."""
        while True:
            if len(self.buffer) >= 5:
                kind, size = self.buffer[:1], struct.unpack("<I", self.buffer[1:5])[0]
                if len(self.buffer) >= 5 + size:
                    payload = self.buffer[5 : 5 + size]
                    self.buffer = self.buffer[5 + size :]
                    self._take(kind, payload)
                    return kind, payload
            try:
                data = self.sock.recv(1 << 18)
            except ConnectionError:
                data = b""
            if not data:
                return b"", b""
            self.buffer += data

    def _take(self, kind, payload):
        if kind == b"o":
            self.out += payload
        elif kind == b"e":
            self.err += payload
        elif kind == b"n":
            self.notices += payload
        elif kind == b"S":
            self.id = payload
        elif kind == b"c":
            self.credit = struct.unpack("<Q", payload)[0]
        if kind in (b"o", b"e") and self.ack:
            with contextlib.suppress(OSError):
                self.send(b"a", struct.pack("<QQ", len(self.out), len(self.err)))

    def until(self, *kinds):
        """Read up to the first frame of these kinds; fails when the connection ends before."""
        while True:
            kind, payload = self.next()
            if kind in kinds:
                return kind, payload
            if not kind:
                raise AssertionError(
                    f"the connection ended before {kinds}; out={self.out[-200:]!r} err={self.err[-200:]!r}"
                )
            if kind in (b"E", b"x", b"U") and kind not in kinds:
                raise AssertionError(f"got {kind} {payload!r}, waited for {kinds}")

    def finish(self):
        """Read to the end and give the exit status."""
        _, payload = self.until(b"x")
        return struct.unpack("<i", payload)[0]


class Sandbox:
    """The folders of one test and what to do with its daemon."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.run = os.path.join(self.folder, "run")
        self.state = os.path.join(self.folder, "state")
        self.home = os.path.join(self.folder, "home")
        self.place = os.path.join(self.folder, "place")
        for path in (self.home, self.place):
            os.makedirs(path)
        self.socket = os.path.join(self.run, "daemon.sock")

    def connect(self, **more):
        return control_client.connect(**more)

    def raw(self):
        return RunClient(self.socket)

    def project(self, name="proj", *, place=None, extra=""):
        folder = os.path.realpath(os.path.join(self.folder, name))
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "afield.toml"), "w", encoding="utf-8") as file:
            file.write(
                f'machine = "m"\n[machines.m]\nplace = "{place or "local://" + self.place}"\nfolder = "{self.place}/work/{name}"\n{extra}'
            )
        return folder

    def pid(self):
        with open(os.path.join(self.run, "daemon.lock"), encoding="ascii") as file:
            return int(file.read())

    def kill_daemon(self):
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid), "the daemon to die")
        return pid

    def log(self):
        with open(os.path.join(self.state, "log", "daemon.log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def end(self):
        """End all processes that this test started, and everything they started."""
        deadline = time.monotonic() + 5
        while (left := children_with(f"AFIELD_RUN_DIR={self.run}")) and time.monotonic() < deadline:
            # Again and again: a child that has not yet become its program loses a signal.
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            time.sleep(0.05)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        reap()


def reap():
    """Collect the daemons that were our direct children."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


@pytest.fixture
def sandbox(monkeypatch):
    # A short path: pytest's own are near the length that a socket address holds.
    folder = tempfile.mkdtemp(prefix="af-")
    box = Sandbox(folder)
    monkeypatch.setenv("AFIELD_RUN_DIR", box.run)
    monkeypatch.setenv("AFIELD_STATE_DIR", box.state)
    monkeypatch.setenv("HOME", box.home)
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    yield box
    box.end()
    shutil.rmtree(folder)


@pytest.fixture
def wait():
    return wait_for


@pytest.fixture
def is_alive():
    return alive


@pytest.fixture
def start_process():
    """Start a daemon process directly; gives the Popen."""
    started = []

    def start(**more):
        process = subprocess.Popen(
            spawn.daemon_command(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stderr.close()
