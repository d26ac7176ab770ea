"""A private sshd for benches and tests: own keys, own configuration, loopback only, ended by pid.

Rules: nothing of the user's ~/.ssh is read or written; the login is the current user's, by a key made for the occasion;
everything lies in one folder, and stop() leaves no process. No measuring here.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

SSHD = next((p for p in ("/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd") if os.access(p, os.X_OK)), None)


def free_port(address: str = "127.0.0.2") -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def wait_until(test, seconds: float = 10.0, what: str = "the condition") -> None:
    """Poll test() until it is true; raise TimeoutError after that many seconds."""
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {seconds} s")
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    """All processes below pid, deepest first (Linux; elsewhere none)."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            below = [int(word) for word in file.read().split()]
    except OSError:
        return []
    found: list[int] = []
    for child in below:
        found += [*children(child), child]
    return found


class Sshd:
    """``with Sshd(folder) as box: subprocess.run([*box.ssh, box.host, "true"])``.

    ``lines`` are added to sshd_config; ``env`` is the environment of every login (sshd's SetEnv);
    ``shell`` stands in for the login shell: ``SHELL -c COMMAND`` is run for every command;
    ``banner_rc`` is shell text that runs first, as a chatty rc file would.
    """

    host = "box"

    def __init__(self, folder, *, lines=(), env=None, shell=None, banner_rc=None, address="127.0.0.2") -> None:
        self.folder = Path(folder)
        self.address = address
        self.port = free_port(address)
        self.lines = list(lines)
        self.env = dict(env or {})
        self.shell = shell
        self.banner_rc = banner_rc
        self.process: subprocess.Popen[bytes] | None = None
        self.config = self.folder / "config"
        self.key = self.folder / "key"
        self.known_hosts = self.folder / "known_hosts"

    @property
    def ssh(self) -> list[str]:
        return ["ssh", "-F", str(self.config)]

    @property
    def place(self) -> str:
        return f"ssh://{self.host}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        if SSHD is None:
            raise FileNotFoundError("no sshd on this machine: install the OpenSSH server")
        self._make_files()
        self._launch()
        return self

    def restart(self) -> None:
        self.stop()
        self._launch()

    def _launch(self) -> None:
        log = open(self.folder / "log", "ab")  # noqa: SIM115 the server owns it from here on
        with log:
            self.process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._listens, what="sshd")

    def _listens(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError("sshd ended: " + (self.folder / "log").read_text(errors="replace")[-2000:])
        with socket.socket() as probe:
            return probe.connect_ex((self.address, self.port)) == 0

    def stop(self) -> None:
        if self.process is None:
            return
        pids = children(self.process.pid)
        self.process.terminate()
        self.process.wait(10)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process = None

    def sessions(self) -> list[int]:
        """The processes of the logins that are open now."""
        return [] if self.process is None else children(self.process.pid)

    def _make_files(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if os.getuid() == 0:
            os.makedirs(
                "/run/sshd", mode=0o755, exist_ok=True
            )  # sshd refuses to start as root without its empty folder
        for name in ("key", "host_key"):
            if not (self.folder / name).exists():
                command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.folder / name)]
                subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        (self.folder / "authorized_keys").write_text((self.folder / "key.pub").read_text())
        host_key = " ".join((self.folder / "host_key.pub").read_text().split()[:2])
        self.known_hosts.write_text(f"[{self.address}]:{self.port} {host_key}\n")
        (self.folder / "sshd_config").write_text("\n".join(self._server_lines()) + "\n")
        self.config.write_text("\n".join(self.client_lines()) + "\n")

    def _server_lines(self) -> list[str]:
        lines = [
            *self.lines,  # the first value wins, so the caller's come first
            f"ListenAddress {self.address}",
            f"Port {self.port}",
            f"HostKey {self.folder}/host_key",
            f"AuthorizedKeysFile {self.folder}/authorized_keys",
            f"PidFile {self.folder}/pid",
            "StrictModes no",
            "UsePAM no",
            "PermitRootLogin yes",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PrintMotd no",
            "MaxSessions 50",
            "MaxStartups 100",
            "Subsystem sftp internal-sftp",
        ]
        if self.env:
            lines.append("SetEnv " + " ".join(f'"{name}={value}"' for name, value in self.env.items()))
        force = self._force()
        return [*lines, f"ForceCommand {force}"] if force else lines

    def _force(self) -> str | None:
        parts = [self.banner_rc] if self.banner_rc else []
        if self.shell:
            parts.append(f'exec {shlex.quote(self.shell)} -c "$SSH_ORIGINAL_COMMAND"')
        elif parts:
            parts.append('eval "$SSH_ORIGINAL_COMMAND"')
        return "; ".join(parts) or None

    def client_lines(self) -> list[str]:
        return [
            f"Host {self.host}",
            f"  HostName {self.address}",
            f"  Port {self.port}",
            f"  User {getpass.getuser()}",
            f"  IdentityFile {self.key}",
            "  IdentitiesOnly yes",
            "  IdentityAgent none",
            f"  UserKnownHostsFile {self.known_hosts}",
            "  GlobalKnownHostsFile /dev/null",
            "  StrictHostKeyChecking yes",
        ]

    def add_host(self, name: str, *lines: str) -> None:
        """Add another alias to the client's configuration: the same server, ``lines`` first (the first value wins)."""
        body = [f"Host {name}", *(f"  {line}" for line in lines), *self.client_lines()[1:]]
        with self.config.open("a") as file:
            file.write("\n".join(body) + "\n")
