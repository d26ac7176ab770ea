"""What ssh, shells and kernels said in real runs, and the error that each must become."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield import errors
from afield.transports.explain import explain_ssh, explain_start, printable

CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Someone could be eavesdropping on you right now (man-in-the-middle attack)!
It is also possible that a host key has just been changed.
The fingerprint for the ED25519 key sent by the remote host is
SHA256:zIUGiasK+B6Ogqm8Y/YURNnyGr8PBLlTP49to8eyulA.
Please contact your system administrator.
Add correct host key in /home/me/.ssh/known_hosts to get rid of this message.
Offending ED25519 key in /home/me/.ssh/known_hosts:2
  remove with:
  ssh-keygen -f "/home/me/.ssh/known_hosts" -R "[127.0.0.2]:49951"
Host key for [127.0.0.2]:49951 has changed and you have requested strict checking.
Host key verification failed.
"""
UNKNOWN_PORT = (
    "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535\n"
)

# status, stderr, class, words that the text must hold, words that the hint must hold
WAY = [
    (
        255,
        CHANGED,
        errors.HostKeyChanged,
        "known_hosts, line 2",
        'ssh-keygen -f "/home/me/.ssh/known_hosts" -R "[127.0.0.2]:49951"',
    ),
    (
        255,
        "No ED25519 host key is known for [127.0.0.2]:49951 and you have requested strict checking.\nHost key verification failed.\n",
        errors.HostKeyUnknown,
        "[127.0.0.2]:49951",
        "ssh me@gpu1",
    ),
    (255, "Host key verification failed.\n", errors.HostKeyUnknown, "not accepted", "fingerprint"),
    (
        255,
        "root@127.0.0.2: Permission denied (publickey).\n",
        errors.PermissionDenied,
        "publickey",
        "afield keys setup me@gpu1",
    ),
    (
        255,
        "me@gpu1: Permission denied (publickey,password,keyboard-interactive).\n",
        errors.PermissionDenied,
        "publickey,password,keyboard-interactive",
        "afield keys setup",
    ),
    (
        255,
        "Received disconnect from 127.0.0.2 port 33595:2: Too many authentication failures\nDisconnected from 127.0.0.2 port 33595\n",
        errors.PermissionDenied,
        "too many keys",
        "IdentitiesOnly",
    ),
    (
        255,
        "ssh: Could not resolve hostname nosuch.invalid: Name or service not known\n",
        errors.UnknownHost,
        "nosuch.invalid",
        "spelling",
    ),
    (255, "ssh: connect to host 127.0.0.2 port 1: Connection refused\n", errors.Unreachable, "port 1", "sshd"),
    (
        255,
        "ssh: connect to host 192.0.2.254 port 49951: Connection timed out\n",
        errors.LinkTimeout,
        "does not answer",
        "VPN",
    ),
    (
        255,
        "ssh: connect to host 127.0.0.2 port 49951: Network is unreachable\n",
        errors.Unreachable,
        "Network is unreachable",
        "VPN",
    ),
    (255, "ssh: connect to host 10.9.9.9 port 22: No route to host\n", errors.Unreachable, "No route to host", "VPN"),
    (
        255,
        "ssh: connect to host 192.0.2.1 port 49951: Invalid argument\n",
        errors.Unreachable,
        "Invalid argument",
        "VPN",
    ),
    (255, "Timeout, server 198.51.100.11 not responding.\n", errors.LinkTimeout, "does not answer", "VPN"),
    (
        255,
        "ssh: Could not resolve hostname jump.invalid: Name or service not known\n" + UNKNOWN_PORT,
        errors.UnknownHost,
        "jump.invalid",
        "spelling",
    ),
    (
        255,
        "ssh: connect to host 127.0.0.2 port 1: Connection refused\n" + UNKNOWN_PORT,
        errors.Unreachable,
        "port 1",
        "sshd",
    ),
    (
        255,
        "channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\n" + UNKNOWN_PORT,
        errors.Unreachable,
        "jump host could not reach ssh://me@gpu1: Connection refused",
        "ProxyJump",
    ),
    (
        255,
        "/bin/bash: line 1: /nonexistent: No such file or directory\n" + UNKNOWN_PORT,
        errors.BadTransport,
        "/nonexistent",
        "ProxyCommand",
    ),
    (255, UNKNOWN_PORT, errors.Unreachable, "without opening the way", "ProxyJump"),
    (
        255,
        "/home/me/.ssh/config: line 56: Bad configuration option: fooo\n/home/me/.ssh/config: terminating, 1 bad configuration options\n",
        errors.BadTransport,
        "line 56: Bad configuration option: fooo",
        "ssh -G",
    ),
    (255, "command-line: line 0: Bad configuration option: nope\n", errors.BadTransport, "nope", "line"),
    (
        255,
        "Bad owner or permissions on /home/me/.ssh/config\n",
        errors.BadTransport,
        "/home/me/.ssh/config",
        "chmod 600",
    ),
    (
        255,
        "Unable to negotiate with 127.0.0.2 port 49951: no matching host key type found. Their offer: ssh-rsa\n",
        errors.BadTransport,
        "Their offer: ssh-rsa",
        "~/.ssh/config",
    ),
    (
        255,
        "kex_exchange_identification: Connection closed by remote host\n",
        errors.LinkLost,
        "Connection closed",
        "overloaded",
    ),
    (255, "client_loop: send disconnect: Broken pipe\n", errors.LinkLost, "Broken pipe", "firewall"),
    (255, "Connection to 198.51.100.11 closed by remote host.\n", errors.LinkLost, "closed by remote host", "firewall"),
    (255, "", errors.LinkError, "it said nothing", "ssh -v me@gpu1"),
    (
        1,
        'Cannot open network namespace "nonexist": No such file or directory\n',
        errors.BadTransport,
        "network namespace",
        "AFIELD_SSH",
    ),
]
PLACE = [
    (127, "bash: line 1: nosuchpython: command not found\n", errors.NoPython, "nosuchpython", "python ="),
    (
        127,
        "fish: Unknown command: nosuchpython\nfish: \nnosuchpython -I -c x\n^~~~~~~~~~~^\n",
        errors.NoPython,
        "nosuchpython",
        "python =",
    ),
    (1, "nosuchpython: Command not found.\n", errors.NoPython, "nosuchpython", "python ="),
    (127, "zsh:1: command not found: nosuchpython\n", errors.NoPython, "nosuchpython", "python ="),
    (127, "zsh:1: no such file or directory: /nosuch/python\n", errors.NoPython, "/nosuch/python", "python ="),
    (127, "/bin/dash: 1: nosuchpython: not found\n", errors.NoPython, "nosuchpython", "python ="),
    (127, "", errors.NoPython, "no Python", "python ="),
    (127, "afield: no usable python:\n", errors.NoPython, "no Python", "python ="),
    (127, "afield: no usable python: python python2\n", errors.PythonTooOld, "python python2", "3.6|python ="),
    (
        2,
        "Unknown option: -I\nusage: python [option] ... [-c cmd | -m mod | file | -] [arg] ...\n",
        errors.PythonTooOld,
        "-I",
        "python =",
    ),
    (126, "bash: line 1: /scratch/python3: Permission denied\n", errors.NoPython, "/scratch/python3", "noexec"),
    (
        126,
        "bash: line 1: /opt/python3: cannot execute binary file: Exec format error\n",
        errors.NoPython,
        "/opt/python3",
        "another|python =",
    ),
    (1, "OSError: [Errno 28] No space left on device\n", errors.PlaceFull, "No space left", "df -h"),
    (1, "OSError: [Errno 122] Disk quota exceeded: 'x'\n", errors.PlaceFull, "quota", "df -h"),
    (1, "OSError: [Errno 30] Read-only file system: 'x'\n", errors.PlaceReadOnly, "Read-only", "memory"),
    (1, "bash: fork: retry: Resource temporarily unavailable\n", errors.PlaceError, "no memory", "end programs"),
]


@pytest.mark.parametrize(("status", "stderr", "kind", "text", "hint"), WAY + PLACE)
def test_what_was_said_becomes_the_right_error(status, stderr, kind, text, hint):
    error = explain_ssh("ssh://me@gpu1", status, stderr, "")
    assert type(error) is kind
    assert text in error.text
    assert any(part in error.hint for part in hint.split("|")), error.hint


@pytest.mark.parametrize(("status", "stderr", "kind", "text", "hint"), PLACE)
def test_a_place_without_ssh_is_explained_alike(status, stderr, kind, text, hint):
    assert type(explain_start("local://", status, stderr, "")) is kind


@pytest.mark.parametrize(
    ("status", "noise", "kind", "text"),
    [
        (1, "This account is currently not available.\n", errors.BadShell, "may not run commands"),
        (1, "This service allows sftp connections only.\n", errors.BadShell, "may not run commands"),
        (1, "Your password has expired.\n", errors.BadShell, "new password"),
        (0, "Welcome to HAL\n", errors.BadShell, "Welcome to HAL"),
        (1, "", errors.BadShell, "status 1"),
        (None, "Choose a menu: 1) 2)", errors.LinkTimeout, "in time"),
        (-9, "", errors.LinkLost, "signal 9"),
    ],
)
def test_a_login_shell_that_does_not_run_the_command_is_named(status, noise, kind, text):
    error = explain_ssh("ssh://me@gpu1", status, "", noise)
    assert type(error) is kind
    assert text in error.text
    assert error.hint


def test_a_banner_on_stderr_does_not_hide_the_reason():
    banner = "*" * 60 + "\n* Authorized users only. Everything is logged. *\n" + "*" * 60 + "\n"
    error = explain_ssh("ssh://gpu1", 255, banner + "gpu1: Permission denied (publickey).\n", "")
    assert type(error) is errors.PermissionDenied


def test_the_port_of_the_place_is_in_the_command_of_the_hint():
    error = explain_ssh("ssh://me@gpu1:2222", 255, "", "")
    assert "ssh -v -p 2222 me@gpu1" in error.hint


@given(st.none() | st.integers(-64, 255), st.text(max_size=200), st.text(max_size=200))
def test_anything_at_all_gives_an_error_with_a_hint_that_a_terminal_can_show(status, stderr, noise):
    error = explain_ssh("ssh://me@gpu1", status, stderr, noise)
    assert isinstance(error, errors.AfieldError)
    assert error.hint
    assert (error.text + error.hint).replace("\n", " ").isprintable()


@pytest.mark.parametrize("text", ["\x1b]0;title\x07x", "\x1b[31mx\x1b[0m", "a\x08b", "\x9b31mx", "a\r\nb"])
def test_control_sequences_of_the_far_side_are_taken_out(text):
    assert printable(text).replace("\n", "").isprintable()
