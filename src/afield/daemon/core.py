"""The daemon as a whole: holds the parts together, knows what is kept, and when to end.

Rules: it ends by itself 15 minutes after the last use when nothing is up, checked by one timer and never by polling; an
end leaves what runs there running. What must not go in: what a verb does (api_*), how bytes come in (server).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
import traceback
from typing import TYPE_CHECKING, Any

from afield import __version__
from afield.control import paths
from afield.daemon.conversation import Conversation
from afield.daemon.mirrors import Mirrors
from afield.daemon.places import Places
from afield.daemon.projects import Projects
from afield.daemon.runs import Run
from afield.daemon.state import State
from afield.daemon.target import Target

if TYPE_CHECKING:
    from afield.daemon.channel import Channel
    from afield.daemon.conversation import Handler
    from afield.daemon.logs import Log

# Longer than a coffee, shorter than a lunch: a login with a question should survive the first.
IDLE_SECONDS = 15 * 60.0


class Daemon:
    """One per user. ``stop`` asks it to end, ``wait_stopped`` waits for that, ``close`` ends everything."""

    def __init__(self, diary: Log, handlers: dict[str, Handler] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.diary = diary
        self.state = State()
        self.since = time.time()
        self.places = Places(self.state, log=diary.info)
        self.projects = Projects(
            self.places, self.state, memory_path=os.path.join(paths.state_folder(), "up.json"), log=diary.info
        )
        self.mirrors = Mirrors(self)
        self.runs: dict[str, Run] = {}
        self.forwards: dict[int, Any] = {}
        self.next_forward = 1
        self.handlers: dict[str, Handler] = handlers or {}
        self.conversations: set[Conversation] = set()
        self._stopped = asyncio.Event()
        self._last_use = self.loop.time()
        self._timer = self.loop.call_later(IDLE_SECONDS, self._look_idle)
        self._tasks: set[asyncio.Task[Any]] = set()
        self.state.put("daemon", "self", {"version": __version__, "pid": os.getpid(), "since": self.since})

    # ---- who comes in

    def face(self, channel: Channel, data: bytes) -> None:
        """Serve a face whose first bytes are data."""
        conversation = Conversation(
            channel, self.handlers, on_use=self.use, on_version=self.other_version, on_bug=self.bug
        )
        self.conversations.add(conversation)
        gone = channel.on_closed

        def closed() -> None:
            gone()
            self.conversations.discard(conversation)

        channel.on_closed = closed
        conversation.feed(data)

    def run(self, channel: Channel, data: bytes) -> None:
        """Serve a run client whose first bytes are data."""
        self._last_use = self.loop.time()
        Run(channel, self._find, on_begin=self._run_begins, on_end=self._run_ends, log=self.diary.info).feed(data)

    def _find(self, project: bytes, machine: str) -> Target:
        target = self.projects.get(os.fsdecode(project), machine or None)
        target.place.last_use = time.monotonic()
        return target

    def _run_begins(self, run: Run) -> None:
        key = run.id.hex()
        self.runs[key] = run
        self.diary.debug(f"run {key} begins: {run.label}")
        entry = {
            "project": os.fsdecode(run.project),
            "machine": run.machine,
            "label": run.label,
            "since": run.since,
            "state": "running",
        }
        self.state.put("runs", key, entry)

    def _run_ends(self, run: Run) -> None:
        self._last_use = self.loop.time()
        key = run.id.hex()
        if self.runs.pop(key, None) is not None:
            self.state.drop("runs", key)

    # ---- what is kept

    def keeps(self) -> list[str]:
        """Name what would be missed if the daemon ended now."""
        kept = [
            f"{target.key} is up" for target in self.projects.all() if target.session is not None or target.starting
        ]
        kept += [f"run {run.label}" for run in self.runs.values()]
        kept += [f"forward {number}" for number in self.forwards]
        return kept

    def use(self) -> None:
        """Note that somebody uses the daemon."""
        self._last_use = self.loop.time()

    def _look_idle(self) -> None:
        rest = self._last_use + IDLE_SECONDS - self.loop.time()
        if rest <= 0 and not self.keeps():
            self.diary.info("idle: ending")
            self.stop()
            return
        self.spawn(self.release_idle(), "release of idle links")
        self._timer = self.loop.call_later(rest if rest > 0 else IDLE_SECONDS, self._look_idle)

    async def release_idle(self, seconds: float = IDLE_SECONDS) -> None:
        """Close the links that nobody used for so long and that carry nothing."""
        used = {target.place for target in self.projects.all() if target.session is not None or target.starting}
        used |= {run.project_place() for run in self.runs.values()}
        used |= {forward.target.place for forward in self.forwards.values()}
        for place in self.places.all():
            if place not in used and place.connected and time.monotonic() - place.last_use >= seconds:
                self.diary.info(f"{place.text}: unused, closed")
                await self.places.drop(place)
                for target in self.projects.all():
                    if target.place is place:
                        self.projects.rebind(target)

    def other_version(self) -> None:
        """Make room for a daemon of another version when nothing is kept."""
        if not self.keeps():
            self.diary.info("a face of another version came: ending")
            self.loop.call_soon(self.stop)

    # ---- the end

    def stop(self) -> None:
        """Ask the daemon to end."""
        self._stopped.set()

    async def wait_stopped(self) -> None:
        """Wait until somebody asked for the end."""
        await self._stopped.wait()

    async def close(self) -> None:
        """End syncs, forwards and links; programs that run there are left to the next daemon."""
        self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        with contextlib.suppress(Exception):
            await self.projects.close()
        busy = {run.project_place() for run in self.runs.values()}
        for forward in list(self.forwards.values()):
            with contextlib.suppress(Exception):
                await forward.stop()
        for place in self.places.all():
            if place in busy:
                # No word to the agent: to it this is a lost link, so what runs there is kept for the next daemon.
                continue
            with contextlib.suppress(Exception):
                await place.close()

    def spawn(self, work: Any, what: str) -> asyncio.Task[Any]:
        """Run a coroutine beside everything else; a failure is logged."""
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        self._tasks.add(task)

        def done(finished: asyncio.Task[Any]) -> None:
            self._tasks.discard(finished)
            if not finished.cancelled() and (error := finished.exception()) is not None:
                self.bug(what, error)

        task.add_done_callback(done)
        return task

    def bug(self, what: str, error: BaseException) -> None:
        """Log an error that nobody foresaw, with where it came from."""
        self.diary.warning(f"{what} failed: " + "".join(traceback.format_exception(error))[-4000:])


class LogHandler(logging.Handler):
    """Takes what the packages below say through logging into the daemon's log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        text = f"{record.name}: {record.getMessage()}"
        if record.exc_info and record.exc_info[1] is not None:
            text += " " + "".join(traceback.format_exception(record.exc_info[1]))[-4000:]
        self._log.write(record.levelno if record.levelno in (10, 20, 30) else 30, text)
