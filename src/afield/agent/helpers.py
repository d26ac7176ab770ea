"""Run a slow question in a forked child, so that the loop never waits for it  [P].

The answer comes back through a pipe as one encoded value; a child that takes too long is killed. Used for facts, name
resolution and clean-up of large folders. The child shares nothing afterwards: it leaves by ``_exit``.
"""

import os

from afield.agent.loop import READ
from afield.agent.pumps import close_quietly
from afield.agent.signals import c_signal, reset_signals
from afield.wire.values import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from afield.agent.keeper import Keeper

# Facts of a machine with a hundred Pythons and GPUs are a few KB.
LARGEST = 1 << 20


class Helper:
    """A running question; ``done(value, failure text)`` is called once unless it was cancelled."""

    def __init__(
        self,
        keeper: "Keeper",
        work: "Callable[[], Any]",
        done: "Callable[[Any, str], Any]",
        limit: "float",
        keep: "Any" = (),
    ) -> "None":
        self._done = done
        self._data = b""
        inward, outward = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _answer(work, outward, keep)
        os.close(outward)
        self._fd = inward
        os.set_blocking(inward, False)
        self._watch = keeper.loop.watch(inward, READ, self._readable)
        self._timer = keeper.loop.call_later(limit, lambda: self._end("no answer within %.0f s" % limit))
        keeper.loop.child(self._pid, self._exited)

    def _exited(self, status: "int") -> "None":  # noqa: ARG002 an end is an end
        self._pid = 0

    def _readable(self) -> "None":
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        self._data += data
        if not data or len(self._data) > LARGEST:
            self._end("")

    def _end(self, failure: "str") -> "None":
        self.cancel()
        if failure:
            self._done(None, failure)
            return
        try:
            ok, value = decode(self._data)
        except Exception:
            self._done(None, "the helper process died")
            return
        if ok:
            self._done(value, "")
        else:
            self._done(None, value)

    def cancel(self) -> "None":
        """Kill the child; ``done`` is not called any more."""
        if self._fd < 0:
            return
        self._timer.cancel()
        self._watch.stop()
        close_quietly(self._fd)
        self._fd = -1
        if self._pid:
            os.kill(self._pid, int(c_signal.SIGKILL))


def in_child(
    keeper: "Keeper", work: "Callable[[], Any]", done: "Callable[[Any, str], Any]", limit: "float", keep: "Any" = ()
) -> "Helper":
    """Run work in a child and call ``done(value, "")`` or ``done(None, why)``; limit is in seconds. Raises OSError.

    keep: descriptors that the work needs.
    """
    return Helper(keeper, work, done, limit, keep)


def _answer(work: "Callable[[], Any]", outward: "int", keep: "Any") -> "None":
    """Run in the child; never returns."""
    try:
        leave_agent((outward, *keep))
        try:
            answer = encode([True, work()])
        except Exception as error:
            answer = encode([False, "%s: %s" % (type(error).__name__, error)])
        while answer:
            answer = answer[os.write(outward, answer) :]
    finally:
        os._exit(0)


def leave_agent(keep: "Any") -> "None":
    """Shed what a forked child has of the agent: its signals and every descriptor but 0, 1, 2 and keep.

    The lock and the links must not live on in a child when the agent is killed.
    """
    c_signal.set_wakeup_fd(-1)
    reset_signals()
    c_signal.signal(c_signal.SIGPIPE, c_signal.SIG_IGN)  # Python code expects the error, not the signal
    for fd in open_descriptors():
        if fd > 2 and fd not in keep:
            close_quietly(fd)


def open_descriptors() -> "Any":
    """Give the numbers of the open descriptors (one of them was the listing's own)."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return [int(name) for name in os.listdir(folder) if name.isdigit()]
        except OSError:
            pass
    return range(256)
