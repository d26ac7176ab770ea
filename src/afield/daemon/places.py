"""Places: one link per place and set of login settings, shared by all projects that use it.

Rules: a question of the login goes to a face whose request waits for this very dial, to the one that waits longest first;
when nobody waits, the question is refused and the state says that a login is needed. What must not go in: projects.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from afield.control.askfolder import ask_folder
from afield.daemon.login import place_key, transport_options
from afield.errors import AfieldError, Cancelled, NoSuchFolder, PermissionDenied
from afield.link import state as link_state
from afield.link.askpass import Askpass
from afield.link.connection import Connection
from afield.plugins import transport_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.config.load import Machine
    from afield.daemon.conversation import Ask
    from afield.daemon.state import State

# s: a login takes a tenth of one to two; who waits longer wants to know for what.
TELL_AFTER = 3.0
# s: who started this daemon for a dial, or waits for it as a run, comes with a face within milliseconds of the question.
FACE_WAIT = 5.0
# s from the link to the question for the home folder: the agent answers one thing after the other, and a first run goes first.
HOME_AFTER = 0.1

_WORDS = {
    link_state.Idle: "idle",
    link_state.Dialing: "dialing",
    link_state.Connected: "connected",
    link_state.Waiting: "waiting",
    link_state.Failed: "failed",
}


class Place:
    """One link and what is known of its far end."""

    def __init__(
        self,
        machine: Machine,
        state: State,
        *,
        log: Callable[[str], None],
        adopted: tuple[int, int, int, int] | None = None,
        askpass: Askpass | None = None,
    ) -> None:
        self.key = place_key(machine)
        self.text = machine.place
        self.last_use = time.monotonic()
        self.connect_ms: float | None = None
        self.footprint: dict[str, Any] = {}
        transport = transport_for(machine.place, transport_options(machine))
        self._asking = askpass or Askpass(ask_folder())
        self.connection = Connection(transport, ask=self._ask, askpass=self._asking, adopted=adopted)
        self._state = state
        self._log = log
        self._home: asyncio.Task[bytes] | None = None
        self._dial: asyncio.Task[None] | None = None
        self._waiting: list[Ask] = []
        self._faced = asyncio.Event()  # set when a face waits that can be asked
        self._hinted = adopted is not None
        self._runs: set[asyncio.Future[None]] = set()  # of runs that wait for the dial; they cannot be asked
        self._login: str | None = None
        self._lost: AfieldError | None = None
        self._logged: tuple[str, str | None] | None = None
        self.connection.on_state.append(self._changed)
        self.connection.on_new_session.append(self._new_agent)
        self._changed(self.connection.state)

    @property
    def connected(self) -> bool:
        """Whether frames pass now."""
        return isinstance(self.connection.state, link_state.Connected)

    @property
    def usable(self) -> bool:
        """Whether streams can be opened: connected, or being taken up again with its session."""
        return self.connection.can_open

    async def ready(self, ask: Ask | None = None) -> None:
        """Wait until the link is up, dialing when it is not; questions go to ``ask``. Raises what explains the failure."""
        self.last_use = time.monotonic()
        if self.connected:
            return
        teller = None
        if ask is not None:
            self._waiting.append(ask)
            self._faced.set()
            teller = asyncio.get_running_loop().call_later(TELL_AFTER, self._tell, ask)
        try:
            if self._dial is not None and not self._dial.done():
                try:
                    await asyncio.shield(self._dial)
                    return
                except AfieldError:
                    # It was begun without this face: a question may have been refused before anybody could answer.
                    if ask is None:
                        raise
            if self._dial is None or self._dial.done():
                self._dial = asyncio.ensure_future(self._open())
            await asyncio.shield(self._dial)
        finally:
            if ask is not None:
                self._waiting.remove(ask)
                if not self._waiting:
                    self._faced.clear()
            if teller is not None:
                teller.cancel()

    async def dialed(self, note: Callable[[str], None]) -> None:
        """Wait for the end of a dial that is under way, or for a question of it: only a face can answer that.

        A dial that takes long is told to ``note``.
        """
        if self._dial is None or self._dial.done():
            return
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[None] = loop.create_future()
        teller = loop.call_later(TELL_AFTER, note, f"dialing {self.text} …")
        self._runs.add(asked)
        try:
            await asyncio.wait((self._dial, asked), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._runs.discard(asked)
            teller.cancel()

    def _tell(self, ask: Ask) -> None:
        """Say what is waited for, unless a question of the login says it already."""
        if not self._asking.pending and not self.connected:
            ask.note(f"dialing {self.text} …")

    def wake(self) -> None:
        """Dial in the background, unless a person is needed."""
        if not self.connected and self._login is None and (self._dial is None or self._dial.done()):
            self._dial = asyncio.ensure_future(self._open())
            self._dial.add_done_callback(_look)

    async def home(self) -> bytes:
        """Give the absolute home folder there."""
        if self._home is None or (self._home.done() and (self._home.cancelled() or self._home.exception())):
            self._home = asyncio.ensure_future(self._ask_home())
        return await asyncio.shield(self._home)

    def home_nowait(self) -> bytes | None:
        """Give the home folder when it is known already."""
        task = self._home
        if task is None or not task.done() or task.cancelled() or task.exception():
            return None
        return task.result()

    async def close(self, *, quit_agent: bool = False) -> None:
        """End the link for good."""
        if self._dial is not None:
            self._dial.cancel()
        if self._home is not None:
            self._home.cancel()
        await self.connection.close(quit_agent=quit_agent)
        self._state.drop("places", self.key)

    def describe(self) -> dict[str, Any]:
        """Give the state's entry, with what changes all the time (latency) as it is now."""
        return {**self._entry(self.connection.state), **self._live()}

    # ---- the dial

    async def _open(self) -> None:
        begin = time.monotonic()
        self._login = None
        try:
            await self.connection.open()
        except AfieldError as error:
            self._log(f"{self.text}: {error}")
            if self._login is not None:
                raise PermissionDenied(
                    f"{self.text} asks for a login and nobody is there to answer: {self._login}",
                    hint="run `afield up` in a terminal",
                ) from error
            raise
        finally:
            self._hinted = False
        self.connect_ms = round((time.monotonic() - begin) * 1000, 1)
        asyncio.get_running_loop().call_later(HOME_AFTER, self._learn_home)

    def _learn_home(self) -> None:
        if self.connected:
            self.home_task()

    def home_task(self) -> None:
        """Learn the home folder ahead of the first run that maps paths."""
        if self._home is None:
            self._home = asyncio.ensure_future(self._ask_home())
            self._home.add_done_callback(_look)

    async def _ask_home(self) -> bytes:
        told = await self.connection.call("stat", {"path": b"~"})
        if told is None:
            raise NoSuchFolder(
                f"the home folder at {self.text} does not exist", hint="make it there, or ask who runs the machine"
            )
        return bytes(told["path"]).rstrip(b"/")

    async def _ask(self, prompt: str, secret: bool) -> str:
        if not self._waiting and (self._hinted or self._runs):
            for asked in self._runs:
                if not asked.done():
                    asked.set_result(None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FACE_WAIT):
                    await self._faced.wait()
        for ask in list(self._waiting):
            if not ask.gone:
                return await ask.prompt(prompt, secret)
        self._login = (prompt.strip().splitlines() or ["a question"])[-1]
        self._changed(self.connection.state)
        raise Cancelled(f"{self.text} asks: {self._login}")

    def _new_agent(self) -> None:
        self._home = None
        self.home_task()

    # ---- the state

    def _changed(self, new: link_state.State) -> None:
        entry = self._entry(new)
        news = (entry["state"], entry["why"])
        # A place that is down for a night is dialed ten thousand times: one line says it.
        if news != self._logged and entry["state"] != "dialing":
            self._logged = news
            self._log(f"{self.text}: {entry['state']} {entry['why'] or ''}".rstrip())
        self._state.put("places", self.key, entry)

    def _entry(self, now: link_state.State) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "place": self.text,
            "state": _WORDS[type(now)],
            "why": None,
            "hint": None,
            "next_try": None,
        }
        error = (
            now.reason
            if isinstance(now, link_state.Waiting)
            else now.error
            if isinstance(now, link_state.Failed)
            else None
        )
        if isinstance(now, link_state.Dialing):
            # Why it dials again: what was lost, for as long as it is not back.
            error = self._lost
        else:
            self._lost = error
        if error is not None:
            entry.update(why=str(error), hint=error.hint)
        if isinstance(now, link_state.Waiting):
            loop = asyncio.get_running_loop()
            entry["next_try"] = round(time.time() + now.next_try - loop.time(), 1)
            entry["attempt"] = now.attempt
        if self._login is not None and not isinstance(now, link_state.Connected):
            entry.update(
                state="needs-login", why=f"the login asks: {self._login}", hint="run `afield up` in a terminal"
            )
        return entry

    def _live(self) -> dict[str, Any]:
        told = self.connection.statistics()
        latency = told.get("latency") if self.connected else None
        return {
            "latency_ms": None if latency is None else round(latency * 1000, 2),
            "connect_ms": self.connect_ms,
            "python": told.get("python"),
            "pid": told.get("pid"),
            "streams": self.connection.streams,
            "agent": self.footprint or None,
            "link": told.get("link"),
        }


def _look(task: asyncio.Task[Any]) -> None:
    # Somebody may wait for it or nobody; the failure stands in the state either way.
    if not task.cancelled():
        task.exception()


class Places:
    """All places, by key."""

    def __init__(self, state: State, *, log: Callable[[str], None]) -> None:
        self._state = state
        self._log = log
        self._places: dict[str, Place] = {}

    def get(
        self, machine: Machine, *, adopted: tuple[int, int, int, int] | None = None, askpass: Askpass | None = None
    ) -> Place:
        """Give the place of a machine, made when it is new. Raises ConfigError for a place that cannot be read."""
        key = place_key(machine)
        if key not in self._places:
            self._places[key] = Place(machine, self._state, log=self._log, adopted=adopted, askpass=askpass)
        return self._places[key]

    def all(self) -> list[Place]:
        """Give all places."""
        return list(self._places.values())

    async def drop(self, place: Place, *, quit_agent: bool = False) -> None:
        """Close a place and forget it."""
        self._places.pop(place.key, None)
        await place.close(quit_agent=quit_agent)
