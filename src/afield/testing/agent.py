"""A real agent over pipes, driven by one blocking thread: for tests of the agent and of what speaks to it.

``AgentDriver`` starts it through the starter in an AFIELD_HOME of its own, keeps one ``wire.Link``, and waits for events with a
deadline. ``cut`` closes the pipes as a broken network does; ``dial`` comes back. Nothing here belongs to the product.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Self

from afield.deploy.bundle import Bundle, build
from afield.deploy.reply import Reply, ReplyReader
from afield.deploy.starter import render
from afield.errors import AfieldError
from afield.testing.agent_stream import Stream, give
from afield.wire import events
from afield.wire.link import CLIENT, Link

PATIENCE = 20.0  # seconds: a loaded machine with a slow Python; a test that waits longer has failed


class AgentDriver:
    """Starts, cuts and resumes. ``home`` is the AFIELD_HOME folder; use as a context manager."""

    def __init__(
        self,
        home: str,
        *,
        python: str = sys.executable,
        bundle: Bundle | None = None,
        env: dict[str, str] | None = None,
        prefix: list[str] | None = None,
    ) -> None:
        self.home = home
        self.python = python
        self.bundle = bundle or build()
        self.prefix = prefix or []
        self.env = {**os.environ, "AFIELD_HOME": home, "AFIELD_IDLE": "0.3", **(env or {})}
        self.session, self.secret = os.urandom(16), os.urandom(16)
        self.link = self._new_link()
        self.streams: dict[int, Stream] = {}
        self.events: list[Any] = []
        self.reply: Reply | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.processes: list[subprocess.Popen[bytes]] = []
        self.refused: str | None = None
        self._out: list[Any] = []
        self._connected = False
        self._early = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.finish()

    def _new_link(self) -> Link:
        return Link(CLIENT, self.session, self.secret, now=time.monotonic())

    # dialing

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the starter, nothing more."""
        process = subprocess.Popen(
            [*self.prefix, self.python, "-I", "-S", "-c", render(self.bundle)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.env,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def bootstrap(self, process: subprocess.Popen[bytes]) -> Reply:
        """Read the marker and send the bundle when asked; raises the starter's error."""
        assert process.stdin is not None
        assert process.stdout is not None
        reader = ReplyReader()
        reply = None
        end = time.monotonic() + PATIENCE
        while reply is None:
            if not select.select([process.stdout], [], [], max(end - time.monotonic(), 0))[0]:
                raise TimeoutError(f"no answer of the starter; noise: {reader.noise!r}")
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                raise reader.end()
            reply = reader.feed(data)
        if reply.need:
            process.stdin.write(self.bundle.data)
            process.stdin.flush()
        self._early = reader.rest
        return reply

    def dial(self) -> Reply:
        """Start or join the agent and exchange hellos, with the session that is there."""
        self.process = self.spawn()
        self.reply = self.bootstrap(self.process)
        self.begin()
        self.wait(lambda: self._connected or self.refused is not None)
        return self.reply

    def begin(self) -> None:
        """Open the transport on the process's pipes."""
        assert self.process is not None
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        self._connected = False
        self._out = []
        self.link.transport_opened(time.monotonic())
        if self._early:
            self.link.receive_data(self._early, time.monotonic())
            self._early = b""
        self._dispatch()

    def cut(self) -> None:
        """Lose the transport: both pipes are closed."""
        process, self.process = self.process, None
        if process is not None:
            _close(process)
            self._out = []
            self.link.receive_end(time.monotonic())
            self._dispatch()
            self._connected = False

    def forget(self) -> None:
        """Lose all state, as a killed daemon does: the pipes close, a new session begins with the next dial."""
        self.cut()
        self.session, self.secret = os.urandom(16), os.urandom(16)
        self.link = self._new_link()
        self.streams = {}

    # waiting

    def wait(self, condition: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Work until the condition holds; raises TimeoutError after patience seconds, EOFError when the agent hung up."""
        end = time.monotonic() + patience
        self.pump(0)
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"not within {patience} s; streams: {[s.messages for s in self.streams.values()]}")
            self.pump(min(left, 1.0))

    def pump(self, timeout: float) -> None:
        """Write what is to be written and read once, waiting up to timeout seconds."""
        self._flush()
        if self.process is None:
            if timeout:
                raise EOFError("no transport")
            return
        assert self.process.stdout is not None
        assert self.process.stdin is not None
        deadline = self.link.next_deadline()
        now = time.monotonic()
        if deadline is not None:
            timeout = max(0.0, min(timeout, deadline - now))
        writing = [self.process.stdin] if self._out else []
        ready, writable, _ = select.select([self.process.stdout], writing, [], timeout)
        if ready:
            data = os.read(self.process.stdout.fileno(), 262144)
            if not data:
                self.cut()
                raise EOFError(self.stderr() or "the agent hung up")
            self.link.receive_data(data, time.monotonic())
        now = time.monotonic()
        if deadline is not None and deadline <= now:
            self.link.deadline_passed(now)
        self._dispatch()
        self._flush()
        del writable

    def _flush(self) -> None:
        if self.process is None:
            return
        assert self.process.stdin is not None
        try:
            while True:
                if not self._out:
                    self._out = list(self.link.data_to_send())
                    self._dispatch()
                    if not self._out:
                        return
                written = os.writev(self.process.stdin.fileno(), self._out[:64])
                while written:
                    if written >= len(self._out[0]):
                        written -= len(self._out.pop(0))
                    else:
                        self._out[0] = memoryview(self._out[0])[written:]
                        written = 0
        except BlockingIOError:
            return
        except BrokenPipeError:
            return  # reading tells

    def _dispatch(self) -> None:
        for event in self.link.events():
            self.events.append(event) if not isinstance(event, events.Data) else None
            if isinstance(event, events.Established):
                self._connected = True
                continue
            if isinstance(event, events.Refused):
                self.refused = str(event.reason)
                continue
            if isinstance(event, events.Opened):
                self.streams[event.stream] = Stream(self, event.stream, event.header)
                continue
            stream = self.streams.get(getattr(event, "stream", -1))
            if stream is not None:
                give(stream, event)

    # streams

    def open(self, **header: Any) -> Stream:
        """Open a stream."""
        stream = Stream(self, self.link.open(header), header)
        self.streams[stream.id] = stream
        self.pump(0)
        return stream

    def call(self, name: str, /, **args: Any) -> Any:
        """Make a call and give its answer; raises its error."""
        stream = self.open(do="call", name=name, args=args).wait_closed()
        return stream.messages[0]

    def process_stream(self, *argv: str | bytes, **fields: Any) -> Stream:
        """Start a program; the arguments' words become bytes."""
        header = {
            "do": "process",
            "argv": [os.fsencode(item) for item in argv],
            "cwd": None,
            "env": {},
            "unset": [],
            "tty": None,
            "login": False,
            "id": os.urandom(16),
            "label": "",
            "mkdir": False,
            **fields,
        }
        return self.open(**header)

    def run(self, *argv: str | bytes, stdin: bytes = b"", **fields: Any) -> Stream:
        """Run a program to its end; raises its error."""
        stream = self.process_stream(*argv, **fields)
        if stdin:
            stream.send(stdin)
        if not stream.closed:
            stream.end()
        return stream.wait_closed()

    # the end

    def agent_pid(self) -> int:
        """The process id of the agent."""
        return int(self.call("footprint")["pid"])

    def stderr(self) -> str:
        """What the starters and the agent wrote on stderr so far."""
        text = b""
        for process in self.processes:
            if process.stderr is not None and not process.stderr.closed:
                os.set_blocking(process.stderr.fileno(), False)
                text += process.stderr.read() or b""
        return text.decode("utf-8", "replace")

    def leave(self) -> None:
        """Say goodbye and hang up."""
        if self.process is not None and self._connected:
            self.link.bye()
            with contextlib.suppress(EOFError, AfieldError):
                self.wait(lambda: self.process is None or not (self._out or self.link.statistics()["queued"]))
        self.cut()

    def finish(self) -> None:
        """Leave; wait until every starter, agent and bridge has gone (the idle time is short), else kill them and fail.

        The first of several drivers at one home started the agent, so the others leave before it finishes.
        """
        self.leave()
        for process in self.processes:
            _close(process)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError("the agent did not leave by itself") from None
            finally:
                if process.stderr is not None:
                    process.stderr.close()

    def kill(self) -> None:
        """Kill what is still there, for tests of agents that are not to leave by themselves."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        try:
            pipe.close()
        except BrokenPipeError:
            pass
