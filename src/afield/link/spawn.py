"""Starts the command that carries a link: three pipes, a session of its own, ended by its pid.

Rules: imports little, because the daemon dials before it imports asyncio; no shell; no waiting.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from typing import NamedTuple

from afield.errors import AfieldError, BadTransport
from afield.transports.base import Dial

# 1 MiB is what an ordinary user may ask for (/proc/sys/fs/pipe-max-size); with the default of 64 KiB a stream over ssh
# measured 0.75-0.85 of `cat | ssh cat`, with this 1.0 and more.
PIPE_SIZE = 1 << 20

# A handler or "ignore" of ours must not reach ssh: it decides by these signals when to end.
_DEFAULT = [
    getattr(signal, name)
    for name in ("SIGPIPE", "SIGXFSZ", "SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGCHLD")
    if hasattr(signal, name)
]


class Process(NamedTuple):
    """A started command: we write to ``fd_in``, read from ``fd_out`` and ``fd_err`` (-1: none)."""

    pid: int
    fd_in: int
    fd_out: int
    fd_err: int


def spawn(dial: Dial) -> Process:
    """Start the command of a dial; raises BadTransport when the system cannot."""
    reap_left()
    pipes: list[int] = []
    try:
        for _ in range(3):
            pipes += _pipe()
        child_in, fd_in, fd_out, child_out, fd_err, child_err = pipes
        pid = _start(dial, child_in, child_out, child_err)
    except OSError as error:
        for fd in pipes:
            os.close(fd)
        raise _explain(dial, error) from error
    for fd in (child_in, child_out, child_err):
        os.close(fd)
    for fd in (fd_in, fd_out):
        enlarge(fd)
    return Process(pid, fd_in, fd_out, fd_err)


def enlarge(fd: int) -> None:
    """Ask for a 1 MiB pipe; a system that cannot, or a user at the limit, keeps the size it has."""
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)


def _pipe() -> tuple[int, int]:
    # Above 2, so that no end stands where the child's own stdin, stdout or stderr will be put.
    ends = os.pipe()
    moved: list[int] = []
    for fd in ends:
        moved.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) if fd < 3 else fd)
        if fd < 3:
            os.close(fd)
    return moved[0], moved[1]


def _start(dial: Dial, child_in: int, child_out: int, child_err: int) -> int:
    env = dict(os.environ) if dial.env is None else dial.env
    if dial.cwd is None:
        actions = [(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate((child_in, child_out, child_err))]
        with contextlib.suppress(NotImplementedError):  # an old C library without POSIX_SPAWN_SETSID
            return os.posix_spawnp(
                dial.argv[0], dial.argv, env, file_actions=actions, setsid=True, setsigmask=[], setsigdef=_DEFAULT
            )
    import subprocess

    # Its own object would reap the pid behind our back, so the pid alone is kept.
    child = subprocess.Popen(
        dial.argv, env=env, cwd=dial.cwd, stdin=child_in, stdout=child_out, stderr=child_err, start_new_session=True
    )
    child.returncode = 0
    return child.pid


def _explain(dial: Dial, error: OSError) -> AfieldError:
    text = f"the command {dial.argv[0]!r} cannot be started: {error.strerror}"
    if isinstance(error, FileNotFoundError):
        return BadTransport(
            text, hint=f"install {os.path.basename(dial.argv[0])}, or name another command in afield.toml"
        )
    return BadTransport(text, hint="look at its permissions and at the limits of this user (ulimit -a)")


def exit_status(pid: int) -> int | None:
    """Take the exit status of a child without waiting: None while it runs, negative for a signal; 255 when it is not ours.

    A pid of 0 or less stands for no process at all (a stream made in this process): it has ended well.
    """
    if pid <= 0:
        return 0
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 255  # adopted from another parent, or reaped by a foreign wait(): ssh's own failures are the likeliest
    return os.waitstatus_to_exitcode(status) if found else None


_left: set[int] = set()


def leave(pid: int) -> None:
    """Let a child live on; it is reaped by a later ``reap_left`` when it has ended."""
    if pid > 0:
        _left.add(pid)


def reap_left() -> None:
    """Reap those children of ``leave`` that have ended, so that no zombie stays."""
    for pid in list(_left):
        if exit_status(pid) is not None:
            _left.discard(pid)


def end(pid: int, number: int = signal.SIGTERM) -> None:
    """Send a signal to a child that was not reaped yet."""
    if pid <= 0:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
