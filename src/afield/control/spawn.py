"""Starts the daemon as a process of its own and waits until it listens.

Rules: the daemon gets its own session, no terminal, its log as stdout and stderr, and no other handle of the starter;
it tells through a pipe that it listens, or why not. What must not go in: the connection to it.
"""

from __future__ import annotations

import os
import select
import sys

from afield.control import paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # the enums of the module above it cost 3 ms

# site is not run (-S: 5 to 35 ms, interpreter-wide .pth files); afield's own folder is all that the daemon needs.
_CODE = "import sys; sys.path.insert(0, sys.argv[1]); from afield.daemon.main import main; sys.exit(main(sys.argv[2:]))"
# Start-up takes 0.1 s; a loaded machine or a cold disk may take some seconds.
_READY_SECONDS = 20.0


_CLI = "import sys; sys.path.insert(0, sys.argv.pop(1)); from afield.cli.main import main; sys.exit(main())"


def cli_command() -> list[str]:
    """Give the argv that starts the command line of this very installation; words follow it."""
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [sys.executable, "-I", "-c", _CLI, source]


def daemon_command(*, ready: int | None = None, dial: tuple[str, str | None] | None = None) -> list[str]:
    """Give the argv of a daemon; ``ready`` is the inherited pipe end that is told when it listens."""
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    argv = [sys.executable, "-I", "-S", "-c", _CODE, source]
    if ready is not None:
        argv += ["--ready", str(ready)]
    if dial is not None:
        argv += ["--dial", dial[0], dial[1] or ""]
    return argv


# What `begin` left for the one who waits: the handle of the starter's lock, and the pipe end that tells when the daemon listens.
_begun: list[tuple[int, int]] = []


def begin(dial: tuple[str, str | None] | None = None) -> None:
    """Start a daemon now and let `wait_begun` wait for it, unless somebody else is starting one. Raises DaemonError, OSError."""
    if _begun:
        return
    handle = open_start_lock()
    try:
        if not lock(handle):
            os.close(handle)
            return
        _begun.append((handle, _start(dial)))
    except BaseException:
        os.close(handle)
        raise


def wait_begun() -> None:
    """Wait for the daemon that `begin` started, if any; one that did not come up is started again by who needs it, who then says why."""
    while _begun:
        handle, reader = _begun.pop()
        try:
            _wait_ready(reader)
        finally:
            os.close(reader)
            os.close(handle)


def open_start_lock() -> int:
    """Open the file whose lock says that somebody is starting a daemon. Raises DaemonError."""
    folder = paths.make_private(paths.run_folder())
    return os.open(os.path.join(folder, "start.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def lock(handle: int) -> bool:
    """Take the lock if nobody has it."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def spawn_daemon(dial: tuple[str, str | None] | None = None) -> str:
    """Start a daemon; return "" when it listens or another one has the lock, else the reason why it cannot."""
    reader = _start(dial)
    try:
        return _wait_ready(reader)
    finally:
        os.close(reader)


def _start(dial: tuple[str, str | None] | None) -> int:
    log = paths.log_path()
    paths.make_private(paths.state_folder())
    paths.make_private(os.path.dirname(log))
    remembered = _remembered(dial)
    reader, writer = os.pipe()
    try:
        argv = daemon_command(ready=writer, dial=dial)
        if remembered:
            from afield.control.launch import launch

            launch(argv, log, ready=writer, dial=remembered)
        else:
            os.set_inheritable(writer, True)
            _spawn(argv, log)
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    return reader


def _remembered(dial: tuple[str, str | None] | None) -> list[str] | None:
    """Give the command of the last dial when it is the one to make now."""
    if dial is None:
        return None
    from afield.control import redial

    return redial.recall(dial[0], dial[1] or "")


def _spawn(argv: list[str], log: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    # nohup and background jobs of a shell ignore signals; the daemon must not inherit that for its own children.
    defaults = [signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE]
    return os.posix_spawn(
        argv[0], argv, os.environ, file_actions=actions, setsid=True, setsigmask=[], setsigdef=defaults
    )


def _wait_ready(reader: int) -> str:
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    if not poll.poll(_READY_SECONDS * 1000):
        return f"it is not ready after {_READY_SECONDS:g} s"
    told = os.read(reader, 4096).decode("utf-8", "replace")
    return "" if told in ("", "ready\n") else told.strip()
