"""Starts the command that carries a link: three pipes, a session of its own, ended by its pid.

Rules: imports little, because the daemon dials before it imports asyncio; no shell; no waiting.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import NamedTuple

from afield.control import piped
from afield.errors import AfieldError, BadTransport
from afield.transports.base import Dial


class Process(NamedTuple):
    """A started command: we write to ``fd_in``, read from ``fd_out`` and ``fd_err`` (-1: none)."""

    pid: int
    fd_in: int
    fd_out: int
    fd_err: int


def spawn(dial: Dial) -> Process:
    """Start the command of a dial; raises BadTransport when the system cannot."""
    reap_left()
    try:
        return Process(*piped.with_pipes(lambda ends: _start(dial, *ends)))
    except OSError as error:
        raise _explain(dial, error) from error


def _start(dial: Dial, child_in: int, child_out: int, child_err: int) -> int:
    env = dict(os.environ) if dial.env is None else dial.env
    if dial.cwd is None:
        with contextlib.suppress(NotImplementedError):  # an old C library without POSIX_SPAWN_SETSID
            return piped.posix_spawn(dial.argv, env, (child_in, child_out, child_err))
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
