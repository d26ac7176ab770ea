"""Three hosts with users of their own, on two networks, on this machine: network namespaces with an sshd each. Needs root.

    cli ── net0 ── a ── net1 ── b         b is reached only through a (ProxyJump); cli has no route to it
            └───── c

Rules: no address of the lab exists outside its namespaces, and none has a route out; a lab is found by its prefix, and the lock
of that prefix says whether its owner lives, so that what a killed run left is removed by the next one. The user `dev` (5001) has
no sudo. What must not go in: anything about afield.
"""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

NETNS = Path("/run/netns")
LOCKS = Path("/run/lock")
USER, PASSWORD = "dev", "hunter2"
OTP_SECRET = b"12345678901234567890"  # the one of the test vectors in RFC 6238
# Documentation networks (RFC 5737): they mean nothing anywhere.
ADDRESSES = {"cli": {"net0": "198.51.100.1"}, "a": {"net0": "198.51.100.11", "net1": "203.0.113.11"}}
ADDRESSES |= {"b": {"net1": "203.0.113.12"}, "c": {"net0": "198.51.100.13"}}
_SSHD = """\
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM no
PrintMotd no
PidFile none
MaxStartups 100
Subsystem sftp /usr/lib/openssh/sftp-server
"""
# The first value of a keyword wins (sshd_config(5)): these lines go before the usual ones.
_WAYS = {
    "key": "",
    "password": "PasswordAuthentication yes\nPubkeyAuthentication no\nKbdInteractiveAuthentication no\n",
    "only key": "PasswordAuthentication no\nKbdInteractiveAuthentication no\n",
    "password or key": "PasswordAuthentication yes\nPubkeyAuthentication yes\nKbdInteractiveAuthentication no\n",
    "2fa": "UsePAM yes\nPasswordAuthentication no\nKbdInteractiveAuthentication yes\nAuthenticationMethods keyboard-interactive\n",
    "key+otp": "UsePAM yes\nPasswordAuthentication no\nKbdInteractiveAuthentication yes\nAuthenticationMethods publickey,keyboard-interactive\n",
}
_OTP = "auth required pam_oath.so usersfile=/etc/users.oath window=5 digits=6\n"
_REST = "account required pam_permit.so\nsession required pam_permit.so\n"
_PAM = {"2fa": "auth required pam_unix.so\n" + _OTP + _REST, "key+otp": _OTP + _REST}


def why_not():
    """The reason why there can be no lab here, or None."""
    if os.geteuid() != 0:
        return "not root"
    for tool in ("ip", "unshare", "nsenter", "ss", "sshd", "iptables"):
        if not shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            return f"no {tool} on this machine"
    probe = subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True, check=False)
    return "no network namespaces" if probe.returncode else None


def run(*words, check=True, **more):
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, timeout=60, **more
    )
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: exit {done.returncode}: {done.stderr.strip()}")
    return done


def wait_for(test, what, seconds=15.0):
    end = time.monotonic() + seconds
    while not (value := test()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {seconds} s")
        time.sleep(0.01)
    return value


class Prefix:
    """A name for the namespaces of one lab, held by a lock for as long as its owner lives; the lock file names its folder."""

    def __init__(self, base, folder):
        for number in range(64):
            self.name = f"{base}{number}x"
            self._file = _try_lock(self.name)
            if self._file:
                break
        else:
            raise RuntimeError(f"64 labs with the prefix {base} are up")
        remove_stale(self.name, self._file)
        self._file.seek(0)
        self._file.truncate()
        self._file.write(str(folder))
        self._file.flush()

    def release(self):
        os.unlink(self._file.name)
        self._file.close()


def _try_lock(name):
    file = open(LOCKS / f"aflab-{name}", "a+", encoding="utf-8")  # noqa: SIM115 - kept open as the lock
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A file that its owner removed meanwhile is no lock any more.
        if os.path.samestat(os.fstat(file.fileno()), os.stat(file.name)):
            return file
    file.close()
    return None


def remove_stale(name, file):
    """Remove what a lab of that prefix left that was never taken down."""
    for space in sorted(NETNS.glob(f"{name}*")) if NETNS.is_dir() else []:
        for pid in run("ip", "netns", "pids", space.name, check=False).stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        run("ip", "netns", "del", space.name, check=False)
    file.seek(0)
    folder = file.read().strip()
    if folder and os.path.isdir(os.path.join(folder, "aflab")):
        shutil.rmtree(os.path.join(folder, "aflab"), ignore_errors=True)


class Host:
    """One host: its life, its network cables, its way to log in; ``run`` is a command as root inside it."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.space = lab.prefix + name
        self.folder = lab.folder / name
        self.log = self.folder / "log"
        self.addresses = ADDRESSES[name]
        self.process = None
        self.way = "key"
        self._down = set()

    def boot(self):
        self.folder.mkdir(exist_ok=True)
        script = Path(__file__).with_name("lab_host.sh")
        lower = self.lab.lowers.get(self.name, "/")
        shown = self.lab.shown.get(self.name, {})
        (self.folder / "shown").write_text("".join(f"{there}\t{here}\n" for there, here in shown.items()))
        listening = self._listening()
        with open(self.log, "ab") as log:
            spaces = ["unshare", "-m", "-u", "-i", "-p", "--fork", "--kill-child", "--propagation", "private"]
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.space, *spaces, "sh", str(script), self.name, str(self.lab.folder), lower],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_listening(listening)

    def _listening(self):
        return self.log.read_bytes().count(b"Server listening on 0.0.0.0") if self.log.exists() else 0

    def _wait_listening(self, before):
        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"host {self.name} ended: {self.log.read_text(errors='replace')[-2000:]}")
            return self._listening() > before

        wait_for(ready, f"sshd of {self.name}")

    def halt(self):
        """Like pulling the plug: every process of the host is gone at once."""
        if self.process:
            self.process.kill()
            self.process.wait()
            wait_for(lambda: not run("ip", "netns", "pids", self.space).stdout, f"the end of {self.name}")
        self.process = None

    @property
    def pid(self):
        """The host's first process, its sshd, seen from here."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return int(wait_for(lambda: Path(path).read_text().split(), f"first process of {self.name}")[0])

    def argv(self, *words):
        return ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-p", "-n", "-r", "-w", *map(str, words)]

    def run(self, *words, **more):
        return run(*self.argv(*words), **more)

    def path(self, path):
        """A file of the host, as a path of this machine; only while the host is up."""
        return Path(f"/proc/{self.pid}/root") / path.lstrip("/")

    def add_user(self, name, shell="/bin/bash"):
        """Add a user with that login shell and the key of the lab."""
        self.run("useradd", "-m", "-s", shell, "-p", "*", name)
        self.run("install", "-d", "-m", "700", "-o", name, "-g", name, f"/home/{name}/.ssh")
        self.path(f"/home/{name}/.ssh/authorized_keys").write_text(self.lab.key.with_suffix(".pub").read_text())
        self.run("chown", f"{name}:{name}", f"/home/{name}/.ssh/authorized_keys")

    def cut(self, network="net0"):
        """Pull the cable: packets vanish both ways, and nobody is told."""
        run("ip", "-n", self.lab.prefix + "sw", "link", "set", f"{self.name}-{network}", "down")
        self._down.add(network)

    def heal(self, network="net0"):
        run("ip", "-n", self.lab.prefix + "sw", "link", "set", f"{self.name}-{network}", "up")
        self._down.discard(network)

    def reset_connections(self):
        """End every connection of clients to this host with a reset, at once."""
        for address in self.addresses.values():
            run(
                "ip",
                "netns",
                "exec",
                self.lab.prefix + "cli",
                "ss",
                "-K",
                "dst",
                address,
                "dport",
                "=",
                "22",
                check=False,
            )

    def slow(self, rate, *, delay="400ms"):
        """Limit the traffic towards the host to rate (``8mbit``), with a queue of at most delay; once for each host and lab."""
        shape = ["root", "tbf", "rate", rate, "burst", "32kb", "latency", delay]
        run("tc", "-n", self.lab.prefix + "sw", "qdisc", "replace", "dev", f"{self.name}-net0", *shape)

    def authentication(self, way):
        """Log in by ``key``, ``password``, ``only key``, ``password or key``, ``2fa`` (password and one-time code) or ``key+otp`` from now on."""
        self.way = way
        self.run("chpasswd", input=f"{USER}:{PASSWORD}\n")
        keep = [
            line
            for line in _SSHD.splitlines(keepends=True)
            if not (line.startswith("UsePAM") and "UsePAM" in _WAYS[way])
        ]
        self.path("/etc/ssh/sshd_config").write_text(_WAYS[way] + "".join(keep))
        if way in _PAM:
            users = self.path("/etc/users.oath")
            users.write_text(f"HOTP/T30/6 {USER} - {OTP_SECRET.hex()}\n")
            users.chmod(0o600)
            self.path("/etc/pam.d/sshd").write_text(_PAM[way])
        before = self._listening()
        self.run("kill", "-HUP", "1")
        self._wait_listening(before)

    def restore(self):
        """Back to how the lab began: up, all cables in, login by key."""
        for network in sorted(self._down):
            self.heal(network)
        if self.process is None or self.process.poll() is not None:
            self.boot()
        if self.way != "key":
            self.authentication("key")


class Lab:
    """``lab.ssh`` + ``["b", "hostname"]`` is a command line; ``lab.a``, ``lab.b`` and ``lab.c`` are the hosts.

    ``lowers`` names another root file system for a host (``{"b": "/path/of/debootstrap"}``); ``shared_home`` gives all hosts one
    /home, as clusters do; ``shown`` puts folders of this machine at paths of a host (``{"a": {"/srv/x": "/path/here"}}``).
    """

    def __init__(self, folder, *, base="af", lowers=None, shared_home=False, shown=None):
        self.folder = Path(folder) / "aflab"
        self.lowers = lowers or {}
        self.shown = shown or {}
        self._prefix = Prefix(base, folder)
        self.prefix = self._prefix.name
        self.key = self.folder / "id"
        self.config = self.folder / "config"
        self.known_hosts = self.folder / "known_hosts"
        self._shared_home = shared_home
        self.a, self.b, self.c = self.hosts = [Host(self, name) for name in "abc"]

    @property
    def client(self):
        """What to put before a command that shall run at the client's place in the network."""
        return ["ip", "netns", "exec", self.prefix + "cli"]

    @property
    def ssh(self):
        return [*self.client, "ssh", "-F", str(self.config)]

    def up(self):
        try:
            self.folder.mkdir(mode=0o755)
            if self._shared_home:
                (self.folder / "home").mkdir()
            (self.folder / "sshd_config").write_text(_SSHD)
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
            self._make_networks()
            for host in self.hosts:
                host.boot()
            self._write_client_files()
        except BaseException:
            self.down()
            raise
        return self

    def down(self):
        for host in self.hosts:
            with contextlib.suppress(Exception):
                host.halt()
        for name in ("cli", "a", "b", "c", "sw"):
            for pid in run("ip", "netns", "pids", self.prefix + name, check=False).stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            run("ip", "netns", "del", self.prefix + name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._prefix.release()

    def restore(self):
        for host in self.hosts:
            host.restore()

    def _make_networks(self):
        switch = self.prefix + "sw"
        for name in ("sw", *ADDRESSES):
            space = self.prefix + name
            run("ip", "netns", "add", space)
            run("ip", "-n", space, "link", "set", "lo", "up")
            # Inherited from the root namespace, where containers may have switched it on: a must not forward to b.
            run("ip", "netns", "exec", space, "sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward")
        for network in ("net0", "net1"):
            run("ip", "-n", switch, "link", "add", network, "type", "bridge")
            run("ip", "-n", switch, "link", "set", network, "up")
        for name, addresses in ADDRESSES.items():
            for network, address in addresses.items():
                space, port = self.prefix + name, f"{name}-{network}"
                run(*f"ip link add {network} netns {space} type veth peer name {port} netns {switch}".split())
                run("ip", "-n", switch, "link", "set", port, "master", network, "up")
                run("ip", "-n", space, "addr", "add", f"{address}/24", "dev", network)
                run("ip", "-n", space, "link", "set", network, "up")

    def _write_client_files(self):
        lines = [
            "Host *",
            f"  User {USER}",
            f"  IdentityFile {self.key}",
            "  IdentitiesOnly yes",
            "  IdentityAgent none",
        ]
        lines += [
            f"  UserKnownHostsFile {self.known_hosts}",
            "  GlobalKnownHostsFile /dev/null",
            "  StrictHostKeyChecking yes",
        ]
        known = []
        for host in self.hosts:
            first = next(iter(host.addresses.values()))
            lines += [f"Host {host.name}", f"  HostName {first}"] + (["  ProxyJump a"] if host.name == "b" else [])
            public = (host.folder / "upper/etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2]
            known += [" ".join([address, *public]) for address in host.addresses.values()]
        self.config.write_text("\n".join(lines) + "\n")
        self.known_hosts.write_text("\n".join(known) + "\n")


def base_of(worker):
    """The beginning of the prefixes of one test worker; with host names it stays below the 15 characters of an interface."""
    return "af" + re.sub(r"\W", "", worker)[:6]
