"""A user's world for end-to-end tests: a project, a daemon of its own, a private sshd with a valve before it.

Everything is real (the installed command, ssh, sshd, the agent) and lies in one folder; ``close`` ends every process by its pid.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from hosts import Sshd

VALVE = Path(__file__).with_name("valve.py")


def wait_for(test, seconds=30.0, what="the condition"):
    """Poll until test() is true and return its value; AssertionError after that many seconds."""
    end = time.monotonic() + seconds
    while True:
        value = test()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not come within {seconds} s"
        time.sleep(0.01)


def processes_with(text):
    """The pids of living processes whose command line or environment holds text (zombies are dead)."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            base = Path("/proc", name)
            if base.joinpath("stat").read_text().rpartition(")")[2].split()[0] == "Z":
                continue
            if (
                text.encode() in base.joinpath("cmdline").read_bytes()
                or text.encode() in base.joinpath("environ").read_bytes()
            ):
                found.append(int(name))
    return found


def command_line(pid):
    """The words of a process; of one that just ended, one empty word."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return [b""]


class World:
    """``afield(...)`` runs the command in the project; ``start(...)`` begins one; the rest breaks things."""

    def __init__(self, root, **sshd):
        self.root = Path(root)
        self.project = self.root / "project"
        self.there = self.root / "there"
        self.home = self.root / "far"
        self.valve = self.root / "valve"
        self.project.mkdir()
        self.home.mkdir()
        self.box = Sshd(self.root / "sshd", env={"AFIELD_HOME": str(self.home), **sshd.pop("env", {})}, **sshd)
        names = {
            "AFIELD_RUN_DIR": "run",
            "AFIELD_STATE_DIR": "state",
            "XDG_DATA_HOME": "data",
            "XDG_CONFIG_HOME": "config",
        }
        self.env = {**os.environ, **{name: str(self.root / value) for name, value in names.items()}, "NO_COLOR": "1"}
        self._started = []

    def open(self):
        """Start the server and make the client's configuration."""
        self.box.start()
        self.box.add_host(
            "gpu1",
            f"ProxyCommand {sys.executable} {VALVE} {self.box.address} {self.box.port} {self.valve}",
            "HostKeyAlias box-key",
        )
        key = " ".join((self.box.folder / "host_key.pub").read_text().split()[:2])
        with open(self.box.known_hosts, "a") as file:
            file.write(f"box-key {key}\n")
        return self

    def init(self, place="ssh://gpu1", *more, check=True):
        words = ["--ssh", f"-F {self.box.config}"]
        return self.afield("init", place, "--name", "gpu1", "--folder", str(self.there), *words, *more, check=check)

    def argv(self, *words):
        return [str(Path(sys.executable).with_name("afield")), *words]

    def afield(self, *words, check=True, timeout=120, text=True, **more):
        more.setdefault("stdin", subprocess.DEVNULL) if "input" not in more else None
        done = subprocess.run(
            self.argv(*words),
            cwd=self.project,
            env=self.env,
            capture_output=True,
            text=text,
            timeout=timeout,
            check=False,
            **more,
        )
        if check:
            assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
        return done

    def start(self, *words, **more):
        """Begin a command; its stdin, stdout and stderr are pipes unless told."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        # Unbuffered: readline and communicate may be mixed without losing what a buffer holds.
        process = subprocess.Popen(words, cwd=self.project, env=self.env, bufsize=0, **pipes)
        self._started.append(process)
        return process

    @property
    def shim(self):
        return str(self.project / ".afield" / "bin" / "python")

    def status(self):
        import json

        return json.loads(self.afield("status", "--json").stdout)

    def link_state(self):
        return next(iter((self.status().get("places") or {"": {}}).values())).get("state")

    def daemon_pid(self):
        return int((self.root / "run" / "daemon.lock").read_text())

    def ssh_pids(self):
        """The ssh clients of the daemon (not their proxies)."""
        return [pid for pid in processes_with(str(self.box.config)) if os.path.basename(command_line(pid)[0]) == b"ssh"]

    def agent_pid(self):
        return int(next(iter(self.status()["places"].values()))["agent"]["pid"])

    def kill_link(self):
        for pid in wait_for(self.ssh_pids, what="an ssh to kill"):
            os.kill(pid, signal.SIGKILL)

    def same(self, *, but=(".afield", ".git")):
        """Do both sides hold the same (kinds, contents, exec bits, link targets)?"""
        return tree_of(self.project, but) == tree_of(self.there, but)

    def close(self):
        for process in self._started:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    with contextlib.suppress(OSError):
                        pipe.close()
        self.valve.write_text("open")
        self.afield("daemon", "stop", "--force", check=False)
        for _ in range(2):
            for pid in processes_with(str(self.root)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.box.stop()
        wait_for(lambda: not processes_with(str(self.root)), what="the end of every process of the test")


def tree_of(root, but):
    """{relative path: what is there} below root."""
    found = {}
    for folder, names, files in os.walk(os.fsencode(str(root))):
        names[:] = [name for name in names if os.fsdecode(name) not in but]
        for name in [*names, *files]:
            path = os.path.join(folder, name)
            key = os.path.relpath(path, os.fsencode(str(root)))
            if os.path.islink(path):
                found[key] = ("link", os.readlink(path))
            elif os.path.isdir(path):
                found[key] = ("folder",)
            else:
                with open(path, "rb") as file:
                    found[key] = ("file", file.read(), bool(os.stat(path).st_mode & 0o100))
    return found
