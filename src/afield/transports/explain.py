"""Why a stream did not open: the exit status, the words on stderr and the noise before the marker, turned into an error with a hint.

Pure. The rules are a table, read from the top; the first that matches decides. Each pattern comes from the output of a real
OpenSSH, shell or kernel (tests/transports holds the samples). ssh writes its messages in English whatever the locale is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from afield import errors
from afield.errors import AfieldError


@dataclass(frozen=True)
class Rule:
    """``pattern`` is searched in stderr (and in the noise too when ``noise``); ``text`` and ``hint`` are filled from its groups."""

    pattern: re.Pattern[str]
    kind: type[AfieldError]
    text: str
    hint: str
    noise: bool = False


def _rule(pattern: str, kind: type[AfieldError], text: str, hint: str, *, noise: bool = False) -> Rule:
    return Rule(re.compile(pattern, re.MULTILINE | re.IGNORECASE), kind, text, hint, noise)


_TRY = "try it by hand: ssh {name} true"

#: Failures of the way to the place: only ssh itself (status 255) says these.
WAY = (
    _rule(
        r"^Offending (?P<key>\S+) key in (?P<file>.+):(?P<line>\d+)",
        errors.HostKeyChanged,
        "{place} shows another {key} host key than the one in {file}, line {line}",
        "when the machine was set up anew, forget the old key: {remove}; when not, somebody may be between you and it: do not log in",
    ),
    _rule(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key for (?P<file>\S+) has changed",
        errors.HostKeyChanged,
        "{place} shows another host key than the known one",
        "when the machine was set up anew, forget the old key: {remove}; when not, somebody may be between you and it: do not log in",
    ),
    _rule(
        r"^No (?P<key>.+?) host key is known for (?P<host>\S+) and you have requested strict",
        errors.HostKeyUnknown,
        "the host key of {host} is not known here yet",
        "log in once by hand and compare the fingerprint: ssh {name} true",
    ),
    _rule(
        r"Host key verification failed",
        errors.HostKeyUnknown,
        "the host key of {place} was not accepted",
        "log in once by hand and compare the fingerprint: ssh {name} true",
    ),
    _rule(
        r"^(?P<where>.+?:? line \d+): (?P<what>Bad configuration option: \S+|.*missing argument.*|.*unsupported option.*|Bad .*|keyword .*)$",
        errors.BadTransport,
        "ssh does not accept its configuration: {where}: {what}",
        "correct that line; `ssh -G {name}` shows what ssh reads",
    ),
    _rule(
        r"Bad owner or permissions on (?P<file>\S+)",
        errors.BadTransport,
        "ssh does not use {file}: others may write it",
        "chmod 600 {file}",
    ),
    _rule(
        r"Too many authentication failures",
        errors.PermissionDenied,
        "{place} gave up after too many keys were tried",
        "name the right one in ~/.ssh/config: IdentityFile and IdentitiesOnly yes; or `afield keys setup {name}`",
    ),
    _rule(
        r"(?:^|: )(?:\S+: )?Permission denied \((?P<methods>[^)]*)\)",
        errors.PermissionDenied,
        "{place} refused the login (it accepts: {methods})",
        "`afield keys setup {name}` installs your key; also look at the user name, and whether your key agent is unlocked",
    ),
    _rule(
        r"no mutual signature algorithm|sign_and_send_pubkey: signing failed",
        errors.PermissionDenied,
        "the key for {place} could not be used to sign",
        "unlock your key agent (ssh-add -l) or touch the security key; old RSA keys: `afield keys setup {name}` makes a new kind",
    ),
    _rule(
        r"stdio forwarding failed|open failed: (?:connect failed|administratively prohibited)(?:: (?P<why>.+))?",
        errors.Unreachable,
        "the jump host could not reach {place}: {why}",
        "look at ProxyJump in ~/.ssh/config, and whether the host is up: ssh {name} true",
    ),
    _rule(
        r"Could not resolve hostname (?P<host>[^:]+): (?P<why>.+)",
        errors.UnknownHost,
        "the name {host} means nothing here: {why}",
        "look at the spelling, at Host and HostName in ~/.ssh/config, and whether the network or VPN is up",
    ),
    _rule(
        r"connect to host (?P<host>\S+) port (?P<port>\d+): Connection refused",
        errors.Unreachable,
        "{host} answers, but nothing listens on port {port}",
        "is sshd running there, and is the port right (ssh://host:port, or Port in ~/.ssh/config)?",
    ),
    _rule(
        r"connect to host (?P<host>\S+) port (?P<port>\d+): (?:Connection|Operation) timed out|Connection to (?P<host2>\S+) port (?P<port2>\d+) timed out"
        r"|timed out during banner exchange|^Timeout, server (?P<host3>\S+) not responding",
        errors.LinkTimeout,
        "{place} does not answer",
        "is it switched on, is the VPN up, and does a firewall let the port through? {try}",
    ),
    _rule(
        r"connect to (?:host|address) (?P<host>\S+) port \d+: (?P<why>No route to host|Network is (?:unreachable|down)|Host is down|Invalid argument"
        r"|Cannot assign requested address|Permission denied|Network unreachable)",
        errors.Unreachable,
        "there is no way to {host}: {why}",
        "is the network or VPN up? {try}",
    ),
    _rule(
        r"Unable to negotiate with (?P<host>\S+) port \d+: (?P<why>.+)",
        errors.BadTransport,
        "ssh and {place} have no method in common: {why}",
        "the other side is very old or very strict: allow one of its offers in ~/.ssh/config, for this host alone",
    ),
    _rule(
        r"^(?P<what>(?:unknown option|illegal option|usage: ssh|command-line: ?line \d+:|Bad configuration option).*)",
        errors.BadTransport,
        "ssh does not accept its arguments: {what}",
        "look at `ssh =` in afield.toml and at AFIELD_SSH; afield needs OpenSSH 7.6 or newer",
    ),
    _rule(
        r"^(?P<what>.*(?:command not found|No such file or directory|not found).*)\n(?:.*\n)*?.*Connection closed by UNKNOWN",
        errors.BadTransport,
        "the ProxyCommand for {place} does not work: {what}",
        "look at ProxyCommand in ~/.ssh/config: `ssh -G {name} | grep -i proxy`",
    ),
    _rule(
        r"Connection (?:closed|reset) by UNKNOWN port",
        errors.Unreachable,
        "the jump host or ProxyCommand for {place} ended without opening the way",
        "look at ProxyJump and ProxyCommand in ~/.ssh/config: `ssh -G {name} | grep -i proxy`",
    ),
    _rule(
        r"kex_exchange_identification: (?P<why>.+)|^(?:ssh_dispatch_run_fatal|client_loop|packet_write_wait)[^\n]*: (?P<why2>.+)"
        r"|^(?P<why3>Connection (?:closed|reset) by .+|Connection to \S+ closed.*)",
        errors.LinkLost,
        "the connection to {place} broke: {said}",
        "the server may be overloaded or restarting, or a firewall ends it: {try}",
    ),
)

#: Failures of the command that the user put around ssh: any status.
AROUND = (
    _rule(
        r"Cannot open network namespace|setting the network namespace",
        errors.BadTransport,
        "the command that runs ssh failed: {said}",
        "look at `ssh =` in afield.toml and at AFIELD_SSH",
    ),
)

#: Failures at the place: any status.
START = (
    _rule(
        r"account is currently not available|nologin|account (?:has expired|is locked|is disabled)|not allowed to (?:log in|execute)|only (?:git|sftp|scp)\b.*allowed|"
        r"This service allows sftp connections only",
        errors.BadShell,
        "the account at {place} may not run commands: {said}",
        "ask its administrator for a login shell, or use another user: ssh://user@host",
        noise=True,
    ),
    _rule(
        r"password (?:has expired|change required)|must change your password|Your password has expired",
        errors.BadShell,
        "{place} wants a new password before it runs anything",
        "log in once by hand and change it: ssh {name}",
        noise=True,
    ),
    _rule(
        r"No space left on device|Disk quota exceeded|Disc quota exceeded",
        errors.PlaceFull,
        "the disk or the quota at {place} is used up: {line}",
        "make room there: ssh {name} 'df -h ~; quota'; afield needs less than 1 MB",
        noise=True,
    ),
    _rule(
        r"^afield: no usable python:[ \t]*(?P<old>\S.*)$",
        errors.PythonTooOld,
        "the Pythons at {place} are too old or broken ({old}): afield needs 3.6 or newer there",
        'load a module or install one there (uv python install, conda, pyenv), and name it: python = "/path/to/python3" in afield.toml',
    ),
    _rule(
        r"Unknown option: -I|unknown option -- I|SyntaxError: invalid syntax",
        errors.PythonTooOld,
        "the Python at {place} is too old: {line}",
        'name a Python 3.6 or newer there: python = "/path/to/python3" in afield.toml',
    ),
    _rule(
        r"^afield: no usable python:[ \t]*$",
        errors.NoPython,
        "there is no Python to be found at {place}, neither as python3 nor in a usual folder",
        "install Python 3.6 or newer there (uv python install, conda, a module), and name it when it is in no usual folder: "
        'python = "/path/to/python3" in afield.toml',
    ),
    _rule(
        r"command not found|Unknown command|not found$|no such file or directory|cannot execute|bad interpreter|"
        r"is not recognized",
        errors.NoPython,
        "there is no Python to be found at {place}: {line}",
        "install Python 3.6 or newer there (uv python install, conda, a module), and name it when it is in no usual folder: "
        'python = "/path/to/python3" in afield.toml',
    ),
    _rule(
        r"(?P<what>\S+): Permission denied|Exec format error|cannot execute binary file",
        errors.NoPython,
        "the Python at {place} cannot be executed: {line}",
        "is its disk mounted noexec, is it for another CPU, may this user run it? Name another one: python = in afield.toml",
    ),
    _rule(
        r"Read-only file system",
        errors.PlaceReadOnly,
        "nothing can be written at {place}: {line}",
        "afield runs from memory there, but programs need a folder that can be written: see `afield doctor`",
    ),
    _rule(
        r"Killed|Cannot allocate memory|MemoryError|Resource temporarily unavailable|fork: retry",
        errors.PlaceError,
        "{place} has no memory or processes left for this user: {line}",
        "end programs of yours there, or use another node",
        noise=True,
    ),
)


def explain_ssh(place: str, status: int | None, stderr: str, noise: str) -> AfieldError:
    """Explain a stream through ssh that did not open; ``place`` is how people call it, such as ``ssh://me@gpu1``."""
    # ssh's own failures end with 255; a program there can too, so the table for the place comes second and not never.
    tables = (WAY, START) if status in {255, None} or (status is not None and status < 0) else (START, WAY)
    return _explain((AROUND, *tables), place, status, stderr, noise)


def explain_start(place: str, status: int | None, stderr: str, noise: str) -> AfieldError:
    """Explain a Python that did not start the agent, whatever opened the stream."""
    return _explain((START,), place, status, stderr, noise)


def _explain(
    tables: tuple[tuple[Rule, ...], ...], place: str, status: int | None, stderr: str, noise: str
) -> AfieldError:
    stderr, noise = printable(stderr), printable(noise)
    for table in tables:
        for rule in table:
            match = rule.pattern.search(stderr) or (rule.pattern.search(noise) if rule.noise else None)
            if match:
                return _make(rule, match, place, stderr, noise)
    return _unknown(place, status, stderr, noise)


def _make(rule: Rule, match: re.Match[str], place: str, stderr: str, noise: str) -> AfieldError:
    groups = {key.rstrip("23"): value for key, value in match.groupdict().items() if value}
    text = match.string
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.end())
    words = {
        "place": place,
        "name": _ssh_name(place),
        "line": text[start : end if end >= 0 else None].strip()[:300],
        "said": _last_line(stderr) or _last_line(noise) or "nothing was said",
        "why": _last_line(stderr),
        "host": place,
        "remove": _remove_command(stderr, groups),
        "file": "~/.ssh/known_hosts",
        **groups,
    }
    words["try"] = _TRY.format(**words)
    return rule.kind(rule.text.format(**words), hint=rule.hint.format(**words), stderr=stderr[-2000:], place=place)


def _remove_command(stderr: str, groups: dict[str, str]) -> str:
    # ssh prints the command itself (Debian and newer OpenSSH), with the right form of host and port.
    said = re.search(r"^\s*(ssh-keygen .*-R .+)$", stderr, re.MULTILINE)
    if said:
        return said.group(1).strip()
    host = re.search(r"^Host key for (\S+) has changed", stderr, re.MULTILINE)
    file = groups.get("file")
    return f"ssh-keygen{f' -f {file}' if file and '/' in file else ''} -R {host.group(1) if host else 'HOST'}"


def _unknown(place: str, status: int | None, stderr: str, noise: str) -> AfieldError:
    said = _last_line(stderr)
    details = {"stderr": stderr[-2000:], "noise": noise[-2000:], "status": status, "place": place}
    name = _ssh_name(place)
    hand = f"ssh {name} /bin/sh -c true" if name else "run it by hand"
    if status is None:
        text = f"{place} did not start the agent in time" + (f": {said}" if said else "")
        hint = f"the login shell there may wait for something (a menu, a question, a slow rc file): {hand}"
        return errors.LinkTimeout(text, hint=hint, **details)
    if status == 255:
        text = f"ssh could not open {place}: {said or 'it said nothing'}"
        return errors.LinkError(text, hint=f"try it by hand: ssh -v {name} true", **details)
    if status < 0:
        return errors.LinkLost(
            f"the command that carries the link to {place} was ended by signal {-status}",
            hint="afield dials again by itself",
            **details,
        )
    if status == 127:
        return errors.NoPython(
            f"there is no Python to be found at {place}",
            hint='name it in afield.toml: python = "/path/to/python3"',
            **details,
        )
    shown = said or _last_line(noise)
    text = f"the login shell at {place} ended with status {status} instead of starting Python" + (
        f": {shown}" if shown else ""
    )
    return errors.BadShell(
        text, hint=f"an rc file there may end the shell, or the account may not run commands: {hand}", **details
    )


def _ssh_name(place: str) -> str:
    match = re.match(r"ssh://(.+?)(?::(\d+))?\Z", place)
    if not match:
        return ""
    return match.group(1) if not match.group(2) else f"-p {match.group(2)} {match.group(1)}"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("debug", "@"))]
    return lines[-1][:300] if lines else ""


def printable(text: str) -> str:
    """Make the words of another machine harmless for a terminal: no escape sequences, no control characters but newline."""
    text = re.sub(
        r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])", "", text.replace("\r\n", "\n")
    )
    return "".join(char if char == "\n" or char.isprintable() else " " for char in text)
