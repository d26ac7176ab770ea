"""Bytes between a descriptor and a stream, one direction each, with back-pressure  [P].

``Outflow`` writes what a stream brings and tells when it was taken; ``Inflow`` reads as much as a limit allows.
Both own their descriptor and close it. A descriptor used in both directions is duplicated first, so that each side
has a number of its own for the event loop. Nothing here knows what the bytes mean.
"""

import errno
import os
from collections import deque

from afield.agent.loop import READ, WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Deque, Optional

    from afield.agent.loop import Loop, Watch

# One read: two frames. More gives one noisy process a longer turn before others, less costs throughput.
READ_SIZE = 131072
# Linux lets any user have pipes of 1 MiB (fs.pipe-max-size); with the default of 64 KiB throughput over ssh fell to 0.8.
PIPE_SIZE = 1048576


def grow_pipe(fd: "int", size: "int" = PIPE_SIZE) -> "None":
    """Enlarge a pipe where the system can; sockets and other systems stay as they are. Never raises."""
    try:
        import fcntl

        fcntl.fcntl(fd, 1031, size)  # F_SETPIPE_SZ, which the fcntl module names only from 3.10 on
    except (OSError, ImportError):
        pass


def close_quietly(*fds: "int") -> "None":
    """Close descriptors that may be closed already or whose last write-back may fail. Never raises."""
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            pass


class Outflow:
    """Writes bytes to fd in order; ``taken(count)`` after each that left, ``broken(errno)`` once when the reader is gone.

    After ``end`` it closes when all is written, by ``finish(fd)`` when given (half-close of sockets, end of a terminal's line).
    A broken one takes bytes and drops them, so that the sender is not stuck behind a reader that no longer exists.
    """

    __slots__ = ("_ending", "_finish", "_loop", "_queue", "_watch", "broken", "fd", "queued", "taken")

    def __init__(
        self,
        loop: "Loop",
        fd: "int",
        taken: "Callable[[int], Any]",
        broken: "Optional[Callable[[int], Any]]" = None,
        finish: "Optional[Callable[[int], Any]]" = None,
    ) -> "None":
        os.set_blocking(fd, False)
        self.fd = fd
        self.taken = taken
        self.broken = broken
        self.queued = 0
        self._finish = finish
        self._loop = loop
        self._queue: "Deque[memoryview]" = deque()
        self._watch: "Optional[Watch]" = None
        self._ending = False

    @property
    def closed(self) -> "bool":
        """Whether the descriptor is closed."""
        return self.fd < 0

    def write(self, data: "Any") -> "None":
        """Write data (bytes-like) now as far as it goes and keep a copy of the rest."""
        if self.fd < 0:
            self.taken(len(data))
            return
        if self._queue:
            self._keep(data)
            return
        written = self._try(data)
        if written < len(data) and self.fd >= 0:
            self._keep(memoryview(data)[written:])
            self._watch = self._loop.watch(self.fd, WRITE, self._ready)
        elif written < len(data):
            self.taken(len(data) - written)

    def end(self) -> "None":
        """No more will come."""
        self._ending = True
        if not self._queue:
            self._end_now()

    def close(self) -> "None":
        """Close at once; what is queued is dropped and counts as taken."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if self.fd >= 0:
            close_quietly(self.fd)
            self.fd = -1
        dropped, self.queued = self.queued, 0
        self._queue.clear()
        if dropped:
            self.taken(dropped)

    def _keep(self, data: "Any") -> "None":
        self._queue.append(memoryview(bytes(data)))
        self.queued += len(data)

    def _try(self, data: "Any") -> "int":
        try:
            written = os.write(self.fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._break(error.errno or errno.EPIPE)
            return 0
        self.taken(written)
        return written

    def _break(self, number: "int") -> "None":
        self.close()
        if self.broken is not None:
            self.broken(number)

    def _ready(self) -> "None":
        while self._queue:
            head = self._queue[0]
            # Taken off the count first: the callback may look at it.
            try:
                written = os.write(self.fd, head)
            except BlockingIOError:
                return
            except OSError as error:
                self._break(error.errno or errno.EPIPE)
                return
            self.queued -= written
            if written == len(head):
                self._queue.popleft()
            else:
                self._queue[0] = head[written:]
            self.taken(written)
            if self.fd < 0:
                return
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if self._ending:
            self._end_now()

    def _end_now(self) -> "None":
        if self.fd >= 0 and self._finish is not None:
            try:
                self._finish(self.fd)
            except OSError:  # the reader is gone: there is nobody left to tell
                pass
        self.close()


class Inflow:
    """Reads from fd whatever ``room()`` allows and hands it to ``data(bytes)``; ``end(errno)`` once (0: end of file)."""

    __slots__ = ("_data", "_end", "_loop", "_room", "_watch", "fd")

    def __init__(
        self,
        loop: "Loop",
        fd: "int",
        room: "Callable[[], int]",
        data: "Callable[[bytes], Any]",
        end: "Callable[[int], Any]",
    ) -> "None":
        os.set_blocking(fd, False)
        self.fd = fd
        self._loop = loop
        self._room = room
        self._data = data
        self._end = end
        self._watch: "Optional[Watch]" = None
        self.resume()

    @property
    def closed(self) -> "bool":
        """Whether the descriptor is closed."""
        return self.fd < 0

    def resume(self) -> "None":
        """Look again whether there is room."""
        if self._watch is None and self.fd >= 0 and self._room() > 0:
            self._watch = self._loop.watch(self.fd, READ, self.ready)

    def pause(self) -> "None":
        """Stop reading until ``resume``."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def ready(self) -> "bool":
        """Read once; True when there was something. Called by the loop, and by an owner that drains."""
        room = self._room()
        if room <= 0:
            self.pause()
            return False
        try:
            data = os.read(self.fd, room if room < READ_SIZE else READ_SIZE)
        except BlockingIOError:
            return False
        except OSError as error:
            self._over(0 if error.errno == errno.EIO else error.errno or 0)  # EIO: how a terminal ends
            return False
        if not data:
            self._over(0)
            return False
        self._data(data)
        return True

    def close(self) -> "None":
        """Close at once; ``end`` is not called."""
        self.pause()
        if self.fd >= 0:
            close_quietly(self.fd)
            self.fd = -1

    def _over(self, number: "int") -> "None":
        self.close()
        self._end(number)
