"""One face's connection: lines in, checked requests run as tasks, events and answers out.

Rules: a request that fails answers with its error and hurts nobody else; what a slow face does not read is dropped when
it is news and waited for when it is data; closing the connection cancels what was asked.
What must not go in: what any verb does.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from afield.control import LINE_LIMIT, PIECE, schema
from afield.errors import AfieldError, Cancelled, InternalError, ProtocolError, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from afield.daemon.channel import Channel

    Handler = Callable[["Ask", dict[str, Any]], Awaitable[Any]]

# A face has one request under way and its answers; a dashboard some dozens.
_REQUESTS = 64
# News for a face that is this far behind is left out; the next snapshot has it all.
_NEWS_LIMIT = 1 << 20


# Rows of one line: with paths of 4 KB still below the limit of a line (16 MiB).
_ROWS = 1000
# A bar that moves more often is not seen to.
_PROGRESS_SECONDS = 0.1


class Ask:
    """What a verb sees of the request it works for."""

    def __init__(self, conversation: Conversation, number: int) -> None:
        self._conversation = conversation
        self._number = number
        self._told = 0.0

    @property
    def gone(self) -> bool:
        """Whether the face closed its connection."""
        return self._conversation.channel.closed

    def event(self, event: dict[str, Any], *, droppable: bool = False) -> None:
        """Send one event; news may be dropped when the face is far behind."""
        if droppable and self._conversation.channel.buffered > _NEWS_LIMIT:
            return
        self._conversation.send({"id": self._number, "event": event})

    def note(self, text: str) -> None:
        """Send a line for people."""
        self.event({"note": text}, droppable=True)

    def progress(self, **values: Any) -> None:
        """Send how far something is: what, done, total, bytes, bytes_total; at most ten times a second."""
        now = time.monotonic()
        if now - self._told < _PROGRESS_SECONDS:
            return
        self._told = now
        self.event({"progress": values}, droppable=True)

    async def prompt(self, text: str, secret: bool) -> str:
        """Ask a question of the login. Raises Cancelled when it is refused or the face is gone."""
        answer = await self._conversation.question(self._number, "prompt", {"text": text, "secret": secret})
        if not isinstance(answer.get("text"), str):
            raise Cancelled(f"the question was not answered: {(text.strip().splitlines() or ['?'])[-1]}")
        return str(answer["text"])

    async def confirm(self, text: str, *, default: bool = False) -> bool:
        """Ask for yes or no. Raises Cancelled when the face is gone."""
        answer = await self._conversation.question(self._number, "confirm", {"text": text, "default": default})
        return answer.get("yes") is True

    async def data(self, data: bytes) -> None:
        """Send a piece of a file, as fast as the face reads."""
        for start in range(0, len(data), PIECE):
            piece = base64.b64encode(data[start : start + PIECE]).decode("ascii")
            self.event({"data": piece})
            await self._conversation.channel.wait_writable()
        if self.gone:
            raise Cancelled("the face is gone")

    async def want(self, offset: int, size: int) -> bytes:
        """Ask for the next piece of what is being put; empty at the end."""
        return await self._conversation.pull(self._number, offset, size)


class Conversation:
    """Owns one channel. ``handlers`` maps verbs to coroutines; ``on_version`` is told of a face of another version."""

    def __init__(
        self,
        channel: Channel,
        handlers: dict[str, Handler],
        *,
        on_use: Callable[[], None],
        on_version: Callable[[], None],
        on_bug: Callable[[str, BaseException], None],
    ) -> None:
        self.channel = channel
        self._handlers = handlers
        self._on_use = on_use
        self._on_version = on_version
        self._on_bug = on_bug
        self._buffer = bytearray()
        self._searched = 0
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._questions: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._pull: asyncio.Future[bytes] | None = None
        channel.on_data = self.feed
        channel.on_end = self.end

    def feed(self, data: bytes) -> None:
        """Take bytes of the face; a line that is no request is answered and ends the connection."""
        self._buffer += data
        while (end := self._buffer.find(b"\n", self._searched)) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._searched = 0
            if not self._line(line):
                return
        self._searched = len(self._buffer)
        if self._searched > LINE_LIMIT:
            self._refuse(ProtocolError(f"a line holds at most {LINE_LIMIT} bytes"))

    def end(self) -> None:
        """Cancel what is under way: the face is gone."""
        for task in self._tasks.values():
            task.cancel()
        for question in self._questions.values():
            question.cancel()
        if self._pull is not None:
            self._pull.cancel()

    def send(self, value: dict[str, Any]) -> None:
        """Write one line."""
        self.channel.write(json.dumps(value, separators=(",", ":"), default=plain).encode("ascii") + b"\n")

    async def question(self, number: int, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Send a question and wait for its answer. Raises Cancelled when the face is gone."""
        if self.channel.closed:
            raise Cancelled("the face is gone")
        token = secrets.token_hex(8)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._questions[token] = future
        try:
            self.send({"id": number, "event": {kind: {"token": token, **fields}}})
            return await future
        except asyncio.CancelledError:
            if self.channel.closed:
                raise Cancelled("the face is gone") from None
            raise
        finally:
            self._questions.pop(token, None)

    async def pull(self, number: int, offset: int, size: int) -> bytes:
        """Ask the face for a piece and wait for it."""
        if self._pull is not None:
            raise UsageError("one upload at a time on one connection", hint="open another connection")
        self._pull = asyncio.get_running_loop().create_future()
        try:
            self.send({"id": number, "event": {"want": {"offset": offset, "size": size}}})
            return await self._pull
        finally:
            self._pull = None

    def _line(self, line: bytes) -> bool:
        self._on_use()
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return self._refuse(ProtocolError(f"expected a line of JSON, got {line[:40]!r}"))
        try:
            request = schema.check_request(value)
        except UsageError as error:
            if error.code == "version":
                self._on_version()
            number = error.details.pop("id", None)
            if number is None:
                return self._refuse(error)
            self._fail(number, error)
            return True
        self._begin(request)
        return True

    def _begin(self, request: schema.Request) -> None:
        if request.verb == "answer":
            self._answer(request)
        elif request.verb == "data":
            self._data(request)
        elif request.id in self._tasks:
            self._fail(request.id, UsageError(f"the request {request.id} is still under way"))
        elif len(self._tasks) >= _REQUESTS:
            self._fail(request.id, UsageError(f"at most {_REQUESTS} requests at a time on one connection"))
        else:
            self._tasks[request.id] = asyncio.ensure_future(self._run(request))

    def _answer(self, request: schema.Request) -> None:
        question = self._questions.get(request.args["token"])
        if question is not None and not question.done():
            question.set_result(request.args)
        self.send({"id": request.id, "ok": {"taken": question is not None}})

    def _data(self, request: schema.Request) -> None:
        try:
            data = base64.b64decode(request.args["data"], validate=True)
        except (binascii.Error, ValueError):
            self._fail(request.id, UsageError("data: expected base64"))
            return
        taken = self._pull is not None and not self._pull.done()
        if self._pull is not None and taken:
            self._pull.set_result(b"" if request.args["end"] and not data else data)
        self.send({"id": request.id, "ok": {"taken": taken}})

    async def _run(self, request: schema.Request) -> None:
        ask = Ask(self, request.id)
        try:
            result = await self._handlers[request.verb](ask, request.args)
            await self._answer_all(request.id, result)
        except AfieldError as error:
            self._fail(request.id, error)
        except asyncio.CancelledError:
            if not self.channel.closed:
                self._fail(request.id, Cancelled("the daemon is ending"))
        except Exception as error:
            self._on_bug(request.verb, error)
            self._fail(
                request.id,
                InternalError(f"{request.verb} failed in the daemon: {error!r:.200}", hint="see `afield daemon log`"),
            )
        finally:
            self._on_use()
            self._tasks.pop(request.id, None)

    async def _answer_all(self, number: int, result: Any) -> None:
        """Send a result; a long list of it goes ahead in `rows` events, so that no line is too long."""
        key, rows = _long_list(result)
        if rows is None:
            self.send({"id": number, "ok": result})
            return
        for start in range(0, len(rows), _ROWS):
            self.send({"id": number, "event": {"rows": rows[start : start + _ROWS]}})
            await self.channel.wait_writable()
        self.send({"id": number, "ok": {**result, key: []} if key is not None else [], "rows": key})

    def _fail(self, number: int | None, error: AfieldError) -> None:
        self.send({"id": number, "error": {**error.to_value(), "exit": error.exit}})

    def _refuse(self, error: AfieldError) -> bool:
        self._fail(None, error)
        self.channel.close_when_sent()
        self.end()
        return False


def _long_list(result: Any) -> tuple[str | None, list[Any] | None]:
    """Give (its key, or None when it is the result itself; the list) when a result has a long one."""
    if isinstance(result, list):
        return None, result if len(result) > _ROWS else None
    if isinstance(result, dict):
        for key, value in result.items():
            if isinstance(value, list) and len(value) > _ROWS:
                return key, value
    return None, None


def plain(value: Any) -> Any:
    """Give bytes as text with surrogate escapes (PEP 383), the one kind of value that JSON lacks here."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "surrogateescape")
    raise TypeError(f"{type(value).__name__} is no value for a face")
