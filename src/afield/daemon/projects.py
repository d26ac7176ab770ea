"""Projects on their machines: settings as they are now, the link they use, and the life of their sync.

Rules: settings are read again when a file of theirs changed, but what defines the place and the sync of a project that is
up stays until ``down``; two ``up`` at once are one; what is up is remembered so that the next daemon goes on.
What must not go in: the sync itself (afield.sync), the login (places).
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from afield.config.load import FILE, SYNC, Machine, default_user_file, load_project
from afield.daemon import folders, gits, mapping, memory, syncs
from afield.daemon.chosen import Chosen
from afield.daemon.login import place_key
from afield.errors import AfieldError, Cancelled, ConfigError, LinkError, NoProject, NotUp
from afield.link import state as link_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.daemon.conversation import Ask
    from afield.daemon.places import Place, Places
    from afield.daemon.state import State


class Target:
    """One project on one machine. ``session`` is the sync of its own folder while it is up."""

    def __init__(self, folder: str, machine: Machine, place: Place) -> None:
        self.folder = folder
        self.machine = machine
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

    @property
    def key(self) -> str:
        """What names it in the state: folder and machine."""
        return f"{self.folder}#{self.machine.name}"

    @property
    def live(self) -> bool:
        """Whether its first sync is over and the live one runs."""
        return self.session is not None and self.starting is None

    def use(self, machine: Machine) -> None:
        """Take new settings; those of the place and the sync only when it is not up."""
        if machine == self.machine:
            return
        fixed = ("place", "folder", "agent_python", "ssh", "folders", *SYNC)
        changed = [name for name in fixed if getattr(machine, name) != getattr(self.machine, name)]
        self.problem = None
        if changed and (self.session is not None or self.starting is not None):
            self.problem = f"{', '.join(changed)} changed in {FILE}: `afield down` and `afield up` make it so"
            return
        self.machine = machine
        self.forget_mapping()

    def forget_mapping(self) -> None:
        """Make the path map anew: the place or the environment changed."""
        self._mapping = None
        self.environment.forget()

    # ---- what a run needs (runs.Base)

    def run_state(self, *, barrier: bool) -> str:
        """See runs.Base."""
        if not self.place.usable or not (self.live or not barrier):
            return "not-ready"
        return "barrier" if barrier else "ready"

    def open_stream(self, header: dict[str, Any], window: int) -> Any:
        """See runs.Base."""
        return self.place.connection.open_stream(header, window=window)

    def mapping_target(self) -> mapping.Target:
        """See runs.Base."""
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
        """See runs.Base."""
        return await self.place.home()

    def look(self, side: str, answer: Callable[[bool], None]) -> bool:
        """See runs.Base."""
        if self.session is None or self.more:
            # Several folders: each is asked on the long way.
            return False
        return bool(self.session.look(side, answer))

    async def barrier(self, side: str | None = None) -> None:
        """See runs.Base."""
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
        """See runs.Base."""
        self.place.wake()

    def describe(self) -> dict[str, Any]:
        """Give the state's entry."""
        entry: dict[str, Any] = {
            "project": self.folder,
            "machine": self.machine.name,
            "place": self.machine.place,
            "place_key": self.place.key,
            "folder": self.machine.folder,
            "up": self.live,
            "starting": self.starting is not None,
            "wanted": self.wanted,
            "problems": [text for text in (self.problem, self.git and self.git.problem) if text],
            "sync": syncs.describe(self.session) if self.session is not None else None,
            "folders": {
                each.name: {"here": each.here, "there": each.there, **syncs.describe(self.more[each.name])}
                for each in self.machine.folders
                if each.name in self.more
            },
        }
        return entry


class Projects:
    """All targets that were asked about, by folder and machine."""

    def __init__(self, places: Places, state: State, *, memory_path: str, log: Callable[[str], None]) -> None:
        self._places = places
        self._state = state
        self._memory_path = memory_path
        self._log = log
        self._targets: dict[tuple[str, str], Target] = {}
        self._default: dict[str, str] = {}
        self._stamps: dict[str, tuple[Any, ...]] = {}
        self._real: dict[str, str] = {}

    def all(self) -> list[Target]:
        """Give all targets."""
        return list(self._targets.values())

    def get(self, folder: str, machine: str | None) -> Target:
        """Give the target, its settings as the files say now. Raises NoProject, ConfigError."""
        if not folder:
            raise NoProject(
                "no project was named",
                hint="run this inside a folder with an afield.toml, or make one with `afield init`",
            )
        folder = self._real.get(folder) or self._real.setdefault(folder, os.path.realpath(folder))
        stamp = _stamp(folder)
        name = machine or self._default.get(folder, "")
        known = self._targets.get((folder, name))
        if known is not None and self._stamps.get(folder) == stamp:
            return known
        return self._load(folder, machine, stamp)

    def _load(self, folder: str, machine: str | None, stamp: tuple[Any, ...]) -> Target:
        project = load_project(folder)
        if project.folder != folder:
            raise NoProject(f"no {FILE} in {folder}", hint=f"there is one in {project.folder}")
        chosen = project.machine(machine)
        if self._stamps.get(folder) != stamp:
            # Every machine that is known takes its new settings now: the stamp is noted once for all of them.
            for (known_folder, name), known in self._targets.items():
                if known_folder == folder and name in project.machines:
                    self._use(known, project.machines[name])
            self._stamps[folder] = stamp
        if project.default:
            self._default[folder] = project.default
        target = self._targets.get((folder, chosen.name))
        if target is None:
            target = Target(project.folder, chosen, self._places.get(chosen))
            self._targets[folder, chosen.name] = target
        self.show(target)
        return target

    def _use(self, target: Target, machine: Machine) -> None:
        target.use(machine)
        if target.machine is machine and place_key(machine) != target.place.key:
            self.rebind(target)
        self.show(target)

    def rebind(self, target: Target) -> None:
        """Give the target the place that its settings name now."""
        target.place = self._places.get(target.machine)
        target.forget_mapping()
        self.show(target)

    def show(self, target: Target) -> None:
        """Put the target's entry into the state."""
        self._state.put("projects", target.key, target.describe())

    async def prune(self) -> None:
        """Forget machines that no afield.toml names any more (an ``init`` that failed), unless something of them is up."""
        for target in self.all():
            link = target.place.connection
            busy = target.session is not None or target.starting is not None or link.streams
            if busy or isinstance(link.state, link_state.Dialing) or _is_named(target):
                continue
            del self._targets[target.folder, target.machine.name]
            self._state.drop("projects", target.key)
            if not any(other.place is target.place for other in self.all()):
                await self._places.drop(target.place)

    # ---- up and down

    async def up(self, target: Target, ask: Ask | None, answers: syncs.Answers | None = None) -> dict[str, Any]:
        """Link, first sync, live sync; joins one that is under way. Raises what stopped it."""
        if target.live:
            await target.place.ready(ask)
            return {"already": True}
        if target.starting is not None:
            try:
                return await self._join(target)
            except AfieldError:
                # What began without this face may have failed for want of an answer.
                if ask is None or target.live:
                    raise
        if target.starting is None:
            target.starting = asyncio.ensure_future(self._start(target, ask, answers or syncs.Answers()))
            self.show(target)
        return await self._join(target)

    async def _join(self, target: Target) -> dict[str, Any]:
        starting = target.starting
        assert starting is not None
        target.joined += 1
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            if starting.cancelled():
                raise Cancelled("`up` was given up") from None
            if target.joined == 1:
                # The last one who waited for it left.
                starting.cancel()
            raise
        finally:
            target.joined -= 1

    async def _start(self, target: Target, ask: Ask | None, answers: syncs.Answers) -> dict[str, Any]:
        try:
            await target.place.ready(ask)
            made = await folders.make(target, lambda: self.show(target))
            session = target.session = made.pop(folders.OWN)
            target.more = made
            folders.check_apart(target, self.all())
            told = await folders.start(target, ask, answers)
            target.follow_link()
            target.git = gits.begin(target, session, lambda: self.show(target))
            target.wanted = True
            target.problem = None
            self._remember()
            return told
        except BaseException as error:
            if isinstance(error, AfieldError):
                target.problem = f"{error.text} ({error.hint})" if error.hint else error.text
            await asyncio.shield(folders.close(folders.take(target)))
            raise
        finally:
            target.starting = None
            self.show(target)

    async def down(self, target: Target) -> list[str]:
        """Stop the sync and forget that it was wanted; gives what was stopped."""
        stopped = []
        if target.starting is not None:
            target.starting.cancel()
            await asyncio.wait([target.starting])
            stopped.append("first sync")
        sessions = folders.take(target)
        await gits.end(target)
        target.wanted = False
        target.problem = None
        self._remember()
        if sessions:
            await folders.close(sessions)
            stopped.append("sync")
        self.show(target)
        return stopped

    def need(self, target: Target, folder: str | None = None) -> Any:
        """Give the live session, of the project's own folder or of another. Raises NotUp, ConfigError."""
        folders.check_name(target.machine, folder or folders.OWN)
        if not target.live:
            raise NotUp(f"{target.folder} is not up on {target.machine.name}", hint="start it with: afield up")
        return dict(folders.sessions(target))[folder or folders.OWN]

    # ---- memory

    def _remember(self) -> None:
        memory.save(self._memory_path, [(target.folder, target.machine.name) for target in self.all() if target.wanted])

    async def resume(self) -> None:
        """Take up what the last daemon had up; what needs a person stays down and says so."""
        rows = memory.load(self._memory_path)
        await asyncio.gather(*(self._resume_one(folder, machine) for folder, machine in rows))

    async def _resume_one(self, folder: str, machine: str) -> None:
        try:
            target = self.get(folder, machine)
            target.wanted = True
            if not target.live:
                self._log(f"{target.key}: taken up again")
                await self.up(target, None)
        except AfieldError as error:
            self._log(f"{folder}#{machine} could not be taken up again: {error}")
        except Exception as error:
            self._log(f"{folder}#{machine} could not be taken up again: {error!r}")

    async def close(self) -> None:
        """End all syncs; what was up stays remembered."""
        for target in self.all():
            if target.starting is not None:
                target.starting.cancel()
                await asyncio.wait([target.starting])
            sessions = folders.take(target)
            await gits.end(target)
            await folders.close(sessions)


def _is_named(target: Target) -> bool:
    try:
        project = load_project(target.folder)
    except NoProject:
        return False
    except ConfigError:
        return True  # a file that is being edited
    return project.folder == target.folder and target.machine.name in project.machines


def _stamp(folder: str) -> tuple[Any, ...]:
    """Give what changes when a settings file changes; two stats a run (4 µs)."""
    found = []
    for path in (os.path.join(folder, FILE), default_user_file()):
        try:
            info = os.stat(path)
            found.append((info.st_mtime_ns, info.st_size, info.st_ino))
        except OSError:
            found.append((0, 0, 0))
    return tuple(found)
