"""A user at the lab's client: a project, a home and a daemon of its own inside the client's network namespace."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from typist import Typist
from world import processes_with, wait_for


class LabWorld:
    """``afield(...)`` runs a command without a terminal, ``at_terminal(...)`` gives a Typist; ``close`` ends what lives."""

    def __init__(self, lab, root):
        self.lab = lab
        self.root = Path(root)
        self.project = self.root / "project"
        self.home = self.root / "home"
        self.project.mkdir()
        self.home.mkdir()
        self.config = self.root / "ssh_config"
        self.config.write_text(lab.config.read_text())
        names = {"AFIELD_RUN_DIR": "run", "AFIELD_STATE_DIR": "state", "XDG_DATA_HOME": "data", "HOME": "home"}
        self.env = {**os.environ, **{name: str(self.root / value) for name, value in names.items()}, "NO_COLOR": "1"}
        for name in ("SSH_AUTH_SOCK", "SSH_ASKPASS", "DISPLAY", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            self.env.pop(name, None)
        self.env["TERM"] = "dumb"

    def argv(self, *words):
        return [*self.lab.client, str(Path(sys.executable).with_name("afield")), *words]

    @property
    def ssh_words(self):
        return ["--ssh", f"-F {self.config}"]

    def afield(self, *words, check=True, timeout=120):
        done = subprocess.run(
            self.argv(*words),
            cwd=self.project,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            start_new_session=True,
        )
        if check:
            assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
        return done

    def at_terminal(self, *words):
        return Typist(self.argv(*words), cwd=self.project, env=self.env)

    def init(self, host, *more):
        """Name the place; the folder there is the test's own, because homes there outlive a test."""
        return self.afield(
            "init", f"ssh://{host}", "--name", host, "--folder", f"~/{self.root.name}", *self.ssh_words, *more
        )

    def there(self, host, path):
        """A file of the project on that host, as a path of this machine."""
        return getattr(self.lab, host).path(f"/home/dev/{self.root.name}/{path}")

    def place(self):
        """The state of the one link, as `afield status --json` tells it."""
        places = json.loads(self.afield("status", "--json").stdout).get("places") or {"": {}}
        return next(iter(places.values()))

    def ssh_pids(self):
        """The ssh processes of the daemon that carry a link (not their proxies)."""
        names = [(pid, Path(f"/proc/{pid}/comm")) for pid in processes_with(str(self.config))]
        return [pid for pid, comm in names if comm.exists() and comm.read_text().strip() == "ssh"]

    def kill_link(self):
        for pid in wait_for(self.ssh_pids, what="an ssh to kill"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self):
        self.afield("daemon", "stop", "--force", check=False)
        wait_for(self._killed, what="the end of every process of the test")

    def _killed(self):
        # More than once: a run whose daemon ends starts another one, which may come after the first look.
        found = processes_with(str(self.root))
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not found
