"""One request in work: what its verb generator sees of the worker  [P].

A verb is a generator function ``verb(service, args, task)``. It yields a value to send as a part, ``None`` to give way
(it must, once ``monotonic() >= task.until``), or ``WAIT`` when it needs follow-up data that is not there yet; what it
returns is the result. Rule: a generator may be closed at any yield (cancel) and leaves nothing behind then.
"""

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Deque, Generator, Iterator


class Wait(object):
    """The type of ``WAIT``."""

    __slots__ = ()


WAIT = Wait()


class Task:
    """``until``: end of the slice (monotonic seconds); ``inbox``: follow-up data; ``ended``: no more of it comes."""

    __slots__ = ("bulk", "ended", "inbox", "number", "queue", "result", "run", "until", "verb", "waiting")

    def __init__(self, number: "int", verb: "str" = "", bulk: "bool" = False, queue: "str" = "") -> "None":
        self.number = number
        self.verb = verb
        # Bulk rests while the pipe out is full; tasks of one queue run one after another.
        self.bulk = bulk
        self.queue = queue
        self.until = 0.0
        self.inbox: "Deque[bytes]" = deque()
        self.ended = False
        self.waiting = False
        self.result: "Any" = None
        self.run: "Iterator[Any]" = iter(())

    def start(self, run: "Generator[Any, None, Any]") -> "None":
        """Take the generator; what it returns will be in ``result``."""
        self.run = self._keep(run)

    def _keep(self, run: "Generator[Any, None, Any]") -> "Iterator[Any]":
        self.result = yield from run
