"""The worker process: reads requests on one pipe, runs their generators in turns, writes answers on another  [P].

Rules: one thread; a request never holds the others up for more than a slice; while the pipe out is full the verbs that
make bulk rest, ``apply`` never does, and reading goes on (two workers that feed each other cannot lock); it ends
when the pipe in ends. No file is touched here.
"""

import errno
import gc
import os
import select
import signal
from collections import deque
from time import monotonic

from afield.errors import AfieldError, InternalError, ProtocolError
from afield.files.faults import from_os_error
from afield.files.history import PRUNE_EVERY
from afield.files.parking import rest
from afield.files.service import BULK, EVENTS, QUEUES, VERBS, Service
from afield.files.tasks import WAIT, Task
from afield.wire.records import RecordReader, encode_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Deque, Dict, Iterator, Optional

# A person does not notice 5 ms, and the cost of switching vanishes in it.
SLICE = 0.005
READ = 1 << 19
# Bulk rests above this many bytes that wait for the pipe: about what the pipe and the reader hold anyway.
FULL = 1 << 20
# Follow-up data of the apply that runs now; more is left in the pipe. Apply always goes on, so this cannot lock.
HELD = 4 << 20
IOV = 16
# Trimming then begins at twice this: what a handful of pieces need, and a fraction of what a place allows.
HEAP = 4 << 20
# s of rest after bulk until freed memory goes back: longer than the pauses of one transfer, and once for many saves in a row.
TRIM_AFTER = 1.0


class Output:
    """Bytes that wait for the pipe out."""

    def __init__(self, fd: "int") -> "None":
        self.fd = fd
        self.chunks: "Deque[Any]" = deque()
        self.size = 0

    def send(self, value: "Any") -> "None":
        """Queue a record."""
        data = encode_record(value)
        self.chunks.append(data)
        self.size += len(data)

    def flush(self) -> "None":
        """Write what the pipe takes now. Raises OSError when nobody reads any more."""
        while self.chunks:
            some = [self.chunks[place] for place in range(min(IOV, len(self.chunks)))]
            try:
                done = os.writev(self.fd, some)
            except BlockingIOError:
                return
            self.size -= done
            while done:
                first = self.chunks[0]
                if done >= len(first):
                    done -= len(first)
                    self.chunks.popleft()
                else:
                    self.chunks[0] = memoryview(first)[done:]
                    done = 0


class Worker:
    """The loop; ``run`` returns when the pipe in ended or nobody reads the answers."""

    def __init__(self, in_fd: "int", out_fd: "int") -> "None":
        self.in_fd = in_fd
        self.output = Output(out_fd)
        self.reader = RecordReader()
        self.service = Service()
        self.tasks: "Dict[int, Task]" = {}
        self.turns: "Deque[Task]" = deque()
        self.queues: "Dict[str, Deque[Task]]" = {}
        self.pump: "Optional[Iterator[Any]]" = None
        self.pump_of: "Any" = None
        self.pump_task = Task(0)
        self.open = True
        self.trim_at = float("inf")

    def run(self) -> "None":
        """Serve until the end."""
        try:
            while self.open:
                self.step()
        finally:
            for task in list(self.tasks.values()):
                close_quietly(task.run)
            self.service.close()

    def step(self) -> "None":
        """Wait for something, take it in, let one task work for a slice."""
        self._wait()
        self._watch()
        if monotonic() >= self.trim_at:
            self.trim_at = float("inf")
            trim()
        task = self._next_turn()
        if task is not None:
            self._work(task)
        if self.output.chunks:
            try:
                self.output.flush()
            except OSError:
                self.open = False

    # waiting

    def _wait(self) -> "None":
        watch = self.service.watch
        watch_fd = -1 if watch is None else watch.fd
        reads = [] if self._flooded() else [self.in_fd]
        if watch_fd >= 0:
            reads.append(watch_fd)
        writes = [self.output.fd] if self.output.chunks else []
        try:
            ready, _, _ = select.select(reads, writes, [], self._timeout())
        except OSError as error:
            if error.errno != errno.EINTR:
                raise
            return
        if watch is not None and watch_fd in ready and watch.fd == watch_fd:
            watch.read()
        if self.in_fd in ready:
            self._read()

    def _timeout(self) -> "Optional[float]":
        if self.pump is not None or any(self._may_run(task) for task in self.turns):
            return 0.0
        watch = self.service.watch
        due = self.trim_at if watch is None else min(watch.deadline(), self.trim_at)
        return None if due == float("inf") else max(0.0, due - monotonic())

    def _flooded(self) -> "bool":
        queue = self.queues.get("apply")
        return bool(queue and sum([len(piece) for piece in queue[0].inbox]) > HELD)

    def _read(self) -> "None":
        try:
            data = os.read(self.in_fd, READ)
        except BlockingIOError:
            return
        if not data:
            self.open = False
            return
        try:
            values = self.reader.feed(data)
        except ProtocolError as error:
            self.output.send([0, "error", error.to_value()])
            self.open = False
            return
        for value in values:
            self._take(value)

    # requests

    def _take(self, value: "Any") -> "None":
        good = isinstance(value, list) and len(value) == 3 and type(value[0]) is int and isinstance(value[1], str)
        if not good:
            self._error(0, ProtocolError("expected [id, verb, args], got %.100r" % (value,)))
            return
        number, verb, args = value
        task = self.tasks.get(number)
        if verb in ("data", "end"):
            # Data of a request that failed or was cancelled meanwhile is dropped.
            if task is not None:
                if verb == "data" and isinstance(args, bytes):
                    task.inbox.append(args)
                else:
                    task.ended = True
                task.waiting = False
        elif verb == "cancel":
            if task is not None:
                self._cancel(task)
        elif verb not in VERBS or not isinstance(args, dict) or task is not None or number <= 0:
            self._error(number, ProtocolError("expected a new request with a known verb, got %.100r" % (value,)))
        else:
            self._begin(number, verb, args)

    def _begin(self, number: "int", verb: "str", args: "Dict[str, Any]") -> "None":
        task = Task(number, verb, verb in BULK, QUEUES.get(verb, ""))
        task.start(VERBS[verb](self.service, args, task))
        self.tasks[number] = task
        if task.queue:
            self.queues.setdefault(task.queue, deque()).append(task)
        if verb == "barrier":
            self.turns.appendleft(task)
        else:
            self.turns.append(task)

    def _cancel(self, task: "Task") -> "None":
        close_quietly(task.run)
        self._forget(task)
        self.output.send([task.number, "error", {"code": "cancelled", "text": "the request was cancelled"}])

    def _forget(self, task: "Task") -> "None":
        self.tasks.pop(task.number, None)
        if task in self.turns:
            self.turns.remove(task)
        if task.queue:
            self.queues[task.queue].remove(task)

    def _error(self, number: "int", error: "AfieldError") -> "None":
        value = error.to_value()
        path = error.details.get("path")
        if path is not None:
            value["path"] = path
        self.output.send([number, "error", value])

    # work

    def _may_run(self, task: "Task") -> "bool":
        if task.waiting or (task.bulk and self.output.size > FULL):
            return False
        if task.verb in EVENTS and self.pump is not None:
            return False  # what is being reported now comes first
        return not task.queue or self.queues[task.queue][0] is task

    def _next_turn(self) -> "Optional[Task]":
        for _ in range(len(self.turns)):
            task = self.turns.popleft()
            self.turns.append(task)
            if self._may_run(task):
                return task
        return None

    def _work(self, task: "Task") -> "None":
        """Let a task work for a slice, and send what it gives."""
        task.until = monotonic() + SLICE
        if task.bulk or task.queue:
            self.trim_at = task.until + TRIM_AFTER
        try:
            for value in task.run:
                if value is None:
                    return
                if value is WAIT:
                    # Data may have come while it worked.
                    task.waiting = not task.inbox and not task.ended
                    return
                self._give(task, value)
                if monotonic() >= task.until or (task.bulk and self.output.size > FULL):
                    return
        except AfieldError as error:
            self._forget(task)
            if task.number:
                self._error(task.number, error)
            return
        except OSError as error:
            # What no verb expects: a disk that fails, no descriptor to spare. It is no bug either.
            self._forget(task)
            if task.number:
                root = self.service.root
                self._error(task.number, from_os_error(error, b"" if root is None else root.path))
            return
        except Exception as error:
            self._forget(task)
            if not task.number:
                return  # tidying up: the next time tries again
            self._error(task.number, InternalError("%s: %s" % (type(error).__name__, error), hint=where(error)))
            return
        self._forget(task)
        if task.number:
            self.output.send([task.number, "done", task.result])
        self._tidy()

    def _tidy(self) -> "None":
        """Prune the history, beside everything else, when much was added (or the root was just opened)."""
        history = self.service.history
        if history is not None and history.added >= PRUNE_EVERY and 0 not in self.tasks:
            task = Task(0, "prune", bulk=True)
            task.start(history.prune())
            self.tasks[0] = task
            self.turns.append(task)

    def _give(self, task: "Task", value: "Any") -> "None":
        if task.verb in EVENTS:
            self.output.send([0, value[0], value[1]])
        else:
            self.output.send([task.number, "part", value])

    def _watch(self) -> "None":
        """Report changes that are due, for a slice at most."""
        watch = self.service.watch
        if watch is not self.pump_of:
            self.pump, self.pump_of = None, watch
        if watch is None:
            return
        if self.service.parked and self.pump is None:
            rest(self.service, watch)
            return
        if self.pump is None:
            if not watch.ready or monotonic() < watch.deadline():
                return
            self.pump = watch.run(self.pump_task)
        self.pump_task.until = monotonic() + SLICE
        try:
            for event in self.pump:
                if event is not None:
                    self.output.send([0, event[0], event[1]])
                if monotonic() >= self.pump_task.until:
                    return
        except Exception:
            # What was due is lost with the failure, so a new scan has to find it.
            watch.failed()
        self.pump = None


def where(error: "BaseException") -> "str":
    """Say in which line an error that should not be came up."""
    found = ""
    trace = error.__traceback__
    while trace is not None:
        found = "%s:%d" % (os.path.basename(trace.tb_frame.f_code.co_filename), trace.tb_lineno)
        trace = trace.tb_next
    return "a bug in afield, in " + found


def close_quietly(run: "Any") -> "None":
    """Close a generator; what goes wrong in its cleaning up concerns nobody any more."""
    try:
        run.close()
    except Exception:
        return


def widen(fd: "int") -> "None":
    """Make a pipe hold 1 MiB where the system allows it: a sixteenth of the wake-ups."""
    import fcntl

    try:
        fcntl.fcntl(fd, getattr(fcntl, "F_SETPIPE_SZ", 1031), 1 << 20)
    except OSError:
        return  # a socket, another system, or the user's share of pipe memory is used up


def steady_heap() -> "None":
    """Make the C library keep a few megabytes of freed memory instead of giving each piece back and fetching it anew.

    Freeing one large mapped block raises glibc's limits for mapping and trimming for good (mallopt(3), "dynamic mmap
    threshold"): pieces of 256 KiB then come from memory that is there, which halves the system's share of a transfer.
    """
    bytes(HEAP)


def trim() -> "None":
    """Give what was freed back to the system (malloc_trim(3)): after an upload of 10,000 files that is a third of this process."""
    try:
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
    except (ImportError, OSError, AttributeError):  # a Python without ctypes, another C library
        return


def main(in_fd: "int", out_fd: "int") -> "None":
    """Serve on two pipe ends until the first one ends. Both become non-blocking: they must be the worker's own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Values are plain and hold no cycles: looking for some costs a twentieth of a scan.
    gc.set_threshold(200000, 50, 100)
    steady_heap()
    for fd in (in_fd, out_fd):
        os.set_blocking(fd, False)
        widen(fd)
    Worker(in_fd, out_fd).run()
