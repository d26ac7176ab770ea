"""The files service: a forked worker that owns one folder, its records passed through  [P].

A worker whose client is out of reach gives way to one that another client opens for the same folder: after a killed daemon
nobody would come back for it, and what it had staged would lie there for as long as the lost session is kept.
A fork and not a thread: a busy thread took an echo on the link from 0.1 to 5 ms, a busy child took nothing.
The records themselves are the business of ``afield.files.worker``; here they are bytes.
"""

# ruff: noqa: ARG002  one interface for all services

import os
import sys

from afield.agent.helpers import leave_agent
from afield.agent.pumps import Inflow, Outflow, grow_pipe
from afield.agent.session import Service
from afield.agent.signals import c_signal
from afield.errors import AgentBroken, SpawnFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List

    from afield.agent.keeper import Keeper
    from afield.agent.session import Channel

# From the end of its input to SIGKILL: it removes its staging folder first.
END_WAIT = 5.0


class FilesService(Service):
    """A worker and the two pipes to it."""

    def __init__(self, keeper: "Keeper", channel: "Channel", header: "Dict[str, Any]") -> "None":
        self._keeper = keeper
        self._channel = channel
        self._root = header["root"]
        self._ended = False
        requests, to_worker = os.pipe()
        from_worker, answers = os.pipe()
        try:
            self._pid = os.fork()
        except OSError as error:
            for fd in (requests, to_worker, from_worker, answers):
                os.close(fd)
            raise SpawnFailed(
                "the files worker could not be started there: %s" % os.strerror(error.errno or 0)
            ) from None
        if self._pid == 0:
            _work(requests, answers, self.program)
        os.close(requests)
        os.close(answers)
        grow_pipe(to_worker)
        grow_pipe(from_worker)
        self._running = True
        keeper.helpers.add(self._pid)
        keeper.loop.child(self._pid, self._exited)
        self._out = Outflow(keeper.loop, to_worker, channel.consumed)
        self._in = Inflow(keeper.loop, from_worker, channel.sendable, channel.send, self._worker_ended)
        for other in self._others():
            if not other.near:
                other.give_way()

    def program(self) -> "Any":
        """Give what the child runs, on the two pipe ends."""
        from afield.files.worker import main

        return main

    def data(self, data: "Any", err: "bool") -> "None":
        """Pass requests on."""
        self._out.write(data)

    def ended(self) -> "None":
        """Let the worker finish and end."""
        self._ended = True
        self._out.end()

    def sendable(self) -> "None":
        """Pass answers on again."""
        self._in.resume()

    def away(self) -> "None":
        """Give way if another client is faster than the news of this one's loss."""
        if any(other.near for other in self._others()):
            self.give_way()

    @property
    def near(self) -> "bool":
        """Whether the client is within reach."""
        return self._channel.near

    def give_way(self) -> "None":
        """End in favour of another client's worker; a client that does come back starts its own again."""
        self._channel.close(
            AgentBroken(
                "another client took over the folder there while this one was out of reach",
                hint="afield starts its files worker again by itself",
            )
        )
        self.closed()

    def _others(self) -> "List[FilesService]":
        """Give the other workers for the same folder."""
        found = []
        for session in self._keeper.sessions.values():
            for channel in session.channels.values():
                service = channel.service
                if type(service) is type(self) and service is not self and service._root == self._root:
                    found.append(service)
        return found

    def _worker_ended(self, number: "int") -> "None":
        if self._ended:
            self._channel.end()
            self._channel.close()
        else:
            self._channel.close(
                AgentBroken("the files worker there ended unexpectedly", hint="its reason is in the agent's log")
            )
        self.closed()

    def closed(self) -> "None":
        """End the worker: its input ends, and it is killed when it does not follow."""
        self._in.close()
        self._out.close()
        if self._running:
            self._keeper.loop.call_later(END_WAIT, self._kill)

    def _exited(self, status: "int") -> "None":
        self._running = False
        self._keeper.helpers.discard(self._pid)

    def _kill(self) -> "None":
        if self._running:
            os.kill(self._pid, int(c_signal.SIGKILL))


def _work(requests: "int", answers: "int", program: "Callable[[], Any]") -> "None":
    """Run the worker in the child; never returns."""
    status = 1
    try:
        leave_agent((requests, answers))
        os.setsid()
        program()(requests, answers)
        status = 0
    except BaseException as error:
        if isinstance(error, SystemExit):
            status = error.code if isinstance(error.code, int) else 1
        else:
            sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)
