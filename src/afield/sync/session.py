"""A sync session: one project here, one folder there, kept equal until it is closed.

``start`` opens both roots, checks that they belong together and does the first sync; from then on events of either side
start cycles. Rules: one cycle at a time (a lock); a side that is lost is opened again with growing waits while the other
side's changes are kept; a plan that looks like an accident waits for ``confirm``; whatever failed is listed, never retried at
full speed. The steps of a cycle are in cycle.py, the loop's waiting in pacing.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from itertools import chain
from typing import TYPE_CHECKING, Any

from afield.errors import (
    AfieldError,
    FilesError,
    GuardRefused,
    InternalError,
    LinkLost,
    LinkTimeout,
    NotUp,
    RootReplaced,
)
from afield.sync import cycle, notice, resolve
from afield.sync import history as histories
from afield.sync.base import BaseStore
from afield.sync.guarding import Guard
from afield.sync.opening import Opening, replaced
from afield.sync.pace import Limit
from afield.sync.pacing import Pacing
from afield.sync.picture import Picture
from afield.sync.settings import Preview, Settings
from afield.sync.side import Side
from afield.sync.status import Status, status
from afield.sync.texts import Keeper
from afield.sync.together import ended, together

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from afield.sync.channel import Maker
    from afield.sync.cycle import Report
    from afield.sync.outcome import Plan
    from afield.sync.transfer import Progress

log = logging.getLogger(__name__)

# A tree that never holds still must not keep a run waiting for ever: after so many cycles in a row ``flush`` is content
# with having carried over what there was when it began.
FLUSH_CYCLES = 8
# Seconds ``flush`` waits by default: longer than any cycle of small files, shorter than a person's patience.
FLUSH_SECONDS = 30.0
# What people should know and the state does not show; the newest are kept.
NOTES = 20


class Session:
    """``here`` and ``there`` make channels to fresh workers. ``on_change`` is called when ``status`` may differ."""

    def __init__(
        self,
        here: Maker,
        there: Maker,
        settings: Settings,
        *,
        on_change: Callable[[], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.settings = settings
        self.on_change = on_change
        self.on_progress = on_progress
        self.state = "closed"
        self.reason: AfieldError | None = None
        self.notes: list[str] = []
        self.cycles = 0
        self.last: tuple[float, float, Report] | None = None
        self._lock = asyncio.Lock()
        self._pacing = Pacing()
        self._allowed: int | None = None
        self._guard = Guard()
        self._suspended: str | None = None
        self._task: asyncio.Task[None] | None = None
        self.picture = Picture(
            Side("here", here, settings.here, wake=self._pacing.wake),
            Side("there", there, settings.there, wake=self._pacing.wake),
            BaseStore(settings.store),
            mode=settings.modes,
            limit=Limit(settings.limit),
        )
        self._opening = Opening(settings, self.picture, self._note)
        self.texts = Keeper(self.picture, settings.store + ".texts")

    # -- life

    async def start(self, *, allow: int | None = None) -> None:
        """Open both roots, do the first sync, go live. ``allow``: bytes that may go without asking.

        When it returns, everything is on both sides; after a first upload the watches are set up while the caller goes on.

        Raises NeedsConfirmation (call again with ``allow``), GuardRefused, RootReplaced (``confirm``, then again), WrongIdentity,
        RootMissing and whatever else keeps a root from being opened; nothing was changed then.
        """
        if self._task is not None:
            return
        self._allowed = allow
        async with self._lock:
            self._set("first")
            try:
                await self.open()
                await self._first()
            except AfieldError as error:
                self._set("waiting", error)
                raise
        self._opening.take_over = False
        self._set("live")
        self._task = asyncio.get_running_loop().create_task(self._run(), name="afield-sync")
        self.texts.start()

    async def close(self) -> None:
        """Stop; both workers end. What was confirmed is on disk."""
        task, self._task = self._task, None
        await ended(task)
        await self.texts.close()
        cycle.drop_foresight(self.picture)
        await together(
            self.picture.here.close(), self.picture.there.close() if self._suspended else self.picture.there.part()
        )
        self.picture.store.close()
        self._set("closed")

    async def _first(self) -> None:
        """Sync what there is. A first upload is watched only afterwards: its own events would slow it down."""
        if self.picture.rows:
            self._watch()
        await self._cycle()

    def _watch(self) -> None:
        """Have the sides that are not watched yet watched by the scan of the next cycle, which finds what happened before."""
        for side in (self.picture.here, self.picture.there):
            if not side.watch_mode:
                side.begin_watch()

    # -- cycles

    async def _run(self) -> None:
        while True:
            await self._pacing.wait(self._next_time())
            if self._suspended is not None:
                continue
            try:
                async with self._lock, self._in_place():
                    await self._mend()
                    if not self.picture.quiet or self.picture.problems.due(self.picture.now()):
                        await self._cycle()
                self._pacing.went_well()
                self._set("live")
            except GuardRefused:
                pass
            except AfieldError as error:
                self._pacing.failed()
                self._set("guard" if isinstance(error, RootReplaced) else "waiting", error)
            except Exception as error:
                log.exception("a sync cycle failed")
                self._pacing.failed()
                self._set("waiting", InternalError(f"the sync failed: {type(error).__name__}: {error}"))

    def _next_time(self) -> float | None:
        """The steady time at which something is due by itself; 0.0 when it is now."""
        if self._suspended is not None:
            return None
        picture = self.picture
        whole = all(side.alive and side.watch_mode for side in (picture.here, picture.there))
        return picture.problems.next_due() if whole and picture.quiet else 0.0

    async def _mend(self) -> None:
        """Open a lost side again: its tree is scanned in the next cycle."""
        await self._opening.mend()
        self._watch()

    @contextlib.asynccontextmanager
    async def _in_place(self) -> AsyncIterator[None]:
        """What a guard holds back is told at once; a side whose folder was moved or replaced is closed, to be opened anew."""
        try:
            yield
        except GuardRefused as error:
            self._pacing.hold()
            self._set("guard", error)
            raise
        except RootReplaced as error:
            side = self.picture.side(str(error.details.get("side")))
            await side.close()
            side.lost = replaced(error, side.name)
            self._set("guard", side.lost)
            self._pacing.wake()
            raise side.lost from error

    def take_over(self) -> None:
        """Let the folder there become this project's when it is opened next, whatever it was."""
        self._opening.take_over = True

    async def open(self) -> None:
        """Open both roots without a sync (the lock has to be held). Raises as ``start``."""
        await self._opening.both()

    async def _cycle(self) -> None:
        picture = self.picture
        began = picture.now()
        was_first = picture.compare_all
        plans: list[Plan] = []

        def check(plan: Plan) -> None:
            if was_first and not picture.rows:
                found = notice.notice(chain(plan.to_here, plan.to_there))
                limits = (self.settings.ask_bytes, self.settings.ask_files)
                notice.check(found, self._allowed, limits=limits)
            self._guard.check(picture, plan)
            plans.append(plan)

        report = await cycle.run(picture, check=check, on_progress=self.on_progress)
        self._guard.done(plans[-1], picture.now())
        if any(op["op"] in ("remove", "move") for op in (*plans[-1].to_here, *plans[-1].to_there)):
            # A name that another one was in the way of may be free now.
            picture.pending |= picture.problems.of("case-clash")
        self.texts.agreed(picture.news)
        self.cycles += 1
        if report.to_here or report.to_there or report.conflicts or report.failed:
            self.last = (picture.now(), picture.now() - began, report)
            self._tell()

    # -- asking for it

    def look(self, side: str, answer: Callable[[bool], None]) -> bool:
        """``answer(True)`` when all that happened on that side is on the other; else (or False at once) ``flush`` is the way."""
        return self._is_quiet() and self.picture.side(side).look(lambda good: answer(good and self._is_quiet()))

    def _is_quiet(self) -> bool:
        busy = self._task is None or self._suspended is not None or self._lock.locked()
        return not busy and self._next_time() != 0.0

    async def flush(self, seconds: float = FLUSH_SECONDS, *, side: str | None = None) -> None:
        """Wait until what was saved on either side (or on ``side``, "here" or "there") before this call is on the other.

        Conflicts and listed problems do not count. Raises NotUp, LinkLost, GuardRefused, LinkTimeout.
        """
        if self._task is None:
            raise NotUp("the project is not up", hint="afield up")
        if self._suspended is not None:
            raise LinkLost(f"the sync is paused: {self._suspended}", hint="wait for the link, or run without the sync")
        picture = self.picture
        try:
            async with asyncio.timeout(seconds), self._in_place():
                if isinstance(self.reason, FilesError):
                    # A person may have put right what kept a folder from being opened.
                    async with self._lock:
                        await self._mend()
                asked = (picture.here, picture.there)
                for one in asked:
                    one.asked()
                await together(*(one.barrier() for one in asked if side in (None, one.name)))
                async with self._lock:
                    self._watch()
                    await self._flush_cycles()
        except TimeoutError:
            raise LinkTimeout(f"the sync did not become quiet within {seconds:g} s") from None
        self._pacing.wake()

    async def _flush_cycles(self) -> None:
        for _ in range(FLUSH_CYCLES):
            if self.picture.quiet:
                return
            await self._cycle()

    def look_only(self) -> None:
        """Make no folder that is missing: this session is there to be asked, not to be started."""
        self._opening.look_only = True

    async def preview(self) -> Preview:
        """Say what a cycle would do now, and do nothing."""
        async with self._lock:
            picture = self.picture
            await self._opening.both()
            paths = await cycle.scan(picture)
            try:
                plan = await cycle.decide_all(picture, paths)
            finally:
                picture.pending |= paths
        ops = [("here", op["op"], op["path"], int(op.get("size") or 0)) for op in plan.to_here]
        ops += [("there", op["op"], op["path"], int(op.get("size") or 0)) for op in plan.to_there]
        return Preview(ops, [(conflict.path, conflict.kind) for conflict in plan.conflicts])

    async def settle(self, paths: Iterable[bytes], how: str, *, markers: bool = False) -> resolve.Settled:
        """End the conflicts at and below these paths: ``how`` is here, there (that version wins), both or merge.

        What loses goes to the history of its side. Raises as ``flush``, and UsageError.
        """
        tops = list(paths)
        async with self._lock:
            self._guard.allowed = resolve.allowed(self.picture, tops)
            return await resolve.settle(self, tops, how, markers=markers, run=self._cycle)

    async def history(self, path: bytes | None = None, limit: int = histories.LISTED) -> list[histories.Event]:
        """What was replaced or removed on either side and can be brought back, newest first."""
        picture = self.picture
        return await histories.events(picture.here, picture.there, path=path, limit=limit, ahead=picture.ahead)

    async def undo(
        self, path: bytes | None = None, side: str | None = None, *, event: str | None = None, force: bool = False
    ) -> list[histories.Event]:
        """Bring back what was replaced or removed last (see ``history.undo``); it is then synced as any change."""
        async with self._lock:
            found = await histories.undo(self.picture, path=path, side=side, event=event, force=force)
            # What an undo takes away again was agreed to by asking for it.
            self._guard.allowed = {"there" if found[0].side == "here" else "here": len(found)}
        self._pacing.wake()
        return found

    def confirm(self) -> None:
        """Let what a guard holds back happen, once: so many removals on that side, or the folder as it is now."""
        if isinstance(self.reason, GuardRefused):
            details = self.reason.details
            self._guard.allowed[str(details["side"])] = int(details["removed"])
        elif isinstance(self.reason, RootReplaced):
            self._opening.agree(str(self.reason.details["side"]))
        self._pacing.went_well()
        self._pacing.wake()

    def suspend(self, reason: str) -> None:
        """Hold on: the link is being taken up again. What is under way waits with it."""
        self._suspended = reason
        self._set("paused", LinkLost(reason))

    def resume(self) -> None:
        """Go on; a worker that survived is simply asked on, one that did not is started again."""
        self._suspended = None
        self._pacing.went_well()
        self._set("live" if self._task is not None else self.state)
        self._pacing.wake()

    # -- telling

    def status(self) -> Status:
        """The state at this moment."""
        now = self.picture.now()
        last = None if self.last is None else (now - self.last[0], self.last[1], self.last[2])
        state = "busy" if self.state == "live" and self._lock.locked() else self.state
        return status(self.picture, state=state, reason=self.reason, cycles=self.cycles, last=last, notes=self.notes)

    def conflicts(self) -> list[Any]:
        """All open conflicts, by path."""
        return [self.picture.conflicts[path] for path in sorted(self.picture.conflicts)]

    def _note(self, text: str) -> None:
        self.notes = [*self.notes, text][-NOTES:]
        self._tell()

    def _set(self, state: str, reason: AfieldError | None = None) -> None:
        if (state, reason) != (self.state, self.reason):
            self.state, self.reason = state, reason
            self._tell()

    def _tell(self) -> None:
        if self.on_change is not None:
            self.on_change()
