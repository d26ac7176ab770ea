"""For authors of transports: ``check_transport`` holds a transport to its contract, ``MemoryTransport`` is one without a process.

Both are what afield's own tests use. They need no test framework: a broken rule is an AssertionError that names it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from afield.errors import AfieldError, NoSuchProcess, from_value
from afield.link.spawn import Process
from afield.transports.base import Dial, Transport
from afield.wire import events
from afield.wire.hello import NEW, SIZE, gone, parse_hello
from afield.wire.link import AGENT, Link

# What a starter may hold, in the form in which the real one comes: one line without quotes that shells differ about.
_ECHO = (
    'import sys,os;os.write(1,b"%READY"+bytes([10]));'
    '[os.write(1,data) for data in iter(lambda:os.read(0,65536),bytes())];os.write(2,b"%OVER")'
)
_EVERY_BYTE = bytes(range(256)) * 512


def check_transport(transport: Transport, *, dial: bool = True) -> None:
    """Check every promise of a transport; with ``dial`` also open one stream to the place and see that it is byte-clean.

    Raises AssertionError that names the broken promise.
    """
    assert transport.scheme, "a transport names its scheme"
    assert transport.describe().isprintable(), "describe() is one line for people"
    assert 0 < transport.patience < 600, "patience is a time in seconds that a person would wait"
    command = transport.command(None, _ECHO)
    _check_dial(command)
    _check_dial(transport.command("/usr/bin/python3", _ECHO, fresh=True))
    for status in (None, -9, 0, 1, 126, 127, 255):
        for text in ("", "\x1b[31mred\x00", "x" * 10000):
            error = transport.explain(status, text, text)
            assert isinstance(error, AfieldError), f"explain({status}, …) gives an AfieldError, got {error!r}"
            assert error.hint, f"explain({status}, …) says what to do"
            assert "\x1b" not in error.text, "explain() takes control sequences out of what the place said"
    if dial:
        _check_stream(command)


def _check_dial(dial: Dial) -> None:
    assert dial.argv, "a dial has a command"
    assert all(isinstance(word, str) and "\0" not in word for word in dial.argv), (
        "the words of a command are text without NUL"
    )
    assert sum(map(len, dial.argv)) < 100_000, "a command fits into the system's limit"


def _check_stream(dial: Dial) -> None:
    child = subprocess.run(
        dial.argv, env=dial.env, cwd=dial.cwd, input=_EVERY_BYTE, capture_output=True, timeout=60, check=False
    )
    noise, ready, back = child.stdout.partition(b"%READY\n")
    assert ready, (
        f"the stream reaches a Python there; status {child.returncode}, it said {child.stderr[-500:]!r} {noise[-500:]!r}"
    )
    assert back == _EVERY_BYTE, "the stream carries every byte unchanged, both ways, and the end of stdin arrives"
    assert b"%OVER" in child.stderr, "stderr there arrives here, apart from the stream"


class MemoryPlace:
    """An agent of a few verbs in a thread: ``echo`` sends back, ``take`` swallows, ``give`` sends ``size`` zeros, ``call`` answers.

    It can be told to misbehave: ``noise`` comes before the marker, ``error`` replaces it, ``forget()`` loses the sessions.
    """

    def __init__(self) -> None:
        self.noise = b""
        self.error: dict[str, Any] | None = None
        self.need = 0
        self.bundles = 0
        self.dials = 0
        self.refuse = 0
        self.calls: dict[str, Callable[[Any], Any]] = {
            "ping": lambda _: {"now": time.time()},
            "add": lambda args: args["a"] + args["b"],
        }
        self._links: dict[bytes, tuple[Link, dict[int, dict[str, Any]], threading.Lock]] = {}
        self._live: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    # -- what a test does to it

    def cut(self) -> None:
        """Break every open stream, as the death of ssh does."""
        with self._lock:
            live, self._live = self._live, []
        for end in live:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        """Lose every session, as the death of the agent does."""
        with self._lock:
            self._links.clear()

    def close(self) -> None:
        """End all threads."""
        self.cut()
        for thread in self._threads:
            thread.join(5)

    # -- the far end

    def accept(self) -> socket.socket:
        """Begin one stream; gives our end of it."""
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        with self._lock:
            self._live.append(theirs)
        thread = threading.Thread(target=self._serve, args=(theirs,), daemon=True)
        self._threads.append(thread)
        thread.start()
        return ours

    def _serve(self, end: socket.socket) -> None:
        with end, contextlib.suppress(OSError, EOFError):
            self.dials += 1
            if self.refuse:
                self.refuse -= 1
                return
            end.sendall(self.noise)
            if self.error is not None:
                end.sendall(b"\nAFIELD0 " + json.dumps(self.error).encode() + b"\n")
                return
            reply = {
                "need": self.need,
                "py": [3, 11, 2],
                "exe": "/usr/bin/python3",
                "magic": "00",
                "dir": "",
                "why": "",
            }
            end.sendall(b"\nAFIELD1 " + json.dumps(reply).encode() + b"\n")
            if self.need:
                from afield.deploy.bundle import build

                _exactly(end, len(build().data))
                self.bundles += 1
            hello = parse_hello(_exactly(end, SIZE))
            self._run(end, hello)

    def _run(self, end: socket.socket, hello: Any) -> None:
        with self._lock:
            known = self._links.get(hello.session)
            if known is None and hello.flags == NEW:
                known = (Link(AGENT, hello.session, hello.secret, now=time.monotonic()), {}, threading.Lock())
                self._links[hello.session] = known
        if known is None:
            end.sendall(gone(hello))
            return
        link, streams, alone = known
        with alone:  # the thread of the transport before may still be at its end
            link.transport_opened(time.monotonic(), peer_hello=hello)
            try:
                self._carry(end, link, streams)
            finally:
                link.receive_end(time.monotonic())

    def _carry(self, end: socket.socket, link: Link, streams: dict[int, dict[str, Any]]) -> None:
        while True:
            self._act(link, streams)
            while chunks := link.data_to_send():
                end.sendall(b"".join(bytes(part) for part in chunks))
                self._act(link, streams)
            self._wait(end, link)

    def _wait(self, end: socket.socket, link: Link) -> None:
        now = time.monotonic()
        deadline = link.next_deadline()
        pause = 1.0 if deadline is None else min(1.0, max(0.0, deadline - now))
        ready, _, _ = select.select([end], [], [], pause)
        now = time.monotonic()
        if ready:
            data = end.recv(1 << 18)
            if not data:
                raise EOFError
            link.receive_data(data, now)
        elif deadline is not None and now >= deadline:
            link.deadline_passed(now)

    def _act(self, link: Link, streams: dict[int, dict[str, Any]]) -> None:
        for event in link.events():
            if isinstance(event, events.Opened):
                streams[event.stream] = {
                    "do": event.header["do"],
                    "left": event.header.get("size", 0),
                    "back": bytearray(),
                    "ended": False,
                }
                self._open(link, event, streams)
            elif isinstance(event, events.Data):
                link.consumed(event.stream, len(event.data))
                if streams.get(event.stream, {}).get("do") == "echo":
                    streams[event.stream]["back"] += event.data
            elif isinstance(event, events.Ended) and event.stream in streams:
                streams[event.stream]["ended"] = True
            elif isinstance(event, events.Message) and streams.get(event.stream, {}).get("do") == "echo":
                link.send_message(event.stream, event.value)
            elif isinstance(event, events.Closed):
                streams.pop(event.stream, None)
        for number in list(streams):
            self._feed(link, number, streams)

    def _open(self, link: Link, event: events.Opened, streams: dict[int, dict[str, Any]]) -> None:
        if event.header["do"] == "call":
            work = self.calls.get(event.header["name"])
            if work is None:
                link.close(event.stream, NoSuchProcess(f"no call {event.header['name']!r}", hint="ask for another"))
                streams.pop(event.stream, None)
                return
            value = work(event.header["args"])
            if value is not NotImplemented:
                link.send_message(event.stream, value)
                link.close(event.stream)
                streams.pop(event.stream, None)
        elif event.header["do"] == "fail":
            link.close(event.stream, from_value(event.header["error"]))
            streams.pop(event.stream, None)

    def _feed(self, link: Link, number: int, streams: dict[int, dict[str, Any]]) -> None:
        state = streams[number]
        room = link.sendable(number)
        if state["do"] == "give" and state["left"]:
            count = min(room, state["left"])
            link.send(number, bytes(count))
            state["left"] -= count
            over = not state["left"]
        else:
            count = min(room, len(state["back"]))
            if count:
                link.send(number, bytes(state["back"][:count]))
                del state["back"][:count]
            over = state["ended"] and not state["back"]
        if over:
            link.send_end(number)
            link.close(number)
            streams.pop(number)


def _exactly(end: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = end.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


class MemoryTransport:
    """A transport to a MemoryPlace; give its ``start`` to ``Connection(..., start=…)``: no process is made."""

    scheme = "memory"
    patience = 5.0
    batch = False
    can_search = False
    ends_with_stream = True

    def __init__(self, place: MemoryPlace | None = None) -> None:
        self.place = place or MemoryPlace()
        self.explained: AfieldError | None = None

    def command(self, python: str | None, starter: str, *, fresh: bool = False) -> Dial:  # noqa: ARG002 nothing is started
        """Give a dial that only ``start`` understands."""
        return Dial(["memory", starter])

    def start(self, dial: Dial) -> Process:  # noqa: ARG002 the same signature as spawn
        """Begin a stream in place of a process."""
        end = self.place.accept()
        try:
            return Process(0, os.dup(end.fileno()), os.dup(end.fileno()), -1)
        finally:
            end.close()

    def explain(self, status: int | None, stderr: str, noise: str) -> AfieldError:
        """Give ``explained`` when a test has set it."""
        from afield.transports.explain import explain_start

        return self.explained or explain_start(self.describe(), status, stderr, noise)

    def describe(self) -> str:
        """See Transport.describe."""
        return "memory://"
