"""The user's end of a run: the terminal, the descriptors 0, 1 and 2, and the way to die.

Rules: built-in modules only, like client.py; the descriptors never get O_NONBLOCK (they are shared with the shell and the rest
of the pipeline), and still no write blocks the loop, for input and signals must pass while a pager holds the output; the
terminal is given back on every way out. What must not go in: the protocol.
"""

import _socket
import _stat
import posix
import select
import sys

from .ask import RelayError, is_tty

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any
else:
    import _signal as signal

WINDOW = 1 << 20  # what the protocol lets be unacknowledged, each way
STEP = 4096  # what a writable pipe or terminal takes without blocking: one page (pipe(7))

# Signals have Linux numbers on the wire (signal(7)); here they have those of this system.
_NAMES = "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM - CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO - SYS"
ON_WIRE = {
    getattr(signal, "SIG" + name): number
    for number, name in enumerate(_NAMES.split(), 1)
    if hasattr(signal, "SIG" + name)
}
HERE = {number: here for here, number in ON_WIRE.items()}


class Over(Exception):  # noqa: N818 - the normal way out of the loop
    """The run is over with this status: an exit code, or minus a signal of this system."""

    def __init__(self, status: "int") -> "None":
        self.status = status


def foreground() -> "bool":
    """May we read and change the terminal on descriptor 0?"""
    try:
        return posix.tcgetpgrp(0) == posix.getpgrp()
    except OSError:
        return True


def die(number: "int") -> "None":
    """End this process the way that signal ends a program."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the core, if any, is of the program there
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
    posix.kill(posix.getpid(), number)
    posix._exit(128 + number)


def exec_apart(argv: "list[bytes]") -> "None":
    """Become that program, in a session of its own: the daemon must not get this terminal's signals. For a forked child."""
    try:
        null = posix.open("/dev/null", posix.O_RDWR)
        for fd in (0, 1, 2):
            posix.dup2(null, fd)
        posix.setsid()
        posix.execv(argv[0], argv)
    finally:
        posix._exit(127)


class Terminal:
    """The terminal on descriptor 0; raw only while 0, 1 and 2 are all terminals, for exactly then the program has a pty."""

    def __init__(self) -> "None":
        self.on_input = is_tty(0)
        self.whole = self.on_input and is_tty(1) and is_tty(2)
        self.raw = False
        self._before: list[Any] | None = None

    def enter_raw(self) -> "None":
        """Pass every key on as it is, like ssh; nothing when that is so, or not ours to do."""
        if self.raw or not self.whole or not foreground():
            return
        import termios as t

        if self._before is None:
            self._before = t.tcgetattr(0)
        mode: list[Any] = [part[:] if isinstance(part, list) else part for part in self._before]
        mode[0] = (mode[0] | t.IGNPAR) & ~(t.ISTRIP | t.INLCR | t.IGNCR | t.ICRNL | t.IXON | t.IXANY | t.IXOFF)
        mode[1] &= ~t.OPOST
        mode[3] &= ~(t.ISIG | t.ICANON | t.ECHO | t.ECHOE | t.ECHOK | t.ECHONL | t.IEXTEN)
        mode[6][t.VMIN], mode[6][t.VTIME] = 1, 0
        try:
            t.tcsetattr(0, t.TCSADRAIN, mode)
            self.raw = True
        except t.error:
            self.whole = False  # the terminal is gone

    def leave_raw(self) -> "None":
        """Give the terminal back; harmless at any time."""
        if self.raw and self._before is not None and foreground():
            import termios

            try:
                termios.tcsetattr(0, termios.TCSADRAIN, self._before)
            except termios.error:
                self.whole = False  # the terminal is gone
        self.raw = False


class Descriptor:
    """How one descriptor of the user's is read or written without blocking the loop."""

    def __init__(self, fd: "int", flags: "int") -> "None":
        self.fd = fd
        self.sock: _socket.socket | None = None
        self.own = self.steps = False
        mode = posix.fstat(fd).st_mode
        if _stat.S_ISSOCK(mode):
            self.sock = _socket.socket(fileno=posix.dup(fd))
        elif _stat.S_ISFIFO(mode) and sys.platform == "linux":
            # A pipe is opened anew through /proc: an open file description of our own may be non-blocking.
            try:
                self.fd = posix.open(f"/proc/self/fd/{fd}", flags | posix.O_NONBLOCK | posix.O_CLOEXEC)
                self.own = True
            except OSError:
                self.steps = True
        else:
            self.steps = is_tty(fd) or _stat.S_ISFIFO(mode)

    def read(self, size: "int") -> "bytes":
        """Give up to size bytes, b"" at the end; BlockingIOError when there are none now."""
        return self.sock.recv(size, _socket.MSG_DONTWAIT) if self.sock else posix.read(self.fd, size)

    def write(self, data: "memoryview | bytes") -> "int":
        """Write what fits now and give its size; BlockingIOError when nothing does."""
        if self.sock:
            return self.sock.send(data, _socket.MSG_DONTWAIT)
        if self.steps:
            if not select.select((), (self.fd,), (), 0)[1]:
                raise BlockingIOError
            data = data[:STEP]
        return posix.write(self.fd, data)

    def close(self) -> "None":
        """Close what was opened here, never the user's own descriptor."""
        if self.sock:
            self.sock.close()
        if self.own:
            posix.close(self.fd)


class Output(Descriptor):
    """Standard output or error: what cannot be written now is kept, at most WINDOW bytes."""

    def __init__(self, fd: "int", terminal: "Terminal") -> "None":
        Descriptor.__init__(self, fd, posix.O_WRONLY)
        self.written = 0
        self.kept = bytearray()
        self._name = "error" if fd == 2 else "output"
        self._terminal = terminal

    def _some(self, data: "memoryview") -> "int":
        done = 0
        while done < len(data):
            try:
                done += self.write(data[done:])
            except BlockingIOError:
                break
            except (BrokenPipeError, ConnectionResetError):
                raise Over(-signal.SIGPIPE) from None
            except OSError as error:
                if error.errno == 5 and self._terminal.on_input:  # EIO: the terminal is gone
                    raise Over(-signal.SIGHUP) from None
                raise RelayError(f"cannot write standard {self._name}: {error.strerror}") from None
        self.written += done
        return done

    def deliver(self, data: "memoryview") -> "None":
        """Write now what can be written, keep the rest."""
        done = 0 if self.kept else self._some(data)
        self.kept += data[done:]
        if len(self.kept) > WINDOW:
            raise RelayError(f"the daemon sent more than {WINDOW} unacknowledged bytes: not the run protocol")

    def drain(self) -> "None":
        """Write what was kept, as far as it goes."""
        with memoryview(bytes(self.kept[:65536])) as data:
            del self.kept[: self._some(data)]
