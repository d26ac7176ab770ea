"""Endpoint: the files service at one end of a sync, asked from asyncio.

It turns calls into request records on a byte channel and answers into results: ``done`` values, parts handed to a
callback as they come, events to another. Rules: it knows the shape of records and nothing of what verbs mean; when the
channel ends, every request that is open gets the reason, and the endpoint is over (make a new one).
The words are those of docs/development/files-service.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from afield.errors import AfieldError, Cancelled, LinkTimeout, ProtocolError, TooManyFiles, from_value
from afield.sync.bounds import Gathered
from afield.wire.records import RecordReader, encode_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.sync.channel import ByteChannel

log = logging.getLogger(__name__)


class Request:
    """One request under way. ``done`` is a future of the final value; parts went to the callback."""

    __slots__ = ("_endpoint", "done", "number", "on_part", "verb")

    def __init__(self, endpoint: Endpoint, number: int, verb: str, on_part: Callable[[Any], None] | None) -> None:
        self._endpoint = endpoint
        self.number = number
        self.verb = verb
        self.on_part = on_part
        self.done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def send_data(self, data: bytes) -> None:
        """Send the next piece of a bundle or of a file; nothing is sent once the request is over."""
        if not self.done.done():
            self._endpoint.send([self.number, "data", data])

    def send_end(self) -> None:
        """Say that all data was sent."""
        if not self.done.done():
            self._endpoint.send([self.number, "end", {}])

    def cancel(self) -> None:
        """Give up: the worker stops as soon as it can; later answers are dropped."""
        self._endpoint.forget(self, Cancelled(f"{self.verb} was given up"))

    async def wait(self) -> Any:
        """Wait for the final value; when the waiter is cancelled, so is the request. Raises what the worker said."""
        try:
            return await self.done
        except asyncio.CancelledError:
            self.cancel()
            raise


class Endpoint:
    """The client of one files worker. ``name`` ("here" or "there") is for messages.

    ``on_event(name, value)`` gets the watch's events, ``on_lost(error)`` comes once when the worker or the way to it
    is gone. Both are called from the loop and must not wait.
    """

    def __init__(
        self,
        name: str,
        channel: ByteChannel,
        *,
        on_event: Callable[[str, Any], None] | None = None,
        on_lost: Callable[[AfieldError], None] | None = None,
    ) -> None:
        self.name = name
        self.channel = channel
        self.on_event = on_event
        self.on_lost = on_lost
        self.lost: AfieldError | None = None
        self._requests: dict[int, Request] = {}
        self._next = 1
        self._reader = RecordReader()
        channel.start(self._data, self._end)

    @property
    def alive(self) -> bool:
        """Whether requests can still be answered."""
        return self.lost is None

    def send(self, record: list[Any]) -> None:
        """Queue one record."""
        if self.lost is None:
            self.channel.write(encode_record(record))

    def start(
        self, verb: str, args: dict[str, Any] | None = None, *, on_part: Callable[[Any], None] | None = None
    ) -> Request:
        """Send a request without waiting for it. Raises the reason when the endpoint is over."""
        if self.lost is not None:
            raise self._copy_of_reason()
        request = Request(self, self._next, verb, on_part)
        self._next += 1
        self._requests[request.number] = request
        self.send([request.number, verb, args or {}])
        return request

    async def request(
        self,
        verb: str,
        args: dict[str, Any] | None = None,
        *,
        on_part: Callable[[Any], None] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - it becomes an error of ours with the verb in it
    ) -> Any:
        """Ask and wait for the ``done`` value. ``timeout`` in seconds.

        Raises the error of the worker by its class in afield.errors, LinkLost when it died, LinkTimeout.
        """
        request = self.start(verb, args, on_part=on_part)
        if timeout is None:
            return await request.wait()
        try:
            async with asyncio.timeout(timeout):
                return await request.wait()
        except TimeoutError:
            raise LinkTimeout(f"{self.name}: {verb} took more than {timeout:g} s") from None

    async def collect(self, verb: str, args: dict[str, Any] | None = None) -> tuple[list[Any], Any]:
        """Ask and give (all parts, the done value); only for answers that fit into memory."""
        gathered = Gathered(self.name, verb)
        done = await self.request(verb, args, on_part=gathered.add)
        return gathered.parts, done

    def forget(self, request: Request, error: AfieldError) -> None:
        """End a request from this side and tell the worker."""
        if self._requests.pop(request.number, None) is not None:
            self.send([request.number, "cancel", {}])
            _settle(request.done, error=error)

    async def park(self, seconds: float) -> None:
        """Have the worker rest, so that the next client finds it as it is; ``close`` has to follow. Never raises for the worker."""
        if self._requests or not self.alive:
            return
        with contextlib.suppress(AfieldError):
            done = await self.request("park", timeout=seconds)
            if isinstance(done, dict) and done.get("parked") is True:
                self.channel.park()

    async def close(self) -> None:
        """End the worker; open requests fail with Cancelled, ``on_lost`` is not called."""
        self.on_lost = None
        self._end(Cancelled(f"{self.name}: the sync was closed"))
        await self.channel.close()

    def _data(self, data: bytes) -> None:
        try:
            for record in self._reader.feed(data):
                self._record(record)
        except (ProtocolError, TooManyFiles) as error:
            self._end(error)
        except Exception as error:
            # Whatever the peer sent that our code did not expect: this worker is not to be trusted any further.
            log.exception("%s: an answer could not be taken", self.name)
            self._end(ProtocolError(f"{self.name}: an answer of the files worker is not usable: {error!r:.200}"))

    def _record(self, record: Any) -> None:
        if not (isinstance(record, list) and len(record) == 3 and isinstance(record[0], int)):
            raise ProtocolError(f"{self.name}: expected a record [id, kind, value], got {record!r:.120}")
        number, kind, value = record
        if number == 0:
            if self.on_event is not None:
                self.on_event(str(kind), value)
            return
        request = self._requests.get(number)
        if request is None:
            if not 0 < number < self._next:
                raise ProtocolError(f"{self.name}: an answer to request {number}, which was never asked")
            return
        if kind == "part":
            if request.on_part is not None:
                request.on_part(value)
        elif kind == "done":
            del self._requests[number]
            _settle(request.done, value)
        elif kind == "error":
            del self._requests[number]
            _settle(request.done, error=self._named(value))
        else:
            raise ProtocolError(f"{self.name}: expected part, done or error, got {kind!r:.40}")

    def _named(self, value: Any) -> AfieldError:
        error = from_value(value)
        if isinstance(value.get("path"), bytes):
            error.details.setdefault("path", value["path"])
        error.details.setdefault("side", self.name)
        return error

    def _copy_of_reason(self) -> AfieldError:
        assert self.lost is not None
        return type(self.lost)(self.lost.text, hint=self.lost.hint, **self.lost.details)

    def _end(self, reason: AfieldError) -> None:
        if self.lost is not None:
            return
        self.lost = reason
        waiting, self._requests = self._requests, {}
        for request in waiting.values():
            _settle(request.done, error=self._copy_of_reason())
        self.channel.pause()
        if self.on_lost is not None:
            self.on_lost(reason)


def _settle(future: asyncio.Future[Any], value: Any = None, *, error: AfieldError | None = None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
        # Whoever gave up on this request will not look; that is no news for the loop's log.
        future.exception()
