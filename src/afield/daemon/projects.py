"""Projects on their machines: settings as they are now, the link they use, and the life of their sync.

Rules: settings are read again when a file of theirs changed, but what defines the place and the sync of a project that is
up stays until ``down``; two ``up`` at once are one; what is up is remembered so that the next daemon goes on.
What must not go in: the sync itself (afield.sync), the login (places).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any

from afield.config.find import FILE
from afield.config.load import Machine, default_user_file, load_project
from afield.daemon import folders, gits, memory, remembering, syncs
from afield.daemon.login import place_key
from afield.daemon.target import Target
from afield.errors import AfieldError, Cancelled, ConfigError, NoProject, NotUp
from afield.link import state as link_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.daemon.conversation import Ask
    from afield.daemon.places import Places
    from afield.daemon.state import State


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
            if known.later is not None and known.at_rest:
                self._use(known, known.later)
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
            self._follow(target)
        self.show(target)
        return target

    def _use(self, target: Target, machine: Machine) -> None:
        target.use(machine)
        if target.machine is machine and place_key(machine) != target.place.key:
            self.rebind(target)
        self.show(target)

    def _follow(self, target: Target) -> None:
        remembering.follow(target, lambda: self._default.get(target.folder) == target.machine.name)

    def rebind(self, target: Target) -> None:
        """Give the target the place that its settings name now."""
        target.place = self._places.get(target.machine)
        self._follow(target)
        target.forget_mapping()
        self.show(target)

    def show(self, target: Target) -> None:
        """Put the target's entry into the state."""
        self._state.put("projects", target.key, target.describe())

    def reread(self) -> None:
        """Take all settings as the files say now; one that is being edited counts when it is whole."""
        for target in self.all():
            with contextlib.suppress(NoProject, ConfigError):
                self.get(target.folder, target.machine.name)

    async def prune(self) -> None:
        """Forget machines that no afield.toml names any more (an ``init`` that failed), unless something of them is up."""
        for target in self.all():
            link = target.place.connection
            busy = not target.at_rest or link.streams
            if busy or isinstance(link.state, link_state.Dialing) or _is_named(target):
                continue
            del self._targets[target.folder, target.machine.name]
            self._state.drop("projects", target.key)
            if not any(other.place is target.place for other in self.all()):
                await self._places.drop(target.place)

    # ---- up and down

    async def up(self, target: Target, ask: Ask | None, answers: syncs.Answers | None = None) -> dict[str, Any]:
        """Link, first sync, live sync; joins one that is under way. Raises what stopped it, or holds one back that is up."""
        if target.live:
            await target.place.ready(ask)
            return folders.as_it_is(target)
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
        linked = asyncio.ensure_future(target.place.ready(ask))
        try:
            if not folders.known(target):
                await linked  # a first sync leaves nothing behind here when there is no link
            # What was synced before is opened and looked at here while the login is under way.
            made = await folders.make(target, lambda: self.show(target), linked)
            session = target.session = made.pop(folders.OWN)
            target.more = made
            await self._leave_moved(target)
            folders.check_apart(target, self.all())
            told = await folders.start(target, ask, answers)
            target.follow_link()
            target.way.resolve_soon()
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
            linked.cancel()
            target.starting = None
            self.show(target)

    async def _leave_moved(self, target: Target) -> None:
        """Stop what is still up for a folder that is gone, as when this project stood there before: nobody could say `down` there."""
        for other in self.all():
            if other is not target and other.place is target.place and other.session is not None and _is_gone(other):
                self._log(f"{other.key}: its folder is gone, so it was stopped for {target.key}")
                await self.down(other)

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
        folders.check_name(target.machine, folder)
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


def _is_gone(target: Target) -> bool:
    return not os.path.exists(os.path.join(target.folder, FILE))


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
