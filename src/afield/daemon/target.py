"""One project on one machine: its settings of the moment, its link, its syncs; what runs and verbs ask it.

What must not go in: how targets are found, started and ended (projects).
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from afield.config.find import FILE
from afield.config.load import SYNC, Machine
from afield.daemon import folders, mapping, syncs
from afield.daemon.chosen import Chosen
from afield.daemon.way import Way
from afield.errors import LinkError
from afield.link import state as link_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.daemon.places import Place


class Target:
    """One project on one machine. ``session`` is the sync of its own folder while it is up."""

    def __init__(self, folder: str, machine: Machine, place: Place) -> None:
        self.folder = folder
        self.machine = machine
        # What the settings say now, when that can hold only after a `down`.
        self.later: Machine | None = None
        self.place = place
        self.session: Any = None
        # The sessions of further folders, by name.
        self.more: dict[str, Any] = {}
        self.git: Any = None
        self.wanted = False
        self.problem: str | None = None
        self.starting: asyncio.Task[dict[str, Any]] | None = None
        self.joined = 0
        self._mapping: mapping.Target | None = None
        self.environment = Chosen(self)
        self.way = Way(self)

    @property
    def key(self) -> str:
        """What names it in the state: folder and machine."""
        return f"{self.folder}#{self.machine.name}"

    @property
    def live(self) -> bool:
        """Whether its first sync is over and the live one runs."""
        return self.session is not None and self.starting is None

    @property
    def at_rest(self) -> bool:
        """Whether it is down, and nothing brings it up."""
        return self.session is None and self.starting is None

    def use(self, machine: Machine) -> None:
        """Take new settings; those of the place and the sync only when it is at rest, else ``later`` keeps them."""
        if self.later is not None:
            self.later = self.problem = None
        if machine == self.machine:
            return
        fixed = ("place", "folder", "agent_python", "ssh", "folders", *SYNC)
        changed = [name for name in fixed if getattr(machine, name) != getattr(self.machine, name)]
        self.problem = None
        if changed and not self.at_rest:
            self.problem = (
                f"{', '.join(changed).replace('_', '-')} changed in {FILE}: `afield down` and `afield up` make it so"
            )
            self.later = machine
            return
        self.machine = machine
        self.forget_mapping()

    def forget_mapping(self) -> None:
        """Make the path map anew: the place or the environment changed."""
        self._mapping = None
        self.environment.forget()
        self.way.forget()

    # ---- what a run needs (base.Base)

    def run_state(self, *, barrier: bool) -> str:
        """See base.Base."""
        if not self.place.usable or not (self.live or not barrier):
            return "not-ready"
        return "barrier" if barrier else "ready"

    def open_stream(self, header: dict[str, Any], window: int | None = None) -> Any:
        """See base.Base."""
        return self.place.connection.open_stream(header, window=window)

    def mapping_target(self) -> mapping.Target:
        """See base.Base."""
        known = self._mapping
        home = self.place.home_nowait()
        if known is None:
            there = os.fsencode(self.machine.folder)
            python = os.fsencode(self.machine.python) if self.machine.python else None
            if python is not None and b"/" in python and not python.startswith((b"/", b"~")):
                python = there.rstrip(b"/") + b"/" + python
            active = self.environment.active
            known = mapping.Target(
                (os.fsencode(self.folder),),
                there,
                active.python or python,
                self.machine.env,
                self.machine.forward_env,
                active,
                tuple((os.fsencode(each.here), os.fsencode(each.there)) for each in self.machine.folders),
            )
            if not self.environment.pending:
                self._mapping = known
        if home is not None and known.at_a_home:
            known = self._mapping = known.at_home(home)
        return known

    async def home(self) -> bytes:
        """See base.Base."""
        return await self.place.home()

    def look(self, side: str, answer: Callable[[bool], None]) -> bool:
        """See base.Base."""
        if self.session is None or self.more:
            # Several folders: each is asked on the long way.
            return False
        return bool(self.session.look(side, answer))

    async def barrier(self, side: str | None = None) -> None:
        """See base.Base."""
        if self.session is None:
            return
        for pause in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0):
            # A link that is being taken up again is waited for, and so is a files worker that was lost with it.
            await self.place.ready()
            try:
                await folders.flush(self, syncs.BEFORE_RUN_SECONDS, side=side)
                return
            except LinkError:
                for _, session in folders.sessions(self):
                    session.resume()
                await asyncio.sleep(pause)
        await folders.flush(self, syncs.BEFORE_RUN_SECONDS, side=side)

    async def there(self) -> bytes:
        """Give the absolute folder there."""
        folder = os.fsencode(self.machine.folder)
        if folder.startswith(b"~/") or folder == b"~":
            return await self.place.home() + folder[1:]
        return folder

    def follow_link(self) -> None:
        """Let the sessions rest while the link is away."""
        session, connection = self.session, self.place.connection
        every = [each for _, each in folders.sessions(self)]

        def changed(new: link_state.State) -> None:
            if self.session is not session:
                connection.on_state.remove(changed)
            elif isinstance(new, link_state.Connected):
                for each in every:
                    syncs.link_changed(each, connected=True, why="")
            elif not isinstance(new, link_state.Dialing):
                why = (
                    new.reason if isinstance(new, link_state.Waiting) else getattr(new, "error", "the link was closed")
                )
                for each in every:
                    syncs.link_changed(each, connected=False, why=str(why))

        connection.on_state.append(changed)

    def wake(self) -> None:
        """See base.Base."""
        self.place.wake()

    def describe(self) -> dict[str, Any]:
        """Give the state's entry."""
        entry: dict[str, Any] = {
            "project": self.folder,
            "machine": self.machine.name,
            "place": self.machine.place,
            "place_key": self.place.key,
            "folder": self.machine.folder,
            "env": self.environment.describe(),
            "up": self.live,
            "starting": self.starting is not None,
            "wanted": self.wanted,
            **self.way.describe(),
            "problems": [text for text in (self.problem, self.git and self.git.problem) if text],
            "sync": syncs.describe(self.session) if self.session is not None else None,
            "folders": {
                each.name: {"here": each.here, "there": each.there, **syncs.describe(self.more[each.name])}
                for each in self.machine.folders
                if each.name in self.more
            },
        }
        return entry
