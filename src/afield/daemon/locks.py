"""Who is the one daemon: two locks (flock(2)) that a daemon holds as long as it lives, and that kill -9 takes away with it.

``daemon.lock`` in the run folder says who has the socket; ``daemon-HOST.lock`` in the state folder says who has the memory, and
so the projects: a run folder that was deleted, or another one (a shell without XDG_RUNTIME_DIR), must not lead to two daemons
that sync the same files. What must not go in: asyncio, and anything that a daemon does.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from afield.control import paths
from afield.errors import DaemonError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # the enums of the module above it cost 3 ms

# A daemon that ends closes its links within 10 s (core.Daemon.close); one that starts has its socket in less.
WAIT = 14.0
_PAUSE = 0.02


class Busy(Exception):  # noqa: N818 no error: the other daemon serves whoever wanted this one
    """Another daemon is there and answers."""


def take() -> list[int]:
    """Give the handles of both locks, with our pid inside. Raises Busy, or DaemonError when another one cannot be waited out."""
    run = _take_run_lock()
    try:
        return [run, *_take_state_lock()]
    except BaseException:
        os.close(run)
        raise


def _take_run_lock() -> int:
    path = paths.lock_path()
    end = time.monotonic() + WAIT
    while True:
        handle = _try(path)
        if handle is not None:
            _sign(handle, f"{os.getpid()}\n")
            return handle
        from afield.control import client  # json and more: too slow to load before the first dial

        sock = client.open_socket()
        if sock is not None:
            sock.close()
            raise Busy
        if time.monotonic() > end:
            pid = client.daemon_pid()
            raise DaemonError(
                f"process {pid} holds {path} and does not listen", hint=f"end it with: kill {pid}, or kill -9 {pid}"
            )
        # It is just starting, or just ending.
        time.sleep(_PAUSE)


def _take_state_lock() -> list[int]:
    path = os.path.join(paths.state_folder(), f"daemon-{os.uname().nodename}.lock")
    folder = paths.run_folder()
    asked = 0
    end = time.monotonic() + WAIT
    while True:
        try:
            handle = _try(path)
        except OSError as error:
            if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL):
                return []  # a network disk without locks
            raise
        if handle is not None:
            _sign(handle, f"{os.getpid()}\n{folder}\n")
            return [handle]
        pid, other = _read(path)
        if other and other != folder:
            raise DaemonError(
                f"the daemon of this user (process {pid}) listens in {other}, and here it is looked for in {folder}",
                hint=f"set AFIELD_RUN_DIR={other} here, or end it with: kill {pid}",
            )
        if pid and pid != asked:
            # We hold the lock of its own run folder: that folder was deleted below it, and nobody can reach it any more.
            os.kill(pid, signal.SIGTERM)
            asked = pid
        if time.monotonic() > end:
            raise DaemonError(f"process {pid} holds {path} and does not end", hint=f"end it with: kill -9 {pid}")
        time.sleep(_PAUSE)


def _try(path: str) -> int | None:
    """Give the handle of the locked file; None when somebody else has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A file that was deleted meanwhile locks nobody out.
        if os.stat(path).st_ino == os.fstat(handle).st_ino:
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None


def _sign(handle: int, text: str) -> None:
    os.ftruncate(handle, 0)
    os.pwrite(handle, os.fsencode(text), 0)


def _read(path: str) -> tuple[int, str]:
    """Give the pid and the run folder of who holds the lock; 0 and nothing while it has not yet written them."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return 0, ""
    if len(lines) < 2 or not lines[0].isdigit():
        return 0, ""
    return int(lines[0]), lines[1]
