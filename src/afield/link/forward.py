"""Ports here that lead to ports there, and the other way round; TCP and unix sockets.

Rules: listens on loopback unless an address is written out; Nagle's delay is off; each connection is one stream with a pump
each way; a half-closed connection stays half open. ``parse_forward`` is pure.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from afield.errors import AfieldError, LinkError, PortError, UsageError
from afield.link.pump import FromFd, ToFd
from afield.link.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.link.connection import Connection

WINDOW = 1 << 20  # bytes in flight per connection: a page load fits, and 100 idle ones cost nothing
_HINT = "write 8000, 8001:8000, 8001:host:8000, address:8001:host:8000, or paths of unix sockets in place of ports"


@dataclass(frozen=True)
class End:
    """One end of a forward: a unix socket's path, or a host and a port (0: any free one)."""

    host: str = "localhost"
    port: int = 0
    unix: str | None = None

    def __str__(self) -> str:
        if self.unix is not None:
            return self.unix
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def request(self, do: str) -> dict[str, Any]:
        """Give the header of the stream that connects to or listens at this end there."""
        if self.unix is not None:
            return {"do": do, "unix": os.fsencode(self.unix)}
        return {"do": do, "host": self.host, "port": self.port}


@dataclass(frozen=True)
class Forward:
    """From where connections are taken to where they lead."""

    source: End
    target: End


def parse_forward(text: str) -> Forward:
    """Read ``8000`` (the same port at both ends), ``8001:8000``, ``8001:host:8000`` or ``address:8001:host:8000``.

    A path with a slash stands for a unix socket in place of a port. The first end is where connections are taken, on loopback
    unless an address is given. Raises UsageError.
    """
    fields = _split(text)
    if not 1 <= len(fields) <= 4 or not all(fields):
        raise UsageError(f"expected a forward, got {text!r}", hint=_HINT)
    if len(fields) == 1 and "/" not in fields[0]:
        port = _port(fields[0], text, least=1)
        return Forward(End("127.0.0.1", port), End(port=port))
    ends: list[End] = []
    while fields:
        ends.append(_end(fields, text, first=not ends))
    if len(ends) != 2:
        raise UsageError(f"expected two ends, got {text!r}", hint=_HINT)
    source, target = ends
    if target.unix is None and target.port == 0:
        raise UsageError(f"the far port of {text!r} is 0", hint="only the listening end may be 0 (any free port)")
    return Forward(source, target)


def _split(text: str) -> list[str]:
    fields, current, depth = [], "", 0
    for char in text:
        depth += (char == "[") - (char == "]")
        if char == ":" and not depth:
            fields.append(current)
            current = ""
        else:
            current += char
    return [*fields, current]


def _end(fields: list[str], text: str, *, first: bool) -> End:
    word = fields.pop(0)
    if "/" in word:
        return End(unix=word)
    if word.isdigit():
        return End("127.0.0.1" if first else "localhost", _port(word, text, least=0))
    if not fields:
        raise UsageError(f"{word!r} in {text!r} has no port", hint=_HINT)
    host = word[1:-1] if word.startswith("[") and word.endswith("]") else word
    every = "0.0.0.0"  # noqa: S104 the star is the user's own word for it
    return End(every if host == "*" else host, _port(fields.pop(0), text, least=0))


def _port(word: str, text: str, *, least: int) -> int:
    if not (word.isascii() and word.isdigit() and least <= int(word) < 65536):
        raise UsageError(f"expected a port from {least} to 65535, got {word!r} in {text!r}", hint=_HINT)
    return int(word)


class Relay:
    """One connection: a socket here and a stream, a pump each way; ``on_over`` is called when both are done."""

    def __init__(self, sock: socket.socket, stream: Stream, on_over: Callable[[Relay], None]) -> None:
        self._sock, self._stream, self._on_over = sock, stream, on_over
        self._over = False
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.on_closed = self._closed
        self._to = ToFd(sock.fileno(), stream, on_done=self._to_done)
        self._from = FromFd(sock.fileno(), stream, on_done=self._from_done)
        if stream.closed:
            self.close()

    def _to_done(self, error: OSError | None) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
        self._look(error)

    def _from_done(self, error: OSError | None) -> None:
        self._look(error)

    def _look(self, error: OSError | None) -> None:
        if not hasattr(self, "_from"):
            return
        if error is not None or (self._to.done and self._from.done):
            self.close()

    def _closed(self, error: AfieldError | None) -> None:
        if error is not None:
            # The other end was reset: so is this one, instead of a clean end that would look like all the data.
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close()
        elif self._to.done:
            self.close()
        else:
            self._from.stop()
            self._to.end()

    def close(self) -> None:
        """End both ways."""
        if self._over:
            return
        self._over = True
        for pump in (getattr(self, "_from", None), self._to):
            if pump is not None:
                pump.stop()
        self._stream.on_closed = None
        self._stream.close()
        self._sock.close()
        self._on_over(self)


class _Relays:
    def __init__(self) -> None:
        self._relays: set[Relay] = set()

    def _add(self, sock: socket.socket, stream: Stream) -> None:
        relay = Relay(sock, stream, self._relays.discard)
        if not relay._over:
            self._relays.add(relay)

    def _close_all(self) -> None:
        for relay in list(self._relays):
            relay.close()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._relays)


class LocalForward(_Relays):
    """Listens here and connects there. ``await start()`` raises PortError when the port is taken.

    A connection that is taken before ``held_until`` (time of the loop, seconds) goes on then.
    """

    def __init__(self, connection: Connection, forward: Forward) -> None:
        super().__init__()
        self.held_until = 0.0
        self.forward = forward
        self._connection = connection
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> End:
        """Begin; gives the end that really listens (its port when 0 was asked for)."""
        source = self.forward.source
        self._listener = await asyncio.to_thread(listen_at, source)
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)
        if source.unix is None:
            source = End(source.host, int(self._listener.getsockname()[1]))
        self.forward = Forward(source, self.forward.target)
        return source

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return  # the caller went away again, or we are out of descriptors: the next one may pass
        task = asyncio.get_running_loop().create_task(self._connect(sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, sock: socket.socket) -> None:
        stream: Stream | None = None
        try:
            await asyncio.sleep(max(0.0, self.held_until - asyncio.get_running_loop().time()))
            stream = self._connection.open_stream(self.forward.target.request("connect"), window=WINDOW)
            if await stream.message() is None:
                raise LinkError("the place ended the connection before it began")
        except (AfieldError, asyncio.CancelledError):
            if stream is not None:
                stream.close()
            sock.close()
            return
        self._add(sock, stream)

    async def stop(self) -> None:
        """Stop listening and end all connections."""
        if self._listener is None:
            return
        asyncio.get_running_loop().remove_reader(self._listener.fileno())
        self._listener.close()
        self._listener = None
        if self.forward.source.unix:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.forward.source.unix)
        for task in list(self._tasks):
            task.cancel()
        self._close_all()


class RemoteForward(_Relays):
    """Listens there and connects here; listens again by itself when the session there is a new one."""

    def __init__(self, connection: Connection, forward: Forward) -> None:
        super().__init__()
        self.forward = forward
        self._connection = connection
        self._stream: Stream | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> End:
        """Begin; gives the end that listens there; raises the place's error when the port is taken."""
        end = await self._listen()
        self._connection.on_new_session.append(self._again)
        return end

    async def _listen(self) -> End:
        source = self.forward.source
        stream = self._connection.open_stream(source.request("listen"))
        reply = await stream.message()
        if not isinstance(reply, dict) or "listening" not in reply:
            stream.close()
            raise PortError(f"the place does not listen at {source}: {reply!r}", hint="choose another port")
        stream.session.acceptors[stream.id] = self._accepted
        self._stream = stream
        if source.unix is None and isinstance(reply["listening"], int):
            source = End(source.host, reply["listening"])
        self.forward = Forward(source, self.forward.target)
        return source

    def _again(self) -> None:
        self._run(self._listen_again())

    async def _listen_again(self) -> None:
        with contextlib.suppress(AfieldError):
            await self._listen()

    def _accepted(self, stream: Stream) -> None:
        self._run(self._connect(stream))

    def _run(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, stream: Stream) -> None:
        try:
            sock = await asyncio.to_thread(connect_to, self.forward.target)
        except OSError as error:
            stream.close(
                PortError(
                    f"nothing answers at {self.forward.target}: {error.strerror}", hint="is the program here running?"
                )
            )
            return
        self._add(sock, stream)

    async def stop(self) -> None:
        """Stop listening there and end all connections."""
        with contextlib.suppress(ValueError):
            self._connection.on_new_session.remove(self._again)
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        for task in list(self._tasks):
            task.cancel()
        self._close_all()


def listen_at(end: End) -> socket.socket:
    """Listen here; raises PortError with who to ask when that cannot be."""
    try:
        if end.unix is not None:
            return _listen_unix(end.unix)
        family, kind, proto, _, address = socket.getaddrinfo(
            end.host, end.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, proto)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(128)
        except OSError:
            listener.close()
            raise
        return listener
    except OSError as error:
        hint = (
            "choose another one, or 0 for any free one"
            if end.unix is None
            else "remove the old socket or choose another path"
        )
        raise PortError(f"cannot listen at {end}: {error.strerror}", hint=hint) from error


def _listen_unix(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def connect_to(end: End, seconds: float = 10.0) -> socket.socket:
    """Connect here, waiting up to ``seconds``; raises OSError."""
    if end.unix is None:
        return socket.create_connection((end.host, end.port), timeout=seconds)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(seconds)
        sock.connect(end.unix)
    except OSError:
        sock.close()
        raise
    return sock
