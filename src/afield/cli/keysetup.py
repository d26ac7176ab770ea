"""The steps of `afield keys setup`: the system's ssh and ssh-keygen do the work, this file decides and checks.

Rules: nothing is overwritten (a key file that is there is used, never replaced); the public key alone travels; each step is
harmless when it was done before. What must not go in: prompts of our own (ssh and ssh-keygen ask on the terminal).
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from afield.errors import ConfigError, HostKeyChanged, HostKeyUnknown, LinkError, PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Callable

# Runs under any login shell: one word for the shell, sh does the rest. StrictModes of sshd wants all of these modes.
_INSTALL = (
    "umask 077; mkdir -p ~/.ssh && touch ~/.ssh/authorized_keys && chmod go-w ~ && chmod 700 ~/.ssh && chmod 600 ~/.ssh/authorized_keys && "
    'IFS= read -r line && { grep -qxF -e "$line" ~/.ssh/authorized_keys || { '
    '[ -z "$(tail -c 1 ~/.ssh/authorized_keys)" ] || echo >> ~/.ssh/authorized_keys; '
    'printf "%s\\n" "$line" >> ~/.ssh/authorized_keys; }; } && '
    "{ command -v restorecon >/dev/null 2>&1 && restorecon -R ~/.ssh; true; }"
)
_LOGIN_SECONDS = 120


class KeySetup:
    """One run for one host. ``say`` gets a line for each step."""

    def __init__(
        self, host: str, *, ssh_words: tuple[str, ...], key: str | None, passphrase: bool, say: Callable[[str], None]
    ) -> None:
        self._target, port = split_host(host)
        self._ssh = ["ssh", *ssh_words, *(["-p", port] if port else [])]
        self._wanted = key
        self._passphrase = passphrase
        self._say = say

    def run(self) -> dict[str, Any]:
        """Do all steps. Raises ConfigError, LinkError, PermissionDenied, each with a hint."""
        key, found = self._key(self._settings().get("identityfile", []))
        if not found:
            # A name that was mistyped must not leave a key pair for nothing.
            self._reach()
            self._make(key)
        # First: ssh-keygen does not even read a key that others could.
        fixed = self._fix_modes(key)
        self._public(key)
        report = {"host": self._target, "key": key, "made": not found, "fixed": fixed, "installed": False}
        if self._works(key):
            self._say("the key is accepted already")
            return {**report, "offered": self._is_offered(key)}
        self._install(key)
        if not self._works(key):
            raise PermissionDenied(
                f"{self._target} still refuses the key {key} after it was installed",
                hint="the server may forbid keys, or want its file elsewhere (AuthorizedKeysFile): ask its administrator",
            )
        self._say("logged in with the key alone")
        return {**report, "installed": True, "offered": self._is_offered(key)}

    def _settings(self) -> dict[str, list[str]]:
        done = self._call([*self._ssh, "-G", self._target])
        if done.returncode:
            raise ConfigError(
                f"ssh does not accept {self._target!r}: {done.stderr.strip()}", hint="check ~/.ssh/config"
            )
        settings: dict[str, list[str]] = {}
        for line in done.stdout.splitlines():
            name, _, value = line.partition(" ")
            settings.setdefault(name.lower(), []).append(value)
        return settings

    def _key(self, candidates: list[str]) -> tuple[str, bool]:
        """Give (private key, whether it is there): the wanted one, else the first that ssh would offer, else where to make one."""
        if self._wanted:
            candidates = [self._wanted]
        paths = [os.path.expanduser(candidate) for candidate in candidates]
        for path in paths:
            if os.path.exists(path):
                self._say(f"using the key {path}")
                return path, True
        # A name that ssh offers by itself; one of another type would hold a key that its name does not tell.
        modern = [path for path in paths if path.endswith("id_ed25519")]
        named = modern or (paths if len(paths) == 1 else [])
        return named[0] if named else os.path.expanduser("~/.ssh/id_ed25519"), False

    def _reach(self) -> None:
        """Knock without any key or password. Raises LinkError when nobody answers, or not with the host key that is known."""
        batch = [] if sys.stdin.isatty() else ["-o", "BatchMode=yes"]
        knock = ["-o", "PreferredAuthentications=none", "-o", "ControlPath=none", *batch]
        done = self._call([*self._ssh, *knock, "-T", self._target, "exit 0"])
        if done.returncode == 255 and "Permission denied" not in done.stderr:
            raise self._explain(done.stderr)

    def _make(self, path: str) -> None:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-f", path]
        if not self._passphrase or not sys.stdin.isatty():
            argv += ["-N", ""]
        self._say(f"making the key {path}")
        if subprocess.run(argv, check=False).returncode or not os.path.exists(path):
            raise ConfigError(f"ssh-keygen did not make {path}", hint="its own message stands above")

    def _public(self, path: str) -> str:
        """Give the one line of the public key; it is derived again when its file is missing."""
        if not os.path.exists(path + ".pub"):
            done = subprocess.run(["ssh-keygen", "-y", "-f", path], check=False, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                raise ConfigError(f"{path}.pub is missing and cannot be derived", hint="give another key with --key")
            with open(path + ".pub", "x", encoding="ascii") as file:
                file.write(done.stdout)
        with open(path + ".pub", encoding="utf-8", errors="replace") as file:
            lines = [line for line in file.read().splitlines() if line.strip()]
        if len(lines) != 1 or len(lines[0].split()) < 2:
            raise ConfigError(f"{path}.pub does not hold one public key", hint="give another key with --key")
        return lines[0].strip()

    def _fix_modes(self, key: str) -> list[str]:
        """Tighten what ssh would refuse or what others could read; returns what was changed."""
        fixed = []
        wanted = [
            (os.path.dirname(os.path.abspath(key)), 0o077, 0o700),
            (key, 0o077, 0o600),
            (os.path.expanduser("~/.ssh/config"), 0o022, None),
        ]
        for path, forbidden, mode in wanted:
            try:
                now = stat.S_IMODE(os.stat(path).st_mode)
            except FileNotFoundError:
                continue
            if now & forbidden and os.path.basename(path) not in ("", "~"):
                if stat.S_ISDIR(os.stat(path).st_mode) and os.path.basename(path) != ".ssh":
                    continue
                os.chmod(path, now & ~forbidden if mode is None else mode)
                fixed.append(path)
                self._say(f"permissions of {path} tightened")
        return fixed

    def _works(self, key: str) -> bool:
        """Tell whether the key alone opens the door: no password, no agent's other keys."""
        alone = [
            "-i",
            key,
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "PasswordAuthentication=no",
            "-o",
            "KbdInteractiveAuthentication=no",
        ]
        alone += ["-o", "ControlPath=none"]
        asks = sys.stdin.isatty()
        batch = [] if asks else ["-o", "BatchMode=yes"]
        done = self._call([*self._ssh, *alone, *batch, "-T", self._target, "exit 0"], shown=False)
        if done.returncode == 255:
            problem = done.stderr
            if "Permission denied" in problem or "Too many authentication failures" in problem:
                return False
            raise self._explain(problem)
        return done.returncode == 0

    def _is_offered(self, key: str) -> bool:
        """Tell whether ssh offers this key by itself; when not, say what makes it do so."""
        done = self._call([*self._ssh, "-o", "BatchMode=yes", "-o", "ControlPath=none", "-T", self._target, "exit 0"])
        if done.returncode == 0:
            return True
        self._say(f"ssh does not offer this key by itself: put `IdentityFile {key}` under the host in ~/.ssh/config")
        return False

    def _install(self, key: str) -> None:
        line = self._public(key)
        self._say(f"installing {key}.pub at {self._target}")
        command = "exec sh -c '" + _INSTALL + "'"
        try:
            done = subprocess.run(
                [*self._ssh, "-o", "ControlPath=none", "-T", self._target, command],
                check=False,
                input=line + "\n",
                text=True,
                stderr=subprocess.PIPE,
                timeout=_LOGIN_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise LinkError(f"{self._target} did not answer within {_LOGIN_SECONDS} s") from None
        if done.returncode == 255:
            raise self._explain(done.stderr)
        if done.returncode:
            raise LinkError(
                f"the key could not be written at {self._target}: {done.stderr.strip()[-300:]}",
                hint="are the home folder and ~/.ssh there folders that this user may write?",
            )

    def _explain(self, text: str) -> LinkError:
        last = text.strip().splitlines()[-1] if text.strip() else "no message"
        if "Permission denied" in text:
            return PermissionDenied(
                f"{self._target} refused the login: {last}",
                hint="the password was wrong, or the server wants another way: try plain ssh first",
            )
        if "REMOTE HOST IDENTIFICATION HAS CHANGED" in text:
            return HostKeyChanged(
                f"{self._target} shows another host key than the one that is known here",
                hint=f"ask its administrator whether that is right, then: {forget_command(text, self._target)}",
            )
        if "Host key verification failed" in text:
            return HostKeyUnknown(
                f"the host key of {self._target} is not known here, and nobody can be asked about it",
                hint=f"run this in a terminal, or look at the key and accept it once: ssh {self._target}",
            )
        return LinkError(
            f"ssh to {self._target} failed: {last}", hint="try plain ssh first: afield uses it as it is set up"
        )

    def _call(self, argv: list[str], *, shown: bool = False) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                argv,
                check=False,
                stdin=None if shown else subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_LOGIN_SECONDS,
            )
        except FileNotFoundError:
            raise ConfigError("there is no ssh program here", hint="install OpenSSH's client") from None
        except subprocess.TimeoutExpired:
            raise LinkError(f"{self._target} did not answer within {_LOGIN_SECONDS} s") from None


def split_host(text: str) -> tuple[str, str | None]:
    """Give (what ssh takes, port) of ``user@host``, ``host:port`` or an ssh:// URL. Raises ConfigError."""
    match = re.fullmatch(
        r"(?:ssh://)?((?:[^@/\s]+@)?(?:\[[0-9a-fA-F:.]+\]|[^@/:\s\[\]-][^@/:\s\[\]]*))(?::([0-9]{1,5}))?/?", text
    )
    if match is None:
        raise ConfigError(f"expected user@host, a Host of ~/.ssh/config or ssh://user@host:port, got {text!r}")
    return match.group(1).replace("[", "").replace("]", ""), match.group(2)


def forget_command(stderr: str, target: str) -> str:
    """Give the command that removes a changed host key; ssh's own words name file, alias and port better than we could."""
    said = re.search(r"^\s*(ssh-keygen .*-R .+)$", stderr, re.MULTILINE)
    if said:
        return said.group(1).strip()
    host = re.search(r"^Host key for (\S+) has changed", stderr, re.MULTILINE)
    return f"ssh-keygen -R {host.group(1) if host else target.rpartition('@')[2]}"
