"""One thread that waits for many things: file descriptors, timers, ended children, signals  [P].

Rules: callbacks never block. One that raises is reported and its descriptor watched no more: a fault in one service must not end
the processes of all others.
A descriptor that is not to be read is not registered at all, because a hung-up pipe reports itself whatever was asked for.
A number that is closed and opened again inside one batch of events never sees the stale event (``Watch.born``).
Nothing here knows about links or processes.
"""

import os
import select
from _heapq import heappop, heappush
from time import monotonic

from afield.agent.signals import c_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Set, Tuple

READ = 1  # EPOLLIN and POLLIN on every system
WRITE = 4  # EPOLLOUT and POLLOUT

# A wait is never longer than this: a clock that jumped (suspend) is noticed within it.
LONGEST_WAIT = 60.0


class Watch:
    """A descriptor with the callback that its readiness calls; ``stop`` ends it (the descriptor stays open)."""

    __slots__ = ("born", "callback", "events", "fd", "loop")

    def __init__(self, loop: "Loop", fd: "int", events: "int", callback: "Callable[[], Any]") -> "None":
        self.loop = loop
        self.fd = fd
        self.events = events
        self.callback = callback
        self.born = loop.batch

    def stop(self) -> "None":
        """Forget the descriptor; may be called twice."""
        if self.loop.watches.get(self.fd) is self:
            del self.loop.watches[self.fd]
            self.loop.poll.unregister(self.fd)


class Timer:
    """A callback at a time of the monotonic clock, in seconds; ``cancel`` may be called at any time."""

    __slots__ = ("callback", "when")

    def __init__(self, when: "float", callback: "Optional[Callable[[], Any]]") -> "None":
        self.when = when
        self.callback = callback

    def cancel(self) -> "None":
        """Never call back."""
        self.callback = None


class Loop:
    """The event loop; ``run`` returns when ``stop`` was called.

    Sources are objects with ``flush()``, called before each wait, ``next_deadline()``, ``deadline_passed(now)`` and ``failed()``,
    called when one of the others raised. ``report(what)`` tells of the exception that is being handled.
    """

    def __init__(self) -> "None":
        self.batch = 0
        self.report: "Callable[[str], Any]" = str
        self.watches: "Dict[int, Watch]" = {}
        self.sources: "List[Any]" = []
        self.on_signal: "Dict[int, Callable[[], Any]]" = {}
        self._children: "Dict[int, Callable[[int], Any]]" = {}
        self._timers: "List[Tuple[float, int, Timer]]" = []
        self._serial = 0
        self._running = True
        if hasattr(select, "epoll"):
            self.poll: "Any" = select.epoll()
            self._scale = 1.0
        else:
            self.poll = select.poll()
            self._scale = 1000.0
        self._wake_in, self._wake_out = os.pipe()
        for fd in (self._wake_in, self._wake_out):
            os.set_blocking(fd, False)
        self.watch(self._wake_in, READ, self._woken)
        c_signal.set_wakeup_fd(self._wake_out)

    def close(self) -> "None":
        """Give every descriptor of the loop itself back; what it watched stays open."""
        c_signal.set_wakeup_fd(-1)
        self.poll = None
        os.close(self._wake_in)
        os.close(self._wake_out)

    # descriptors

    def watch(self, fd: "int", events: "int", callback: "Callable[[], Any]") -> "Watch":
        """Call back whenever fd is ready for one of events (or hung up). Raises OSError for files that cannot wait."""
        watch = Watch(self, fd, events, callback)
        self.poll.register(fd, events)
        self.watches[fd] = watch
        return watch

    # timers

    def call_at(self, when: "float", callback: "Callable[[], Any]") -> "Timer":
        """Call back once at a time of ``monotonic()``."""
        timer = Timer(when, callback)
        self._serial += 1
        heappush(self._timers, (when, self._serial, timer))
        return timer

    def call_later(self, seconds: "float", callback: "Callable[[], Any]") -> "Timer":
        """Call back once, so many seconds from now."""
        return self.call_at(monotonic() + seconds, callback)

    # signals and children

    def handle_signal(self, number: "int", callback: "Optional[Callable[[], Any]]") -> "None":
        """Call back in the loop when the signal came; without a callback nothing happens from now on.

        Never by SIG_IGN, which a program that is executed inherits (POSIX, exec); a handler it does not.
        """
        if callback is not None:
            self.on_signal[number] = callback
        c_signal.signal(number, self._noticed)

    def _noticed(self, number: "int", frame: "Any") -> "None":
        """Leave everything to ``_woken``: the number is in the pipe."""

    def child(self, pid: "int", callback: "Callable[[int], Any]") -> "None":
        """Call back with the wait status when the child pid has ended (SIGCHLD must be handled by ``reap``)."""
        self._children[pid] = callback

    def forget_child(self, pid: "int") -> "None":
        """Reap it silently when it ends."""
        self._children.pop(pid, None)

    def reap(self) -> "None":
        """Collect every ended child. Never raises."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except OSError:  # ECHILD: there are none
                return
            if pid == 0:
                return
            callback = self._children.pop(pid, None)
            if callback is not None:
                try:
                    callback(status)
                except Exception:
                    self.report("end of process %d" % pid)

    def _woken(self) -> "None":
        numbers: "Set[int]" = set()
        try:
            while True:
                data = os.read(self._wake_in, 4096)
                numbers.update(data)
                if len(data) < 4096:
                    break
        except BlockingIOError:
            pass
        for number in sorted(numbers):
            callback = self.on_signal.get(number)
            if callback is not None:
                callback()

    # running

    def stop(self) -> "None":
        """Let ``run`` return after this batch."""
        self._running = False

    def run(self) -> "None":
        """Work until ``stop``."""
        while True:
            for source in list(self.sources):
                self._guarded(source, source.flush)
            if not self._running:
                return
            self._wait(self._timeout())
            self._run_due(monotonic())

    def _timeout(self) -> "float":
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heappop(timers)
        due = monotonic() + LONGEST_WAIT
        if timers:
            due = min(due, timers[0][0])
        for source in self.sources:
            deadline = source.next_deadline()
            if deadline is not None and deadline < due:
                due = deadline
        wait = due - monotonic()
        return wait if wait > 0 else 0.0

    def _wait(self, timeout: "float") -> "None":
        # Rounded up to the millisecond that the kernel counts in: else the last one would be spent spinning.
        events = self.poll.poll((int(timeout * 1000) + 1) / 1000.0 * self._scale if timeout else 0)
        self.batch += 1
        batch = self.batch
        for fd, _ in events:
            watch = self.watches.get(fd)
            if watch is not None and watch.born != batch:
                try:
                    watch.callback()
                except Exception:
                    self.report("descriptor %d" % fd)
                    watch.stop()

    def _run_due(self, now: "float") -> "None":
        timers = self._timers
        while timers and (timers[0][0] <= now or timers[0][2].callback is None):
            timer = heappop(timers)[2]
            callback = timer.callback
            timer.callback = None
            if callback is not None:
                try:
                    callback()
                except Exception:
                    self.report("timer")
        for source in list(self.sources):
            deadline = source.next_deadline()
            if deadline is not None and deadline <= now:
                self._guarded(source, source.deadline_passed, now)

    def _guarded(self, source: "Any", call: "Callable[..., Any]", *args: "Any") -> "None":
        try:
            call(*args)
        except Exception:
            self.report("link")
            source.failed()
