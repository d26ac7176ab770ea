"""Starts a command with three pipes in a session of its own, with what every Python has loaded anyway: the first dial waits for it.

What must not go in: what a dial is, and how its end is told (spawn.py).
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping
else:
    import _signal as signal  # the enums of the module above it cost 3 ms

# 1 MiB is what an ordinary user may ask for (/proc/sys/fs/pipe-max-size); with the default of 64 KiB a stream over ssh
# measured 0.75-0.85 of `cat | ssh cat`, with this 1.0 and more.
PIPE_SIZE = 1 << 20
# fcntl names it only where it is (Linux); another system says that it does not know the number.
_SET_PIPE_SIZE = 1031

# A handler or "ignore" of ours must not reach ssh: it decides by these signals when to end.
_DEFAULT = [
    getattr(signal, name)
    for name in ("SIGPIPE", "SIGXFSZ", "SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGCHLD")
    if hasattr(signal, name)
]


def posix_spawn(argv: list[str], env: Mapping[str, str], ends: tuple[int, int, int]) -> int:
    """Start argv with ends as 0, 1, 2; gives the pid. Raises OSError, NotImplementedError (a C library without setsid here)."""
    actions = [(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(ends)]
    return os.posix_spawnp(argv[0], argv, env, file_actions=actions, setsid=True, setsigmask=[], setsigdef=_DEFAULT)


def with_pipes(start: Callable[[tuple[int, int, int]], int]) -> tuple[int, int, int, int]:
    """Call start with the child's ends of three pipes; gives its pid and our ends: to write to, to read from, its stderr."""
    pipes: list[int] = []
    try:
        for _ in range(3):
            pipes += _pipe()
        child_in, fd_in, fd_out, child_out, fd_err, child_err = pipes
        pid = start((child_in, child_out, child_err))
    except BaseException:
        for fd in pipes:
            os.close(fd)
        raise
    for fd in (child_in, child_out, child_err):
        os.close(fd)
    for fd in (fd_in, fd_out):
        enlarge(fd)
    return pid, fd_in, fd_out, fd_err


def enlarge(fd: int) -> None:
    """Ask for a 1 MiB pipe; a system that cannot, or a user at the limit, keeps the size it has."""
    import fcntl

    try:
        fcntl.fcntl(fd, _SET_PIPE_SIZE, PIPE_SIZE)
    except OSError:
        return


def _pipe() -> tuple[int, int]:
    # Above 2, so that no end stands where the child's own stdin, stdout or stderr will be put.
    import fcntl

    ends = os.pipe()
    moved: list[int] = []
    for fd in ends:
        moved.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) if fd < 3 else fd)
        if fd < 3:
            os.close(fd)
    return moved[0], moved[1]
