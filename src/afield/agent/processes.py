"""A program at the place that outlives its stream: pipes or terminal, journal, signals, exit  [P].

    starting ──exec──► running ──waitpid──► exited ──output read──► done ──all handed over──► announced
        └──exec failed──► the stream closes with the error

Rules: the exit is announced only after all output; a descendant that keeps the pipe open delays it by GRACE at most, and
never costs a byte that was in the pipe when the program ended. Output is read as far as the client's credit goes; while the
client is away it goes to the journal. A stream that the client closed on purpose ends the program (SIGHUP, then SIGKILL).
How a program is started is in spawn.py; how terminals work in ptys.py.
"""

import os
from time import time

from afield.agent import ptys, spawn
from afield.agent.journal import ERR, Journal
from afield.agent.loop import READ
from afield.agent.pumps import Inflow, Outflow, close_quietly, grow_pipe
from afield.agent.session import Service
from afield.agent.signals import c_signal
from afield.errors import Cancelled, ProtocolError
from afield.wire.messages import read_message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from afield.agent.keeper import Keeper
    from afield.agent.loop import Timer
    from afield.agent.session import Channel, Session

GRACE = 0.2  # seconds from exit to its announcement when a descendant holds the pipe
HANGUP_WAIT = 5.0  # seconds from SIGHUP to SIGKILL
# A mark of a link that no link comes to.
UNREACHED = 1 << 64
# Discarding output reads this much at a time.
PLENTY = 1 << 20


class Process(Service):
    """One program. ``channel`` is the stream it talks to now, None while nobody is attached."""

    def __init__(self, keeper: "Keeper", request: "spawn.Request") -> "None":
        self.keeper = keeper
        self.request = request
        self.id = request.id
        self.pid = 0
        self.started = time()
        self.state = "starting"
        self.status: "Optional[int]" = None
        self.ended_at = 0.0  # by the keeper's clock; 0.0 while it runs
        self._mark: "Optional[int]" = None
        self._announced_to: "Optional[Session]" = None
        self._delivered = False
        self.channel: "Optional[Channel]" = None
        self.journal = Journal(keeper.open_spill)
        self.stdin_count = 0
        self.stdin_ended = False
        self._stdin: "Optional[Outflow]" = None
        self._flows: "List[Inflow]" = []
        self._master = -1
        self._carried = 0  # queued stdin that an earlier stream brought: no credit for it on this one
        self._owed = [0, 0]
        self._grace_over = False
        self._discard = False
        self._told = -1
        self._told_watch: "Any" = None
        self._pending: "List[Any]" = []
        self._killer: "Optional[Timer]" = None
        self._outputs: "List[int]" = []

    # start

    def start(self, channel: "Channel") -> "None":
        """Start it. Raises SpawnFailed; a failing exec closes the stream later."""
        self.channel = channel
        if self.request.tty is not None:
            self._start_in_terminal(self.request.tty)
        else:
            self._start_with_pipes()
        self.keeper.loop.child(self.pid, self._exited)
        if self._told < 0:
            self._runs()
        else:
            self._told_watch = self.keeper.loop.watch(self._told, READ, self._hear)

    def _start_in_terminal(self, tty: "Dict[str, Any]") -> "None":
        master, slave = ptys.open_terminal(tty)
        try:
            self.pid, self._told = spawn.fork_exec(self.request, (slave, slave, slave), controlling=True)
        except BaseException:
            os.close(master)
            raise
        finally:
            os.close(slave)
        self._master = master
        self._outputs = [os.dup(master)]
        self._stdin = Outflow(self.keeper.loop, os.dup(master), self._taken, finish=ptys.send_end)

    def _start_with_pipes(self) -> "None":
        pipes = [os.pipe() for _ in range(3)]
        theirs = (pipes[0][0], pipes[1][1], pipes[2][1])
        ours = (pipes[0][1], pipes[1][0], pipes[2][0])
        for fd in ours[:2]:
            grow_pipe(fd)
        try:
            self.pid, self._told = spawn.fork_exec(self.request, theirs, controlling=False)
        except BaseException:
            close_quietly(*ours)
            raise
        finally:
            close_quietly(*theirs)
        self._outputs = [ours[1], ours[2]]
        self._stdin = Outflow(self.keeper.loop, ours[0], self._taken)

    def _hear(self) -> "None":
        """Learn from the report pipe whether the program started."""
        try:
            report = os.read(self._told, 256)
        except BlockingIOError:
            return
        self._told_watch.stop()
        close_quietly(self._told)
        self._told = -1
        if report:
            self._failed(report)
        else:
            self._runs()

    def _let_go(self) -> "None":
        # Not before the end of the program: the close is a SIGHUP, also for one that closed its terminal to exit next.
        close_quietly(self._master)
        self._master = -1

    def _failed(self, report: "bytes") -> "None":
        self.keeper.loop.forget_child(self.pid)
        self._let_go()
        close_quietly(*self._outputs)
        if self._stdin is not None:
            self._stdin.close()
        channel, self.channel = self.channel, None
        self.state = "failed"
        self.keeper.forget_process(self)
        if channel is not None:
            channel.close(spawn.error_for(report, self.request))

    def _runs(self) -> "None":
        self.state = "running"
        self.keeper.process_runs(self)
        if self.channel is not None:
            self.channel.message({"started": {"pid": self.pid}})
        for number, fd in enumerate(self._outputs):
            self._flows.append(self._flow(number, fd))
        pending, self._pending = self._pending, []
        for value in pending:
            self.message(value)

    def _flow(self, number: "int", fd: "int") -> "Inflow":
        return Inflow(
            self.keeper.loop,
            fd,
            self._room,
            lambda data: self._read(number, data),
            lambda _errno: self._finish_if_over(),
        )

    # output

    def _room(self) -> "int":
        """Bytes that may be read from the program now."""
        if self._discard:
            return PLENTY
        channel = self.channel
        if channel is not None and not self.journal.waiting:
            room = channel.sendable()
            if room > 0:
                return room
        if channel is not None and channel.near:
            return 0
        return self.journal.room()

    def _read(self, number: "int", data: "bytes") -> "None":
        if not self._discard:
            channel = self.channel
            if channel is not None and not self.journal.waiting and channel.sendable() >= len(data):
                self.journal.append_sent(number, data)
                channel.send(data, err=number == ERR)
            else:
                self.journal.append(number, data)
        if self.status is not None:
            self._owed[number] -= len(data)
            if self._grace_over:
                self._finish_if_over()

    def _pump(self) -> "None":
        """Hand over what waits, then read on, then announce."""
        channel = self.channel
        if channel is None:
            return
        while True:
            piece = self.journal.take(channel.sendable())
            if piece is None:
                break
            channel.send(piece[1], err=piece[0] == ERR)
        for flow in list(self._flows):
            flow.resume()
        self._announce_if_done()

    def sendable(self) -> "None":
        """Go on handing over."""
        self._pump()

    def consumed(self, total: "int") -> "None":
        """Drop what the client does not need any more."""
        self.journal.consumed(total)

    def away(self) -> "None":
        """Read on into the journal."""
        for flow in list(self._flows):
            flow.resume()

    # input

    def data(self, data: "Any", err: "bool") -> "None":  # noqa: ARG002 one interface for all services
        """Write to the standard input."""
        self.stdin_count += len(data)
        if self._stdin is not None:
            self._stdin.write(data)

    def ended(self) -> "None":
        """Close the standard input when all is written."""
        if not self.stdin_ended:
            self.stdin_ended = True
            if self._stdin is not None:
                self._stdin.end()

    def _taken(self, count: "int") -> "None":
        carried = min(self._carried, count)
        self._carried -= carried
        if self.channel is not None:
            self.channel.consumed(count - carried)

    def message(self, value: "Any") -> "None":
        """Take ``{"signal": n}`` or ``{"resize": [rows, cols]}``. Raises ProtocolError."""
        read_message(value)
        if self.state == "starting":  # its process group does not exist for sure yet
            self._pending.append(value)
            return
        if "signal" in value:
            self.signal(value["signal"])
        if "resize" in value and self._master >= 0:
            rows, cols = value["resize"] if len(value["resize"]) == 2 else (0, 0)
            ptys.resize(self._master, rows, cols)

    def signal(self, number: "Any") -> "bool":
        """Send a signal to the process group; with a terminal to the group in front, too. False: nobody there any more.

        Raises ProtocolError for what is not a signal number.
        """
        if not isinstance(number, int) or not 0 <= number < c_signal.NSIG:
            raise ProtocolError("signal: expected a number, got %.80r" % (number,))
        if self.status is not None and self.state != "exited":
            return False  # the number of the group may belong to somebody else by now
        reached = False
        for group in ptys.groups(self._master, self.pid, number):
            try:
                os.killpg(group, number)
                reached = True
            except OSError:  # ESRCH: ended; EPERM: it became another user's
                pass
        return reached

    # end

    def _exited(self, status: "int") -> "None":
        if self.state == "starting":
            self._hear()
            if self.state in ("failed", "starting"):
                return
        self.status = status
        self.state = "exited"
        for number, flow in enumerate(self._flows):
            self._owed[number] = 0 if flow.closed else ptys.unread(flow.fd)
        self._finish_if_over()
        if self.state == "exited":
            self.keeper.loop.call_later(GRACE, self._grace_ended)

    def _grace_ended(self) -> "None":
        self._grace_over = True
        self._finish_if_over()

    def _finish_if_over(self) -> "None":
        """Go from exited to done when the output is complete."""
        if self.state != "exited":
            return
        for number, flow in enumerate(self._flows):
            if not flow.closed and not (self._grace_over and self._owed[number] <= 0):
                return
        self.state = "done"
        self.ended_at = self.keeper.now()
        self.keeper.process_ended(self)
        if self._killer is not None:
            self._killer.cancel()
        for flow in self._flows:
            flow.close()
        if self._stdin is not None:
            self._stdin.close()
        self._let_go()
        if self._discard:
            self.keeper.forget_process(self)
        else:
            self._announce_if_done()

    def _announce_if_done(self) -> "None":
        channel = self.channel
        if self.state != "done" or channel is None or self.journal.waiting:
            return
        self.state = "announced"
        channel.message(self.exit_value())
        channel.end()
        self._mark = None
        self._announced_to = channel.session
        self.channel = None
        channel.close()
        self.keeper.process_announced(self)

    @property
    def delivered(self) -> "bool":
        """Whether a client has got everything; then nobody has to wait for it any more."""
        session = self._announced_to
        if session is None:
            return False
        if not self._delivered:
            if self._mark is None and not session.said_bye:
                self._mark = session.sent_mark()
            self._delivered = session.has_got(self._mark if self._mark is not None else UNREACHED)
        return self._delivered

    def exit_value(self) -> "Dict[str, int]":
        """Give ``{"exit": code}`` or ``{"killed": signal}``; only once ``status`` is there."""
        assert self.status is not None
        if os.WIFSIGNALED(self.status):
            return {"killed": os.WTERMSIG(self.status)}
        return {"exit": os.WEXITSTATUS(self.status)}

    # clients

    def attach(self, channel: "Channel", out: "int", err: "int") -> "None":
        """Serve another stream from these offsets on. Raises ProtocolError when they are not kept any more."""
        self.journal.rewind(out, err)
        if self.channel is not None:
            self.channel.close(Cancelled("another client attached to this process"))
        self.channel = channel
        self._carried = self._stdin.queued if self._stdin is not None else 0
        self._announced_to = None
        self._delivered = False
        self.state = "done" if self.state == "announced" else self.state
        channel.message({"attached": {"pid": self.pid, "in": self.stdin_count, "ended": self.stdin_ended}})
        self._pump()

    def closed(self) -> "None":
        """End the program: the client closed its stream on purpose."""
        self.channel = None
        if self.state in ("done", "announced", "failed"):
            self.keeper.forget_process(self)
        elif not self._discard:
            self.hang_up()

    def hang_up(self) -> "None":
        """SIGHUP, and SIGKILL after HANGUP_WAIT; the output is thrown away from now on."""
        self._discard = True
        self.journal.close()
        if self.state == "starting":
            self._pending.append({"signal": int(c_signal.SIGHUP)})
        else:
            self.signal(int(c_signal.SIGHUP))
            self.signal(int(c_signal.SIGCONT))  # a stopped program must be able to end
        if self._stdin is not None and self._master < 0:
            self._stdin.close()
        self.away()
        self._killer = self.keeper.loop.call_later(HANGUP_WAIT, lambda: self.signal(int(c_signal.SIGKILL)))

    def abandoned(self) -> "None":
        """Live on without a client."""
        self.channel = None
        self.away()

    def describe(self) -> "Dict[str, Any]":
        """Give the entry of the ``processes`` call."""
        return {
            "id": self.id,
            "pid": self.pid,
            "label": self.request.label,
            "argv": self.request.argv,
            "started": self.started,
            "state": {"done": "exited", "announced": "exited"}.get(self.state, self.state),
            "attached": self.channel is not None,
            "exit": self.exit_value() if self.status is not None else None,
            "delivered": self.delivered,
        }
