"""A project on a private sshd with a daemon of its own: what `connect`, `exec` and `agent` measure on."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from hosts import Sshd, wait_until


class BenchProject:
    """``with BenchProject(folder) as project``: a host ``box``, a project, and `afield` with its own daemon.

    The login's home is an empty folder, so that the start-up files of whoever measures slow nobody down, and both sides see the same.
    """

    def __init__(self, folder: str, python: str | None = None) -> None:
        self.root = Path(folder)
        self.folder = self.root / "project"
        self.home = self.root / "home"
        self.home.mkdir()
        self.python = python
        self.box = Sshd(self.root / "sshd", env={"AFIELD_HOME": str(self.home), "HOME": str(self.home)})
        names = {
            "AFIELD_RUN_DIR": "run",
            "AFIELD_STATE_DIR": "state",
            "XDG_DATA_HOME": "data",
            "XDG_CONFIG_HOME": "config",
        }
        self.env = {**os.environ, **{name: str(self.root / value) for name, value in names.items()}}
        # An installed program has its bytecode beside it: compiling it anew at every start would be measured, and is not what a user has.
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)
        self.control = self.root / "control"

    def __enter__(self) -> Self:
        self.box.start()
        try:
            self.folder.mkdir()
            (self.folder / "hello.py").write_text("print('hello')\n")
            words = ["--ssh", f"-F {self.box.config}", *(["--python", self.python] if self.python else [])]
            self.afield(
                "init", "ssh://box", "--name", "box", "--folder", str(self.root / "there"), *words, "--no-check"
            )
        except BaseException:
            self.box.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.afield("down", "--stop-agent", check=False)
            self.stop_daemon()
        finally:
            self.box.stop()

    def afield_argv(self, *words: str) -> list[str]:
        """The installed command when it stands beside this Python, else the module."""
        script = Path(sys.executable).with_name("afield")
        return [str(script), *words] if script.exists() else [sys.executable, "-m", "afield.cli", *words]

    def afield(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.afield_argv(*words),
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode:
            raise RuntimeError(f"afield {words}: {done.returncode} {done.stderr}")
        return done

    def stop_daemon(self) -> None:
        self.afield("daemon", "stop", "--force", check=False)

    def ssh(self, *words: str) -> None:
        """A fresh ssh login that runs a command."""
        self._quiet([*self.box.ssh, "-T", "box", *words])

    @contextlib.contextmanager
    def master(self) -> Iterator[None]:
        """Keep a ControlMaster, for ``ssh_warm``."""
        argv = [*self.box.ssh, "-o", "ControlMaster=yes", "-o", f"ControlPath={self.control}", "-N", "box"]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: self.control.exists() or process.poll() is not None, what="the ControlMaster")
            yield
        finally:
            process.kill()  # asked to end it may wait for its last session
            process.wait()

    def ssh_warm(self, *words: str) -> None:
        """A command over the warm ControlMaster."""
        self._quiet([*self.box.ssh, "-o", f"ControlPath={self.control}", "-T", "box", *words])

    def _quiet(self, argv: list[str]) -> None:
        subprocess.run(
            argv, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True
        )
