"""The link to one place: dials, notices when it is lost, dials again and goes on where it was.

Rules: one task (``_run``) walks the states of ``state.py``; a cut costs time and nothing else; a place that refuses us for a
lasting reason is not asked again; a session that the agent does not know ends every stream with SessionGone and a new one begins;
whatever ends the walk, foreseen or not, ends it in a state with an error that ``open`` raises and a status page shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import time
from collections.abc import Callable
from typing import Any

from afield import errors
from afield.errors import AfieldError
from afield.link import spawn, state
from afield.link.askpass import Ask, Askpass
from afield.link.carrier import Carrier
from afield.link.dial import Dialer, Opened, Spawn, TryAgain
from afield.link.heart import TICK, Heart
from afield.link.session import Session
from afield.link.stream import Stream
from afield.transports.base import Transport
from afield.wire.retry import Retry

SETTLED = 10.0  # s that a link must hold before the waits between dials start from the shortest again
BYE_WAIT = 1.0  # s for the last bytes and the end of ssh when we close

log = logging.getLogger(__name__)

_clock = getattr(time, "CLOCK_BOOTTIME", None)


def _clock_with_sleep() -> float:
    # CLOCK_BOOTTIME goes on while a Linux laptop sleeps; elsewhere the wall clock does.
    return time.time() if _clock is None else time.clock_gettime(_clock)


class Connection:
    """One link. ``ask(prompt, secret)`` answers ssh's questions; without it ssh is told that nobody can be asked.

    ``adopted`` is a process that was already started with the transport's command (and with ``askpass.env()``, when one is given).
    ``on_state`` callbacks get each new state, ``on_new_session`` ones are called when the agent had lost the session of before.
    Use within a running loop.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        ask: Ask | None = None,
        askpass: Askpass | None = None,
        adopted: tuple[int, int, int, int] | None = None,
        start: Spawn = spawn.spawn,
    ) -> None:
        self.transport = transport
        self.state: state.State = state.Idle()
        self.on_state: list[Callable[[state.State], None]] = []
        self.on_new_session: list[Callable[[], None]] = []
        self.reply: Any = None
        self._ask = ask
        self._askpass = askpass or (Askpass() if ask else None)
        transport.batch = ask is None
        self._dialer = Dialer(transport, askpass=self._askpass, start=start)
        self._adopted = spawn.Process(*adopted) if adopted else None
        self._retry = Retry(0.2, 2.0, 5.0, 0.2)
        self._loop = asyncio.get_running_loop()
        self._session = self._new_session()
        self._carrier: Carrier | None = None
        self._answer: asyncio.Future[bool | str] = self._loop.create_future()
        self._lost: asyncio.Future[AfieldError] = self._loop.create_future()
        self._hurry = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._heart = Heart(now=self._loop.time(), clock=_clock_with_sleep())
        self._beat: asyncio.TimerHandle | None = None
        self._fresh = False

    # -- for everybody

    async def open(self) -> None:
        """Dial now and wait for the outcome; nothing to do when connected. Raises the error that explains a failure."""
        if isinstance(self.state, state.Connected):
            return
        if self._askpass is not None and self._ask is not None:
            await self._askpass.serve(self._ask)
        changed: asyncio.Future[state.State] = self._loop.create_future()

        def look(new: state.State) -> None:
            if not isinstance(new, state.Dialing) and not changed.done():
                changed.set_result(new)

        self.on_state.append(look)
        try:
            if self._runner is None or self._runner.done():
                self._runner = self._loop.create_task(self._run())
            self._hurry.set()
            # The walk itself as well: one that was cancelled has no last word.
            ends: set[asyncio.Future[Any]] = {changed, self._runner}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            outcome = changed.result() if changed.done() else state.Idle()
        finally:
            self.on_state.remove(look)
        if isinstance(outcome, state.Failed):
            raise outcome.error
        if isinstance(outcome, state.Waiting):
            raise outcome.reason
        if isinstance(outcome, state.Idle):
            raise errors.Cancelled("the link was closed while it was dialed")

    def open_stream(self, header: dict[str, Any], *, window: int | None = None) -> Stream:
        """Open a stream; while the link is being taken up again it waits inside. Raises LinkError when there is no link."""
        if isinstance(self.state, state.Failed):
            raise self.state.error
        if isinstance(self.state, state.Idle) or not self._session.was_established:
            raise errors.LinkError(
                f"there is no link to {self.transport.describe()}", hint="open it first: `afield up`"
            )
        return self._session.open(header, window=window)

    async def call(self, name: str, args: dict[str, Any] | None = None, *, timeout: float | None = 30) -> Any:  # noqa: ASYNC109 part of the contract
        """Ask the agent for one value; being cancelled cancels it there. Raises its error, or LinkTimeout after ``timeout`` s."""
        stream = self.open_stream({"do": "call", "name": name, "args": args or {}})
        reply: asyncio.Future[Any] = self._loop.create_future()
        stream.on_message = lambda value: None if reply.done() else reply.set_result(value)
        stream.on_closed = lambda error: (
            None
            if reply.done()
            else reply.set_exception(error or errors.ProtocolError(f"no answer to the call {name!r}"))
        )
        try:
            async with asyncio.timeout(timeout):
                return await reply
        except TimeoutError:
            raise errors.LinkTimeout(
                f"the call {name!r} to {self.transport.describe()} got no answer within {timeout} s",
                hint="is the link up? `afield status`",
            ) from None
        finally:
            stream.on_closed = None
            stream.close()

    async def close(self, *, quit_agent: bool = False) -> None:
        """End the link for good: streams end, the session is forgotten, ssh is gone when this returns."""
        if quit_agent and isinstance(self.state, state.Connected):
            with contextlib.suppress(AfieldError):
                await self.call("quit", timeout=5)
        self._session.close_streams(errors.Cancelled("the link was closed"))
        if self._carrier is not None:
            self._session.say_bye()
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait({self._runner})
            self._runner = None
        if self._adopted is not None:
            spawn.end(self._adopted.pid)
            self._adopted = None
        if self._beat:
            self._beat.cancel()
        try:
            await self._drop_carrier(BYE_WAIT)
            if self._askpass is not None:
                await self._askpass.close()
        finally:
            self._set("close", state.Idle())

    def statistics(self) -> dict[str, Any]:
        """Give what a status page shows: state, latency (s), the agent's Python, the link's counters."""
        reply = self.reply
        return {
            "place": self.transport.describe(),
            "state": type(self.state).__name__.lower(),
            "latency": self._session.latency,
            "python": None if reply is None else {"version": list(reply.version), "exe": reply.executable},
            "pid": None if self._carrier is None else self._carrier.pid,
            "link": self._session.link.statistics(),
        }

    @property
    def can_open(self) -> bool:
        """Whether a stream can be opened now: connected, or dialing again for a session that the agent knew."""
        return isinstance(self.state, state.Connected) or (
            isinstance(self.state, state.Waiting | state.Dialing) and self._session.was_established
        )

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._session.streams)

    @property
    def pid(self) -> int | None:
        """The process that carries the link now."""
        return None if self._carrier is None else self._carrier.pid

    # -- the walk through the states

    def _set(self, event: str, new: state.State) -> None:
        self.state = state.check(self.state, event, new)
        self._tell(new)

    def _tell(self, new: state.State) -> None:
        for callback in list(self.on_state):
            try:
                callback(new)
            except Exception:
                log.exception("a callback for the state of the link to %s failed", self.transport.describe())

    async def _run(self) -> None:
        try:
            await self._walk()
        except Exception as error:
            log.exception("the link to %s failed", self.transport.describe())
            # Not through the table: it may be what was broken.
            self.state = state.Failed(self._unforeseen(error))
            with contextlib.suppress(Exception):
                await self._drop_carrier(0.0)
            self._begin_anew(str(error))
            self._tell(self.state)

    def _unforeseen(self, error: Exception) -> AfieldError:
        if isinstance(error, AfieldError):
            return error
        return errors.InternalError(
            f"the link to {self.transport.describe()} failed: {type(error).__name__}: {error}",
            hint="try again; if it happens again, report it with the output of `afield daemon log`",
        )

    async def _walk(self) -> None:
        first = not self._session.was_established
        attempt = 0
        self._start_beat()
        while True:
            attempt += 1
            self._hurry.clear()
            self._set("dial", state.Dialing(self._loop.time(), attempt))
            error: AfieldError
            try:
                opened = await self._dial()
            except AfieldError as failure:
                error = failure
                if isinstance(error, errors.ProtocolError):
                    self._begin_anew(f"the link to {self.transport.describe()} was given up: {error.text}")
                if state.event_after_failure(error, first=first) == "fail":
                    self._set("fail", state.Failed(error))
                    return
            else:
                first = False
                error = await self._hold(opened)
                attempt = 0
                if isinstance(error, errors.OurFault):
                    self._begin_anew(f"the link to {self.transport.describe()} was given up: {error.text}")
                if isinstance(error, state.PERMANENT):
                    self._set("fail", state.Failed(error))
                    return
            delay = self._retry.next(random.random())  # noqa: S311 spreads dials, guards nothing
            self._set("lost", state.Waiting(error, self._loop.time() + delay, attempt))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._hurry.wait()

    async def _dial(self) -> Opened:
        """Dial until a hello is accepted: again with a new session when the old one is gone, again when the first Python is too old."""
        for _ in range(4):
            self._answer = self._loop.create_future()
            self._lost = self._loop.create_future()
            adopted, self._adopted = self._adopted, None
            try:
                opened = await self._dialer.open(self._session, self._answer, adopted=adopted, fresh=self._fresh)
            except TryAgain:
                continue
            if not opened.gone:
                self._carrier = opened.carrier
                opened.carrier.set_ended(self._carrier_ended)
                self.reply = opened.reply
                return opened
            self._session.detach()
            await opened.carrier.end()
            self._give_up_session()
        raise errors.AgentBroken(
            f"the agent at {self.transport.describe()} refuses every session",
            hint="`afield clean` removes its cached copy",
        )

    async def _hold(self, opened: Opened) -> AfieldError:
        """Be connected until the link is lost; gives the reason."""
        since = self._loop.time()
        self._heart = Heart(now=since, clock=_clock_with_sleep())
        self._set("up", state.Connected(since, opened.resumed))
        error = await self._lost
        self._session.detach()
        self._fresh = isinstance(error, errors.LinkTimeout)
        if self._loop.time() - since >= SETTLED:
            self._retry.reset()
        carrier = self._carrier
        if carrier is not None and not isinstance(error, (errors.LinkTimeout, errors.OurFault)):
            status = await carrier.wait_exit(0.2)
            if carrier.stderr.strip():
                error = self.transport.explain(status, carrier.stderr, "")
                error = error if isinstance(error, errors.LinkError) else self._lost_error()
        await self._drop_carrier(0.0)
        return error

    def _new_session(self) -> Session:
        return Session(
            os.urandom(16),
            os.urandom(16),
            established=self._answered,
            refused=lambda reason: self._answered(reason or "gone"),
            broken=self._broken,
            heard=self._heard,
        )

    def _begin_anew(self, why: str, hint: str = "`afield processes` shows what the agent still keeps") -> None:
        """Leave the session as it is: its streams end here; what runs there can be attached in the next one."""
        old, self._session = self._session, self._new_session()
        old.close_streams(errors.SessionGone(why, hint=hint))

    def _give_up_session(self) -> None:
        place = self.transport.describe()
        why = f"the agent at {place} was ended or restarted: what ran in the session there is over"
        self._begin_anew(why, "start it again; `afield status` shows the place")
        for callback in list(self.on_new_session):
            self._loop.call_soon(self._when_connected, callback)

    def _when_connected(self, callback: Callable[[], None]) -> None:
        if isinstance(self.state, state.Connected):
            callback()
            return

        def look(new: state.State) -> None:
            if not isinstance(new, (state.Dialing, state.Waiting)):
                self.on_state.remove(look)
                if isinstance(new, state.Connected):
                    callback()

        self.on_state.append(look)

    # -- what can happen at any time

    def _answered(self, answer: bool | str) -> None:
        if not self._answer.done():
            self._answer.set_result(answer)

    def _heard(self, now: float) -> None:
        self._heart.heard(now)

    def _lost_error(self) -> AfieldError:
        return errors.LinkLost(f"the link to {self.transport.describe()} was lost", hint="afield dials again by itself")

    def _carrier_ended(self) -> None:
        self._lose(self._lost_error())

    def _broken(self, error: AfieldError) -> None:
        if not self._answer.done():
            self._answer.set_exception(error)
        self._lose(error)

    def _lose(self, error: AfieldError) -> None:
        if not self._lost.done():
            self._lost.set_result(error)

    async def _drop_carrier(self, grace: float) -> None:
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            self._session.detach()
            await carrier.end(grace)

    def _start_beat(self) -> None:
        if self._beat is not None:
            self._beat.cancel()
        self._beat = self._loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        self._beat = self._loop.call_later(TICK, self._tick)
        now = self._loop.time()
        spawn.reap_left()
        verdict = self._heart.tick(now, _clock_with_sleep())
        if self._heart.stepped:
            self._hurry.set()
        if not isinstance(self.state, state.Connected) or self._carrier is None:
            return
        if verdict == "ping":
            self._session.ping()
        elif verdict == "lost":
            self._lose(
                errors.LinkTimeout(
                    f"no sign of life from {self.transport.describe()}", hint="afield dials again by itself"
                )
            )
