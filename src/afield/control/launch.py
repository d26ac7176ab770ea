"""Starts a daemon that dials before its own Python runs: a fork repeats the last dial, and becomes the daemon, whose child ssh then is.

What ssh needs from the daemon (its pipes, the door for questions) is handed over through one more pipe, for a token must not
stand on a command line. Rules: the starter holds the lock of starters, so there is one dial; whatever fails in the fork leaves
an ordinary daemon; a starter or a fork that is killed leaves pipes at their end, which ends ssh. What must not go in: asyncio, config.
"""

from __future__ import annotations

import os

from afield.control import redial
from afield.control.door import Door

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Collection, Sequence
else:
    import _signal as signal  # the enums of the module above it cost 3 ms

# nohup and background jobs of a shell ignore signals; the daemon must not inherit that for its own children.
DEFAULTS = [signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE]
_LONGEST = 8192  # bytes: five numbers, a path and a token


def launch(argv: Sequence[str], log: str, *, ready: int, dial: Sequence[str]) -> None:
    """Start ``dial`` and become the daemon ``argv`` in a fork; ``ready`` is the pipe end that the daemon tells. Raises OSError."""
    if os.fork():
        return
    try:
        _leave_starter(log, ready)
        words = list(argv)
        kept = [ready]
        try:
            process, door = redial.begin(list(dial))
            handle = hand_over(process, door)
            kept += [handle, *process[1:], door.sock.fileno()]
            words += ["--adopted", str(handle)]
        except (OSError, NotImplementedError):
            pass  # the daemon dials by itself, and explains what is wrong
        for fd in kept:
            os.set_inheritable(fd, True)
        os.execv(words[0], words)
    finally:
        os._exit(127)


def _leave_starter(log: str, ready: int) -> None:
    """Be a process as a daemon is one: its own session, no terminal, the log, no handles and no signals of the starter."""
    os.setsid()
    close_inherited({ready})
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for fd in (1, 2):
        os.dup2(out, fd)
    for fd in (0, 1, 2):
        os.set_inheritable(fd, True)  # one that the starter had closed was opened in its place
    close_inherited({ready})
    for number in DEFAULTS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def close_inherited(keep: Collection[int]) -> None:
    """Close what the starter left open: a daemon must not hold a pipeline or a lock of a shell for hours."""
    handles = [int(name) for name in os.listdir("/dev/fd")]
    for handle in handles:
        if handle > 2 and handle not in keep:
            try:
                os.close(handle)
            except OSError:
                continue
    for handle in keep:
        os.set_inheritable(handle, False)


def hand_over(process: tuple[int, int, int, int], door: Door) -> int:
    """Give a pipe end that holds what ``take_over`` reads."""
    reader, writer = os.pipe()
    numbers = " ".join(str(number) for number in (*process, door.sock.fileno()))
    os.write(writer, os.fsencode(f"{numbers}\0{door.folder}\0{door.token}"))  # less than a pipe holds
    os.close(writer)
    return reader


def take_over(handle: int) -> tuple[tuple[int, int, int, int], Door]:
    """Read what was handed over: the process with our ends, and the door."""
    with open(handle, "rb", 0) as file:
        numbers, folder, token = os.fsdecode(file.read(_LONGEST) or b"").split("\0")
    pid, fd_in, fd_out, fd_err, sock = map(int, numbers.split())
    return (pid, fd_in, fd_out, fd_err), Door.taken_over(folder, token, sock)


def drop(process: tuple[int, int, int, int], door: Door) -> None:
    """End a dial that nobody adopts, and reap it."""
    for fd in process[1:]:
        os.close(fd)
    try:
        os.kill(process[0], signal.SIGKILL)
        os.waitpid(process[0], 0)
    except OSError:  # not ours, or gone
        pass
    door.close()
