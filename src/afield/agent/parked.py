"""A files worker whose client left and may soon come back: it goes on watching, and nobody reads it  [P].

A client that restarts then need not wait for a scan of the whole folder. Rules: a worker is parked only when its client said
that the two agreed on it, so between whole records; one at a time, because the footprint of an agent is two processes.
"""

from afield.agent.pumps import close_quietly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Optional, Tuple

    from afield.agent.loop import Loop

    # Its process, its input, its output.
    Worker = Tuple[int, int, int]

# Seconds: as long as the agent itself waits for a link, so that both find everything warm or nothing.
KEPT = 600.0


class Parking:
    """Room for one worker."""

    def __init__(self, loop: "Loop") -> "None":
        self._loop = loop
        self._workers: "Dict[bytes, Tuple[Worker, Callable[[], None]]]" = {}

    def put(self, root: "bytes", worker: "Worker", let_go: "Callable[[], None]") -> "None":
        """Keep a worker, whose descriptors are ours from now on; one that is here ends. ``let_go``: called when its input ended."""
        self.drop()
        self._workers[root] = (worker, let_go)
        self._loop.call_later(KEPT, lambda: self.drop(worker[0]))

    def take(self, root: "bytes") -> "Optional[Worker]":
        """Give the worker for this root; its descriptors are the caller's from now on."""
        found = self._workers.pop(root, None)
        return None if found is None else found[0]

    def drop(self, pid: "int" = 0) -> "None":
        """Let the worker (the one with this pid) end: its input ends."""
        for root, (worker, let_go) in list(self._workers.items()):
            if pid in (0, worker[0]):
                del self._workers[root]
                close_quietly(worker[1], worker[2])
                let_go()
