"""One dial: start the command, find the starter's word behind the login noise, send the agent when it is missing, say hello.

Rules: every way a dial can end is an error with a hint; the process and its descriptors are gone when it fails. Whether
and when to dial again is not decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from afield import errors
from afield.deploy import bundle as bundles
from afield.deploy.reply import Reply, ReplyReader, is_wrong_hash
from afield.errors import AfieldError
from afield.link import early, spawn
from afield.link.askpass import Askpass
from afield.link.carrier import READ_SIZE, Carrier
from afield.link.session import Session
from afield.transports.base import Dial, Transport
from afield.transports.explain import printable

Spawn = Callable[[Dial], spawn.Process]
HELLO_WAIT = 20.0  # s from the starter's word to the agent's hello: it may compile on a slow, loaded node


class Opened:
    """A carrier whose hello was accepted; ``resumed`` tells whether the session of before goes on, ``gone`` that it is unknown."""

    def __init__(self, carrier: Carrier, reply: Reply, answer: bool | str) -> None:
        self.carrier = carrier
        self.reply = reply
        self.gone = isinstance(answer, str)
        self.resumed = answer is True


class _Heard:
    """What a dial hears first: the starter's ``reply``, the end of the stream, and what comes ``later``, before the session takes over."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.reply: asyncio.Future[Reply] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.later = bytearray()
        self._reader = ReplyReader()

    @property
    def noise(self) -> str:
        """What the login printed."""
        return self._reader.noise

    def feed(self, data: memoryview) -> None:
        """Take in what came."""
        if self.reply.done():
            self.later.extend(data)
            return
        try:
            reply = self._reader.feed(bytes(data))
        except AfieldError as error:
            self.reply.set_exception(error)
            return
        if reply is not None:
            self.later.extend(self._reader.rest)
            self.reply.set_result(reply)

    def end(self) -> None:
        """Hear that nothing more comes."""
        if not self.ended.done():
            self.ended.set_result(None)


class Dialer:
    """Dials one transport, any number of times."""

    def __init__(self, transport: Transport, *, askpass: Askpass | None = None, start: Spawn = spawn.spawn) -> None:
        self.transport = transport
        self.askpass = askpass
        self._start = start
        self._buffer = bytearray(READ_SIZE)
        self.exe: str | None = None  # what `python3` turned out to be: saves a shim's start at every later dial
        self._search = False
        self._foreign = False  # the dial that is being made was begun by somebody else, as one of before

    def _command(self, *, fresh: bool) -> Dial:
        env = None if self.askpass is None else self.askpass.env()
        return early.command(self.transport, "!" if self._search else self.exe, fresh=fresh, env=env)

    async def open(
        self,
        session: Session,
        answer: asyncio.Future[bool | str],
        *,
        adopted: spawn.Process | None = None,
        fresh: bool = False,
    ) -> Opened:
        """Dial and attach the session; ``answer`` is set by its callbacks (resumed or not; a text: refused).

        Raises the error that explains the failure.
        """
        if self.askpass is not None:
            self.askpass.refused = False
        heard = _Heard()
        self._foreign = adopted is not None
        process = adopted or self._start(self._command(fresh=fresh))
        carrier = Carrier(process, buffer=self._buffer, received=heard.feed, writable=lambda: None, ended=heard.end)
        try:
            try:
                reply = await self._first(heard.reply, heard.ended, self.transport.patience)
            except AfieldError as error:
                raise self._refused(error) from None
            if reply is None:
                raise await self._explain(carrier, heard.noise, timed_out=not heard.ended.done())
            if reply.need:
                carrier.write([bundles.build().data])
            self.exe = reply.executable or self.exe
            self._hand_over(carrier, session, answer, bytes(heard.later))
            said = await self._first(answer, heard.ended, HELLO_WAIT)
            if said is None:
                raise await self._explain_agent(carrier, heard.noise, timed_out=not heard.ended.done())
            carrier.killable = self.transport.ends_with_stream
            return Opened(carrier, reply, said)
        except BaseException as error:
            session.detach()
            self.exe = None if isinstance(error, errors.PlaceError) else self.exe
            await asyncio.shield(carrier.end())
            raise

    async def _first(self, wanted: asyncio.Future[Any], ended: asyncio.Future[None], seconds: float) -> Any:
        """Wait for ``wanted``; None when the stream ended or the time is over. Open questions to the user do not count."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            done, _ = await asyncio.wait(
                {wanted, ended}, timeout=min(1.0, max(0.0, deadline - loop.time())), return_when=asyncio.FIRST_COMPLETED
            )
            if wanted in done:
                return wanted.result()
            if done or loop.time() >= deadline:
                return None
            if self.askpass is not None and self.askpass.pending:
                deadline = max(deadline, loop.time() + seconds)

    def _hand_over(self, carrier: Carrier, session: Session, answer: asyncio.Future[bool | str], first: bytes) -> None:
        """Attach the session, but look at the first bytes: the starter may have refused the bundle in place of a hello."""
        session.attach(carrier)
        start = bytearray()

        def look(data: memoryview) -> None:
            start.extend(data)
            if len(start) < 3:
                return  # the refusal and a hello differ in the third byte
            if not is_wrong_hash(bytes(start[:16])):
                carrier.received = session.receive
                session.receive(memoryview(start))
            elif not answer.done():
                text = f"the agent arrived damaged at {self.transport.describe()}"
                answer.set_exception(
                    errors.AgentBroken(text, hint="something in the login there changes bytes: look at its rc files")
                )

        carrier.received = look
        if first:
            look(memoryview(first))

    def _refused(self, error: AfieldError) -> Exception:
        """Name the place in what the starter reported; another Python may be new enough."""
        if isinstance(error, errors.PythonTooOld) and self.transport.can_search and not self._search:
            self._search = not self._foreign
            return TryAgain()
        hint = error.hint or self.transport.explain(1, error.text, "").hint
        return type(error)(f"{self.transport.describe()}: {error.text}", hint=hint, **error.details)

    async def _explain(self, carrier: Carrier, noise: str, *, timed_out: bool) -> Exception:
        status = None if timed_out else await carrier.wait_exit()
        error = self.transport.explain(status, carrier.stderr, noise)
        if self.askpass is not None and self.askpass.refused:
            return errors.Cancelled(
                f"the login at {self.transport.describe()} was given up: the question was not answered",
                hint="run it again and answer",
            )
        # A `python3` that is there but cannot run (a shim without its interpreter): search on behind it, once.
        searched = self._search or "afield: no usable python" in carrier.stderr
        if isinstance(error, (errors.NoPython, errors.PythonTooOld)) and self.transport.can_search and not searched:
            self._search = not self._foreign  # the Python of before may be gone: look at all there are
            return TryAgain()
        return error

    async def _explain_agent(self, carrier: Carrier, noise: str, *, timed_out: bool) -> AfieldError:
        """Explain an end after the starter's word: the way broke, or the agent did."""
        status = None if timed_out else await carrier.wait_exit()
        said = printable(carrier.stderr).strip()
        place = self.transport.describe()
        explained = self.transport.explain(status, carrier.stderr, noise)
        if isinstance(explained, (errors.PlaceFull, errors.PlaceReadOnly)) or (
            status == 255 and isinstance(explained, errors.LinkError)
        ):
            return explained
        lines = said.splitlines()
        last = f": {lines[-1][:300]}" if lines else ""
        if timed_out:
            return errors.LinkTimeout(
                f"the agent at {place} started but did not say hello within {HELLO_WAIT:.0f} s{last}",
                hint="is that machine overloaded?",
            )
        return errors.AgentBroken(
            f"the agent at {place} ended before it said hello (status {status}){last}",
            hint="`afield clean` removes its cached copy; if it happens again, report it with the output of `afield log`",
            stderr=said[-2000:],
        )


class TryAgain(Exception):  # noqa: N818 no error: it never leaves the link package
    """The first Python was of no use: dial once more, searching for another."""
