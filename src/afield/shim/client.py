"""The `python` of a project, in Python: hands a command to the daemon and carries its streams until it ends.

Rules: the protocol is docs/development/control.md, section Run; client.c does the same and passes the same tests. It runs as
``python -I -S`` and imports nothing but built-in modules, for its own start is most of what a user waits for; the command line
imports `relay` from here. One loop, and nothing in it blocks but its select (the one call that takes terminals on every system).
What must not go in: any question to the user, any start of a link (the fallback does that).
"""

import _socket
import posix
import select
import time

from . import ends
from .ask import RelayError, dial, frame, is_tty, request, to_bytes, window_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence
    from types import FrameType
    from typing import Any
else:
    import _signal as signal

PIECE = 1 << 16  # one read or frame of stdin: the fairness quantum of the link
SMALL = 1 << 16  # no frame but o and e is longer
RESUME_LIMIT = 60.0  # seconds to get a vanished daemon back: a cold ssh login fits many times
START_LIMIT = 20.0  # seconds for one start of the daemon

# SIGTSTP before SIGCONT: the end of a stop is handled in the same pass.
_NAMES = ("HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "TERM", "TSTP", "CONT", "WINCH")
_CAUGHT = tuple(getattr(signal, "SIG" + name) for name in _NAMES)
_DEADLY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class NotReadyError(Exception):
    """The daemon cannot run it as things are (no link, or a question must be asked); nothing was started."""


class _LostError(Exception):
    """The daemon went away, or it is not there yet."""


def _u64(*values: "int") -> "bytes":
    return b"".join([value.to_bytes(8, "little") for value in values])


class _Relay:
    """One run. `run` gives its status: an exit code, or minus a signal of this system."""

    def __init__(self, sock: "Any", path: "str", who: "tuple[str, str]", daemon_start: "Sequence[str]") -> "None":
        self._sock, self._path, self._who, self._daemon_start = sock, path, who, daemon_start
        self._terminal = ends.Terminal()
        self._input = ends.Descriptor(0, posix.O_RDONLY)
        self._outs = ends.Output(1, self._terminal), ends.Output(2, self._terminal)
        self._queue = bytearray()
        self._head = b""  # the five bytes of the frame that is being read, as far as they came
        self._left = 0
        self._small = bytearray()
        self._run_id = b""  # empty until the daemon says that the run started
        self._kept = bytearray()  # stdin from _have - len(_kept) on: what a fresh daemon may ask for again
        self._have = self._sent = self._acked = 0
        self._credit = ends.WINDOW
        self._at_end = self._end_sent = self._rewind = False
        self._over: ends.Over | None = None
        self._text = b""
        self._wake = (-1, -1)
        self._pending: set[int] = set()
        self._old: dict[int, Any] = {}
        self._deadline = 0.0

    def run(self) -> "int":
        try:
            while True:
                try:
                    self._step()
                except _LostError:
                    if not self._run_id:
                        raise NotReadyError("the daemon is not ready") from None
                    self._resume()
        except ends.Over as over:
            if over.status in (-signal.SIGPIPE, -signal.SIGHUP) and self._run_id and self._over is None:  # a last word
                self._put(b"s", bytes([ends.ON_WIRE.get(-over.status, -over.status)]))
                self._flush()
            self._terminal.leave_raw()
            self._note(self._text)
            return over.status
        finally:
            self._leave()

    def _leave(self) -> "None":
        self._terminal.leave_raw()
        for number, handler in self._old.items():
            signal.signal(number, handler)
        if self._wake[0] >= 0:
            signal.set_wakeup_fd(-1)
            posix.close(self._wake[0])
            posix.close(self._wake[1])
        for end in (self._input, *self._outs):
            end.close()
        self._sock.close()

    def _put(self, kind: "bytes", payload: "bytes" = b"") -> "None":
        self._queue += frame(kind, payload)

    def _flush(self) -> "None":
        try:
            del self._queue[: self._sock.send(self._queue, _socket.MSG_DONTWAIT)]
        except BlockingIOError:
            pass
        except OSError:
            self._queue.clear()  # a broken socket may still hold the exit status to be read: reading finds out

    def _put_window(self) -> "None":
        if self._terminal.whole:
            rows, columns = window_size()
            self._put(b"w", (rows | columns << 16).to_bytes(4, "little"))

    def _put_input(self) -> "None":
        start = len(self._kept) - (self._have - self._sent)
        if data := bytes(self._kept[start : start + min(PIECE, self._credit - self._sent)]):
            self._put(b"i", data)
            self._sent += len(data)
        if self._at_end and self._sent == self._have and not self._end_sent:
            self._put(b"I")
            self._end_sent = True

    def _read_input(self) -> "None":
        try:
            data = self._input.read(min(PIECE, self._credit - self._have))
        except BlockingIOError:
            return
        except OSError:
            data = b""  # a terminal that is gone reads as EIO
        self._at_end = not data
        self._have += len(data)
        self._kept += data
        if len(self._kept) > 2 * ends.WINDOW:
            del self._kept[: len(self._kept) - ends.WINDOW]

    def _receive(self) -> "None":
        try:
            data = self._sock.recv(1 << 17, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            raise _LostError
        view = memoryview(data)
        while view and self._over is None:
            view = view[self._take(view) :]

    def _take(self, view: "memoryview") -> "int":
        """Take the next part of a frame; returns how many bytes that were."""
        if len(self._head) < 5:
            used = min(5 - len(self._head), len(view))
            self._head += bytes(view[:used])
            if len(self._head) < 5:
                return used
            self._left = int.from_bytes(self._head[1:], "little")
            if self._left > (ends.WINDOW if self._head[:1] in (b"o", b"e") else SMALL):
                raise RelayError(
                    f"the daemon sent frame type {self._head[0]} with {self._left} bytes: not the run protocol"
                )
        else:
            used = min(self._left, len(view))
            self._left -= used
            if self._head[:1] in (b"o", b"e"):
                self._outs[self._head[:1] == b"e"].deliver(view[:used])
            else:
                self._small += view[:used]
        if not self._left:
            kind, payload, self._head, self._small = self._head[:1], bytes(self._small), b"", bytearray()
            if kind not in (b"o", b"e"):
                self._handle(kind, payload)
        return used

    def _handle(self, kind: "bytes", payload: "bytes") -> "None":
        if kind == b"S" and len(payload) >= 16:
            self._deadline = 0.0
            if not self._run_id:
                self._start()
            self._run_id = payload[:16]
            self._terminal.enter_raw()  # before any output is shown
        elif kind == b"U":
            raise _LostError
        elif kind == b"n":
            if is_tty(2):
                self._note(payload)
        elif kind == b"E" and payload:
            self._text = payload[1:]
            self._over = ends.Over(payload[0])
        elif kind == b"c" and len(payload) == 8:
            self._credited(int.from_bytes(payload, "little"))
        elif kind == b"x" and len(payload) == 4:
            status = int.from_bytes(payload, "little", signed=True)
            self._over = ends.Over(-ends.HERE.get(-status, -status) if status < 0 else status & 255)
        else:
            raise RelayError(f"the daemon sent frame type {kind[0]} with {len(payload)} bytes: not the run protocol")

    def _credited(self, value: "int") -> "None":
        if self._rewind:  # after a resume the first one says where the input goes on
            taken = max(0, value - ends.WINDOW)
            if not self._have - len(self._kept) <= taken <= self._have:
                raise RelayError(
                    f"the daemon asks for input byte {taken}, kept are the last {len(self._kept)} of {self._have}"
                )
            self._sent, self._credit = taken, value
            self._end_sent = self._rewind = False
        self._credit = max(value, self._credit)

    def _note(self, text: "bytes") -> "None":
        if text:
            text = text if text.endswith(b"\n") else text + b"\n"
            posix.write(2, text.replace(b"\n", b"\r\n") if self._terminal.raw else text)

    def _start(self) -> "None":
        self._wake = posix.pipe()
        for fd in self._wake:
            posix.set_blocking(fd, False)
        signal.set_wakeup_fd(self._wake[1])
        for number in _CAUGHT:
            old = signal.getsignal(number)
            if old not in (signal.SIG_IGN, None):  # what nohup or `&` had ignored stays ignored
                self._old[number] = old
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: "int", _frame: "FrameType | None") -> "None":
        self._pending.add(number)

    def _signals(self) -> "None":
        try:
            posix.read(self._wake[0], 64)
        except BlockingIOError:
            pass
        for number in _CAUGHT:
            if number not in self._pending:
                continue
            self._pending.discard(number)
            if self._over and number not in (signal.SIGWINCH, signal.SIGCONT, signal.SIGTSTP):
                raise ends.Over(-number)
            if number == signal.SIGTSTP:
                self._stop_self()
            elif number == signal.SIGWINCH:
                self._put_window()
            else:
                self._put(b"s", bytes([ends.ON_WIRE[number]]))
            if number == signal.SIGCONT:
                self._terminal.raw = False  # whoever continued us has set the terminal as it likes
                self._put_window()

    def _stop_self(self) -> "None":
        # SIGSTOP there: SIGTSTP does nothing to a group without a terminal (POSIX, orphaned process groups).
        self._put(b"s", bytes([19]))
        self._flush()
        self._terminal.leave_raw()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        posix.kill(posix.getpid(), signal.SIGTSTP)  # returns when the shell continues us
        signal.signal(signal.SIGTSTP, self._on_signal)
        self._pending.add(signal.SIGCONT)

    def _resume(self) -> "None":
        self._sock.close()
        self._terminal.leave_raw()
        self._queue.clear()
        self._head, self._small, self._rewind = b"", bytearray(), True
        for out in self._outs:
            out.kept.clear()  # what was not written is sent again
        written = self._outs[0].written, self._outs[1].written
        self._acked = sum(written)
        ask = self._run_id + _u64(self._credit, *written) + b"".join([to_bytes(word) + b"\0" for word in self._who])
        if self._deadline:
            time.sleep(1)  # asked for too early: the fresh daemon is still on its way to the place
        self._deadline = self._deadline or time.monotonic() + RESUME_LIMIT
        tries = 0
        while time.monotonic() < self._deadline:
            self._check_deadly()
            try:
                self._sock = dial(self._path)
                self._sock.sendall(b"AFR1" + frame(b"T", ask))
                return
            except OSError:
                self._sock.close()
                if tries % 50 == 0:
                    self._start_daemon()
                tries += 1
            time.sleep(0.1)
        raise RelayError(
            f"the daemon ended and did not come back within {RESUME_LIMIT:.0f} s; the program may still run at the place\n"
            "hint: `afield daemon log` says why, `afield processes` shows what runs"
        )

    def _check_deadly(self) -> "None":
        """Die of a signal that nobody else can answer while there is no daemon."""
        for number in _DEADLY:
            if number in self._pending:
                raise ends.Over(-number)

    def _start_daemon(self) -> "None":
        if not self._daemon_start:
            return
        child = posix.fork()
        if child == 0:
            ends.exec_apart([to_bytes(word) for word in self._daemon_start])
        limit = time.monotonic() + START_LIMIT
        try:
            while not posix.waitpid(child, posix.WNOHANG)[0]:
                time.sleep(0.02)
                self._check_deadly()
                if time.monotonic() > limit:
                    posix.kill(child, signal.SIGKILL)
        except ChildProcessError:
            pass

    def _step(self) -> "None":
        started, over, terminal = bool(self._run_id), self._over, self._terminal
        mine = not terminal.on_input or ends.foreground()
        want_input = False
        if started and not over:
            if not self._rewind:
                terminal.enter_raw()
            want_input = self._prepare(mine=mine)
        full = [out for out in self._outs if out.kept]
        if over and not full:
            raise over
        readable: list[Any] = [] if over else [self._sock]
        if started:
            readable.append(self._wake[0])
        if want_input:
            readable.append(self._input.fd)
        writable: list[Any] = [*(out.fd for out in full), *([self._sock] if self._queue and not over else [])]
        # No signal tells a background program that it came to the foreground: look now and then.
        ready, free, _ = select.select(readable, writable, (), 0.5 if started and not mine else None)
        if self._pending or self._wake[0] in ready:
            self._signals()
        for out in full:
            if out.fd in free:
                out.drain()
        if want_input and self._input.fd in ready:
            self._read_input()
        if not over and self._sock in ready:
            self._receive()

    def _prepare(self, *, mine: "bool") -> "bool":
        """Send what is due; returns whether stdin may be read."""
        while True:  # until the socket is full or nothing is left: nothing else would wake us for the rest
            written = self._outs[0].written + self._outs[1].written
            if not self._queue and not self._rewind:
                self._put_input()
            if not self._queue and written - self._acked >= PIECE:
                self._put(b"a", _u64(self._outs[0].written, self._outs[1].written))
                self._acked = written
            if not self._queue:
                break
            self._flush()
            if self._queue:
                break
        room = self._have < self._credit and self._have - self._sent < PIECE
        return room and mine and not (self._at_end or self._rewind)


def relay(
    path: "str",
    mode: "str",
    argv: "Sequence[str | bytes]",
    *,
    argv0: "str" = "",
    project: "str" = "",
    machine: "str" = "",
    cwd: "str | bytes | None" = None,
    env: "Mapping[bytes, bytes] | None" = None,
    barrier: "bool" = True,
    wait: "bool" = False,
    view: "bool" = False,
    daemon_start: "Sequence[str]" = (),
) -> "int":
    """Run mode (``python``, ``run`` …) with argv through the daemon at path, on this process's own descriptors; see `request`.

    Gives the exit status, or minus the signal that ended the program (`ends.die` passes it on). daemon_start: the command that
    starts a daemon that vanished. Only for the main thread. Raises NotReadyError (nothing was started), RelayError.
    """
    to = {"project": project, "machine": machine}
    asked = request(mode, argv, argv0=argv0, cwd=cwd, env=env, barrier=barrier, wait=wait, view=view, **to)
    try:
        sock = dial(path)
        sock.sendall(asked)
    except OSError as error:
        raise NotReadyError(f"no daemon at {path}: {error.strerror}") from None
    return carry(sock, path, daemon_start=daemon_start, **to)


def carry(
    sock: "Any", path: "str", *, daemon_start: "Sequence[str]" = (), project: "str" = "", machine: "str" = ""
) -> "int":
    """Do the rest of `relay` for a request that was sent on sock."""
    return _Relay(sock, path, (project, machine), daemon_start).run()
