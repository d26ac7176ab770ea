"""Opens both roots of a session and makes sure that they are the ones that were synced before and belong together.

Rules: a root that was synced before and is gone, or has lost its identity, is not made anew until a person agrees
(RootReplaced); one of another project is taken only when asked for in words (WrongIdentity); whichever is new makes the next
sync a careful first one, in which nothing is removed. No cycles in here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from afield.errors import AfieldError, RootMissing, RootReplaced
from afield.files.faults import show
from afield.sync import steps
from afield.sync.clocks import offset
from afield.sync.foresight import Foresight
from afield.sync.together import together

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.sync.picture import Picture
    from afield.sync.settings import Settings
    from afield.sync.side import Opened, Side

HINT = "is its disk mounted, was it moved? `afield sync --yes` takes it as it is now: compared anew, nothing is removed"


def replaced(error: AfieldError, side: str) -> RootReplaced:
    """Give the error with the side in it and what a person can do."""
    if isinstance(error, RootReplaced) and error.hint == HINT:
        return error
    return RootReplaced(
        f"the folder that was synced before is not there now ({side}): {error.text}", hint=HINT, side=side
    )


class Opening:
    """``agree`` and ``take_over`` are a person's answers; each holds for one opening."""

    def __init__(self, settings: Settings, picture: Picture, note: Callable[[str], None]) -> None:
        self.settings = settings
        self.picture = picture
        self.take_over = False
        # Only to look: nothing is made, and a folder that was never synced and is not there counts as an empty one.
        self.look_only = False
        self._note = note
        self._identity: bytes | None = None
        self._stored: bytes | None = None
        self._asked_store = False
        self._agreed: set[str] = set()
        self._clock: asyncio.Future[None] | None = None
        self._reading: asyncio.Future[None] | None = None

    def agree(self, side: str) -> None:
        """Take that side's folder as it is now."""
        self._agreed.add(side)

    async def both(self) -> None:
        """Open both sides; while the way there is being made, this side is opened and scanned already."""
        here, there = self.picture.here, self.picture.there
        self._ask_store()
        for side in (here, there):
            # Between a refused start and the next one nobody watched.
            side.needs_scan = side.needs_scan or not side.watch_mode
        connecting = None if there.connected else asyncio.ensure_future(there.connect())
        self._reading = asyncio.ensure_future(self._read_ahead())
        try:
            fresh = not here.alive
            if fresh:
                await self.open_side(here)
        except BaseException:
            await asyncio.gather(self._reading, *([connecting] if connecting else []), return_exceptions=True)
            raise
        await together(*([self._look(here)] if fresh and not here.is_absent else []), self._open_there(connecting))
        await self._reading
        if not self.picture.store.is_open and all(side.opened and side.opened.identity for side in (here, there)):
            self._load()

    async def _read_ahead(self) -> None:
        """Read what was agreed on, in a thread: the dial and the scan here go on meanwhile."""
        store = self.picture.store
        if not store.is_open and self._stored is not None:
            self.picture.take_rows(await asyncio.to_thread(store.read_ahead))

    async def _open_there(self, connecting: asyncio.Future[None] | None) -> None:
        there = self.picture.there
        if connecting is not None:
            await connecting
        if not there.alive:
            await self.open_side(there)
            await self._read()
            if self.picture.rows:
                await self._look(there)

    async def _look(self, side: Side) -> None:
        if self.picture.store.exists:
            side.begin_watch()
        picture = self.picture
        await side.scan(everything=picture.compare_all, known_after=self._read())
        if picture.compare_all and side is picture.here and not picture.there.alive:
            picture.foresight = Foresight(picture)
            picture.foresight.begin()

    async def _read(self) -> None:
        """Wait until what was agreed on is in the picture."""
        if self._reading is not None:
            await asyncio.shield(self._reading)

    async def mend(self) -> None:
        """Open the sides that were lost: the base is still what was agreed on."""
        for side in (self.picture.here, self.picture.there):
            if not side.alive:
                await self.open_side(side)

    async def open_side(self, side: Side) -> None:
        """Open one root. Raises RootReplaced, WrongIdentity and whatever else keeps it from being opened."""
        known = (self._stored is not None or bool(self.picture.rows)) and side.name not in self._agreed
        wanted = self._identity or (self._stored if side.name in self._agreed else None)
        steps.at("open")
        try:
            opened = await side.open(
                {
                    "create": (side.name == "there" or self.settings.create_here) and not (known or self.look_only),
                    "known": known,
                    "look": self.look_only,
                    "take_over": self.take_over and side.name == "there",
                    "ignore": list(self.settings.ignore),
                    "history": self.settings.history,
                    "identity": wanted,
                }
            )
            if known and side.name == "here":
                self._check_same(opened)
        except (RootMissing, RootReplaced) as error:
            await side.close()
            if self._may_lack(side, error) and not known:
                side.is_absent, side.needs_scan = True, False
                return
            if not known:
                raise
            raise replaced(error, side.name) from error
        if side.name == "there":
            # Nobody waits for this: a round trip at a moment when the worker has nothing else to do yet.
            self._clock = asyncio.ensure_future(self._compare_clocks(side))
        steps.at("opened")
        self._agreed.discard(side.name)
        self._identity = opened.identity or self._identity
        if opened.created or opened.identity_new:
            await self._read()
        if (opened.created or opened.identity_new) and self.picture.rows:
            self._start_over(f"the folder {side.name} is new: compared as at a first sync, nothing is deleted")

    def _may_lack(self, side: Side, error: AfieldError) -> bool:
        makes = side.name == "there" or self.settings.create_here
        return self.look_only and makes and isinstance(error, RootMissing)

    async def _compare_clocks(self, side: Side) -> None:
        asked = time.time()
        with contextlib.suppress(AfieldError):
            told = await side.asked().request("clock")
            self.picture.ahead = offset(asked, told["now_ns"] / 1e9, time.time()).sure

    def _check_same(self, opened: Opened) -> None:
        wanted = self._identity or self._stored
        if wanted is not None and opened.identity != wanted:
            raise RootReplaced(f"the folder {show(opened.root)} is another one now: its identity differs")

    def _ask_store(self) -> None:
        """Learn once whether these two folders were synced before, and which identity they had."""
        if not self._asked_store:
            found = self.picture.store.identity_of(self._asked())
            self._stored = found.encode("ascii", "replace") if found else None
            self._asked_store = True

    def _asked(self) -> str:
        return " ".join((show(self.settings.here), self.settings.place, show(self.settings.there)))

    def _load(self) -> None:
        here, there = self.picture.here.opened, self.picture.there.opened
        assert here is not None
        assert there is not None
        assert self._identity is not None
        pair: dict[str, Any] = {
            "identity": self._identity.decode("ascii", "backslashreplace"),
            "here": here.root.decode("utf-8", "backslashreplace"),
            "there": f"{self.settings.place} {there.root.decode('utf-8', 'backslashreplace')}",
            "asked": self._asked(),
        }
        steps.at("load")
        loaded = self.picture.store.load(pair)
        if loaded.rows is not self.picture.rows:
            self.picture.forget_rows()
            self.picture.store.forget_all()
        if loaded.trouble:
            self._note(f"what was agreed on could not be used ({loaded.trouble}): compared as at a first sync")
        if self.picture.rows and (here.created or here.identity_new or there.created or there.identity_new):
            self._start_over("one of the folders is new: compared as at a first sync, nothing is deleted")

    def _start_over(self, why: str) -> None:
        if self.picture.store.is_open:
            self.picture.store.forget_all()
        self.picture.forget_rows()
        self._note(why)
