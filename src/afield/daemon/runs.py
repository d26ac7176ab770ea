"""Runs: one local client, one process there; the run protocol on one side, a ``process`` stream on the other.

Rules: bytes wait in one place only, at the end that produced them (credit both ways), so memory is bounded by two
windows a run; what the client wrote is what the agent may forget; a client that is gone ends its process, a link or a
daemon that is gone does not. What must not go in: what travels (mapping), how the bytes look (run_wire).
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

from afield.daemon import beginning, job_views, mapping, run_wire, settling
from afield.daemon.around import Around
from afield.daemon.run_flows import RunInput, RunOutput
from afield.errors import AfieldError, CommandNotFound, LinkLost, NoSuchProcess, NoSuchView, ProtocolError, SessionGone

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from afield.daemon.base import Base
    from afield.daemon.channel import Channel
    from afield.daemon.run_wire import ResumeRequest, RunRequest

# Of these a client tells before it dies of one itself: HUP, INT, QUIT, PIPE, TERM.
_LAST_WORDS = (1, 2, 3, 13, 15)
# Signals that end a run which has not begun there yet: HUP, INT, QUIT, KILL, TERM.
_ENDING = (1, 2, 3, 9, 15)


class Run:
    """One run client. ``find(project, machine)`` gives the Base, ``on_begin``/``on_end`` keep the list of runs."""

    def __init__(
        self,
        channel: Channel,
        find: Callable[[bytes, str], Base],
        *,
        on_begin: Callable[[Run], None],
        on_end: Callable[[Run], None],
        log: Callable[[str], None],
    ) -> None:
        self.channel = channel
        self.id = b""
        self.label = ""
        self.project = b""
        self.machine = ""
        self.pid: int | None = None
        self.since = time.time()
        self._find = find
        self._on_begin = on_begin
        self._on_end = on_end
        self._log = log
        self._reader = run_wire.RunReader()
        self._base: Base | None = None
        self._around = Around()
        self._again: Callable[[], None] | None = None  # how to begin a second time, until the program runs
        self._stream: Any = None
        self._task: asyncio.Task[None] | None = None
        self._begun = False
        self._over = False
        self._resumed = False
        self._results = False
        self._outright = False  # a client that goes without a word was killed outright
        self._ended = False  # the program; its results may still be on their way
        self._input = RunInput()
        self._output = RunOutput()
        self._early: list[dict[str, Any]] = []
        channel.on_data = self.feed
        channel.on_end = self._client_gone

    def feed(self, data: bytes) -> None:
        """Take bytes of the client; bytes that are not the protocol end the run."""
        try:
            for kind, payload in self._reader.feed(data):
                self._frame(kind, payload)
        except ProtocolError as error:
            self._log(f"a run client was cut off: {error}")
            self._refuse(error)

    def project_place(self) -> Any:
        """Give the place that this run uses; None before it is known."""
        return None if self._base is None else self._base.place

    # ---- frames of the client

    def _frame(self, kind: bytes, payload: bytes) -> None:
        if self._over:
            return
        if kind in b"RT":
            self._first(kind, payload)
        elif not self._begun:
            raise ProtocolError(f"expected the frame R or T first, got {kind.decode()}")
        elif kind == b"i":
            self._take_stdin(payload)
        elif kind == b"I":
            self._input.end()
            self._push_stdin()
        elif kind == b"a":
            self._take_ack(*run_wire.parse_ack(payload))
        elif kind == b"s":
            self._signal(run_wire.parse_signal(payload))
        else:
            self._message({"resize": run_wire.parse_window(payload)})

    def _first(self, kind: bytes, payload: bytes) -> None:
        if self._begun:
            raise ProtocolError("a second request on one run connection")
        self._begun = True
        try:
            if kind == b"R":
                self._start(run_wire.parse_request(payload))
            else:
                self._resume(run_wire.parse_resume(payload))
        except ProtocolError:
            raise
        except AfieldError as error:
            self._refuse(error)

    def _take_stdin(self, data: bytes) -> None:
        if self._input.take(data):
            self._finish(run_wire.refused(0, "\ndetached: the job goes on", None))
            self._hang_up()
        else:
            self._push_stdin()

    def _take_ack(self, out: int, err: int) -> None:
        if (count := self._output.written(out, err)) and self._stream is not None:
            self._stream.consumed(count)

    def _signal(self, number: int) -> None:
        if number in _LAST_WORDS:
            self._outright = False
        if number == 13:  # the reader of its output went; the program there learns it by SIGHUP
            return
        if (self._stream is None or self._is_view()) and number in _ENDING:
            if self._task is not None:
                self._task.cancel()
            self._finish(run_wire.ended(-number))
            self._hang_up()
        else:
            self._message({"signal": number})

    def _message(self, message: dict[str, Any]) -> None:
        if self._stream is None:
            self._early = [*self._early[-63:], message]
        elif not self._stream.closed:  # urgent: a program that does not read its input must still get a Ctrl-C
            self._stream.send_message_nowait(message, urgent=True)

    # ---- begin

    def _start(self, request: RunRequest) -> None:
        self.project, self.machine = request.project, request.machine
        base = self._base = self._find(request.project, request.machine)
        if base.run_state(barrier="n" not in request.flags) == "not-ready" and "w" in request.flags:
            self._follow(self._wait_for_link(base, request))
        else:
            self._begin(base, request)

    async def _wait_for_link(self, base: Base, request: RunRequest) -> None:
        """Begin when the dial that is under way has succeeded; what it asks or fails with is for a face."""
        await base.place.dialed(self._tell)
        self._task = None
        self._guarded(lambda: self._begin(base, request))()

    def _begin(self, base: Base, request: RunRequest) -> None:
        state = base.run_state(barrier="n" not in request.flags)
        if state == "not-ready":
            self._finish(run_wire.not_ready())
            return
        self._results = state == "barrier"
        self.id = os.urandom(16)
        if request.mode == "job":
            if {"0", "1", "2"} <= set(request.flags):
                self._early.append({"resize": [request.rows, request.cols]})
            self._view(base, job_views.header_of(request))
            return
        words = request.argv if request.mode == "run" else (request.mode.encode(), *request.argv)
        self.label = b" ".join(words[:4]).decode("utf-8", "replace")[:80]
        self.channel.write(run_wire.started(self.id) + run_wire.credit(self._input.credit))
        target = beginning.aim(base, request)
        if beginning.must_wait(base, request, target, self._around):
            self._begin_slowly(base, request, barrier=state == "barrier")
        elif state == "barrier":
            # What changed there is there: only what was saved here has to be looked at.
            at_once = self._guarded(lambda: self._open(base, request, target))
            slowly = self._guarded(lambda: self._begin_slowly(base, request, barrier=True))
            settling.look(base, "here", quiet=at_once, busy=slowly)
        else:
            self._open(base, request, target)

    def _begin_slowly(self, base: Base, request: RunRequest, *, barrier: bool) -> None:
        self._follow(self._prepare(base, request, barrier=barrier))

    async def _prepare(self, base: Base, request: RunRequest, *, barrier: bool) -> None:
        try:
            target = await beginning.prepare(base, request, self._around, barrier=barrier, tell=self._tell)
            if not self._over:
                self._open(base, request, target)
        except Exception as error:
            self._fail(error)

    def _tell(self, text: str) -> None:
        self.channel.write(run_wire.notice(text))

    def _open(self, base: Base, request: RunRequest, target: mapping.Target) -> None:
        plan = mapping.plan(request, target)  # raises CommandNotFound
        self._outright = request.mode == "python"
        plan.env["AFIELD_RUN"] = self.id.hex().encode()  # by this the ports of who daemonizes itself are found
        header = {**plan.header(), "id": self.id, "label": self.label, "ports": request.mode != "shell"}
        self._again = (lambda: self._begin_slowly(base, request, barrier=False)) if self._again is None else None
        self._attach_stream(base.open_stream(header, run_wire.WINDOW))
        self._push_stdin()

    def _view(self, base: Base, header: dict[str, Any]) -> None:
        """Look at a job: output as that of a program, keys to its terminal; nothing else reaches it."""
        self.label = f"view of job {header['job']}"
        self._results = False
        if header.get("input"):
            self._input.keys = job_views.Keys()
        self._attach_stream(base.open_stream(header, run_wire.WINDOW))

    def _is_view(self) -> bool:
        return self._stream is not None and self._stream.header.get("do") == "job"

    def _resume(self, request: ResumeRequest) -> None:
        self.id, self.project, self.machine = request.id, request.project, request.machine
        self.label = "(taken up again)"
        self._resumed = True
        base = self._base = self._find(request.project, request.machine)
        if base.run_state(barrier=False) != "ready":
            base.wake()
            self._finish(run_wire.not_ready())
            return
        self._results = base.run_state(barrier=True) == "barrier"
        self._output = RunOutput(request.out, request.err)
        if (view := job_views.resumed(request)) is not None:
            self._view(base, view)
            return
        header = {"do": "attach", "id": request.id, "out": request.out, "err": request.err}
        self._attach_stream(base.open_stream(header, run_wire.WINDOW))

    def _attach_stream(self, stream: Any) -> None:
        self._stream = stream
        stream.on_message = self._on_message
        stream.on_consumed = self._on_consumed
        stream.on_sendable = self._push_stdin
        stream.on_closed = self._on_closed
        stream.set_sink(self._on_output)
        for message in self._early:
            self._message(message)
        self._early.clear()
        self._on_begin(self)

    # ---- the stream

    def _on_output(self, data: memoryview, err: bool) -> None:
        self.channel.write(self._output.frame(data, err=err))

    def _on_consumed(self, total: int) -> None:
        if self._input.consumed(total):
            self.channel.write(run_wire.credit(self._input.credit))

    def _push_stdin(self) -> None:
        self._input.push(self._stream, unsure=self._again is not None)

    def _on_message(self, message: Any) -> None:
        if not isinstance(message, dict):
            return
        if "started" in message:
            self.pid = message["started"].get("pid")
            self._again = None
            self._input.settle()
        elif "attached" in message:
            self._attached(message["attached"])
        elif "ports" in message and self._base is not None:
            self._around.listening(self._base, message["ports"])
        elif "exit" in message:
            self._exited(int(message["exit"]))
        elif "killed" in message:
            self._exited(-int(message["killed"]))
        elif "note" in message:
            self._tell(f"afield: {message['note']}")

    def _attached(self, told: dict[str, Any]) -> None:
        self.pid = told.get("pid")
        self._input.go_on_from(int(told["in"]))
        number = job_views.run_id(self._stream.header, int(told["start"])) if "start" in told else self.id
        self.channel.write(run_wire.started(number) + run_wire.credit(self._input.credit))

    def _exited(self, code: int) -> None:
        base = self._base
        if self._around.brings and not self._over:
            self._ended = True
            self._follow(self._bring_outside(code))
        else:
            self._exited_outside(base, code)

    async def _bring_outside(self, code: int) -> None:
        if text := await self._around.after():
            self._tell(text)
        self._guarded(lambda: self._exited_outside(self._base, code))()

    def _exited_outside(self, base: Base | None, code: int) -> None:
        if self._results and base is not None and not self._over:
            self._ended = True
            done = self._guarded(lambda: self._finish(run_wire.ended(code)))
            bring = self._guarded(lambda: self._follow(self._bring_results(base, code)))
            settling.look(base, "there", quiet=done, busy=bring)
        else:
            self._finish(run_wire.ended(code))

    async def _bring_results(self, base: Base, code: int) -> None:
        if missing := await settling.bring_results(base):
            self._tell(missing)
        self._finish(run_wire.ended(code))

    def _follow(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.ensure_future(work)

    def _guarded(self, step: Callable[[], None]) -> Callable[[], None]:
        """Make a callback of it: nothing once the run is over, and what fails is told to the client."""

        def call() -> None:
            try:
                if not self._over:
                    step()
            except Exception as error:
                self._fail(error)

        return call

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, AfieldError):
            self._log(f"a run failed: {error!r}")
            error = AfieldError(f"the run failed: {error!r}", hint="see `afield daemon log`")
        self._refuse(error)

    def _on_closed(self, error: AfieldError | None) -> None:
        if self._over or self._ended or (self._task is not None and not self._task.done()):
            return
        if isinstance(error, NoSuchView) and self._begin_again():
            pass
        elif isinstance(error, SessionGone | LinkLost):
            # The agent may still have the process: the client comes again as it would after a killed daemon.
            self._stop()
            self.channel.close()
        else:
            self._refuse(self._explain(error))

    def _explain(self, error: AfieldError | None) -> AfieldError:
        if isinstance(error, NoSuchProcess) and self._resumed:
            error = beginning.gone(self.project_place())
        if isinstance(error, CommandNotFound) and self._base is not None:
            self._base.environment.forget()  # it may have been removed there
        return error or ProtocolError("the process ended without a status")

    def _begin_again(self) -> bool:
        """Start the program anew: the view it was to run in is not there any more. False: it was tried already."""
        again, self._stream = self._again, None
        if again is None or self._base is None:
            return False
        self._base.way.forget()
        self._input.again()
        again()
        return True

    # ---- the end

    def _client_gone(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._stop()
        if self._outright and self._stream is not None and not self._stream.closed:
            self._stream.send_message_nowait({"signal": 9}, urgent=True)
        self._hang_up()

    def _refuse(self, error: AfieldError) -> None:
        self._finish(run_wire.refusal(error))
        self._hang_up()

    def _hang_up(self) -> None:
        # A stream that is closed, not lost, ends the process there (protocol.md, section 5).
        if self._stream is not None and not self._stream.closed:
            self._stream.close()

    def _finish(self, frame: bytes) -> None:
        if not self._over:
            self.channel.write(frame)
            self.channel.close_when_sent()
            self._stop()

    def _stop(self) -> None:
        if not self._over:
            self._over = True
            self._around.close()
            self._on_end(self)
