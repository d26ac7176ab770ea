"""Which way a project's paths are the same on both sides of one machine: twin, same path, or translated.

    twin        programs there run in a view in which the project stands at its path here; nothing is translated
    same        the folder there is at the path here: only the environment has to stand at .afield, on the disk there
    translated  arguments and environment are mapped with care; what tools say about files names the paths there

Rules: asked once for a link and kept until the settings, the environment or the agent changes (not while the project's folder is
missing there); ``auto`` takes the first that works, a way that was named and does not work is an error. A twin is simply made: only when
that fails the place is asked why. What must not go in: how a view is made (agent), what a tool loses (costs).
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from typing import TYPE_CHECKING, Any, Final

from afield.daemon import activation
from afield.errors import NoSuchView, NoView

if TYPE_CHECKING:
    from afield.daemon import mapping
    from afield.daemon.target import Target

AUTO, TWIN, SAME, TRANSLATED = "auto", "twin", "same", "translated"
# Among the reasons: why the environment does not stand at .afield there.
STAND_IN = "stand-in"
# The agent gives up after 30 s; an interpreter on a cold network disk takes seconds.
SECONDS: Final = 40.0
# Settings that change while it is found out; more than that is somebody's mistake.
_TRIES: Final = 3


class Way:
    """The way of one target. ``pending`` until it was found out for the environment of the moment."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._connection: Any = None
        self._listening: Any = None
        self._resolving: asyncio.Task[None] | None = None
        self.forget()

    def forget(self) -> None:
        """Find out again at the next run."""
        self.name: str | None = None
        self._mark = object()
        self.reasons: dict[str, str] = {}
        self.view: dict[str, Any] | None = None
        self._bound: set[tuple[bytes, bytes]] = set()

    @property
    def pending(self) -> bool:
        """Whether ``resolve`` must be awaited before a run."""
        return self.name is None or self._connection is not self._target.place.connection

    async def resolve(self) -> None:
        """Find out, and make the view. Raises NoView when a way that was named is not possible, and what the link raises."""
        for _ in range(_TRIES):
            if self._resolving is None or self._resolving.done():
                self._resolving = asyncio.ensure_future(self._resolve())
            await asyncio.shield(self._resolving)
            if self.name is not None:
                return

    def resolve_soon(self) -> None:
        """Find out beside everything else, so that the first run need not wait; what fails is told to that run."""
        if self.pending and (self._resolving is None or self._resolving.done()):
            self._resolving = asyncio.ensure_future(self._resolve())
            self._resolving.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _resolve(self) -> None:
        if self._target.environment.pending:
            await self._target.environment.resolve()
        self.forget()
        mark = self._mark
        target, wanted = self._target, self._target.machine.way
        connection = target.place.connection
        if self._listening is not connection:
            connection.on_new_session.append(self.forget)
            self._listening = connection
        there, local = await target.there(), os.fsencode(target.folder)
        name, view, missing = TRANSLATED, None, False
        if wanted in (AUTO, TWIN):
            view, missing = await self._make_view(there, local)
            name = TRANSLATED if view is None else TWIN
        if name == TRANSLATED != wanted and not missing:
            told = await connection.call("ways", {"there": there, "local": local}, timeout=SECONDS)
            self.reasons.update({each: str(told[each]["why"]) for each in (TWIN, SAME) if told[each]["why"]})
            if wanted in (AUTO, SAME) and self._look_at_same(told):
                name, view = SAME, await self._make_stand_in(there, local)
        if wanted not in (AUTO, name):
            raise NoView(
                f"{target.machine.name} cannot run this project with way = {wanted!r}: {self.reasons.get(wanted, 'not possible')}",
                hint='write way = "auto" in afield.toml; `afield doctor` says what each way costs',
            )
        if self._mark is mark:  # else the settings changed meanwhile
            self._connection = None if missing else connection
            self.name, self.view = name, view

    def _look_at_same(self, told: dict[str, Any]) -> bool:
        if not told["same"].get("is") and told["same"]["ok"]:
            self.reasons[SAME] = f'possible with folder = "{self._target.folder}" in afield.toml'
        return bool(told["same"].get("is"))

    async def _make_stand_in(self, there: bytes, local: bytes) -> dict[str, Any] | None:
        """Give what is run in; without one the program runs with the environment's own paths."""
        try:
            return await self._ask_for_view([[there, local]], make=False, disk=True)
        except NoView as error:
            self.reasons[STAND_IN] = error.text
            return None

    async def _make_view(self, there: bytes, local: bytes) -> tuple[dict[str, Any] | None, bool]:
        """Give the view, and whether there is no folder to show."""
        folders = await self._folders(there, local)
        try:
            # What the sync has not found or made, maybe a disk that is not mounted, is not made for a view either.
            return await self._ask_for_view(folders, make=self._target.session is None), False
        except NoView as error:
            self.reasons[TWIN] = error.text
            return None, bool(error.details.get("missing"))

    async def _folders(self, there: bytes, local: bytes) -> list[list[bytes]]:
        more = self._target.mapping_target().at_home(await self._target.place.home()).more
        return [[there, local], *([far, here] for here, far in more)]

    async def _ask_for_view(
        self, folders: list[list[bytes]], *, make: bool, disk: bool = False, python: bytes | None = None
    ) -> dict[str, Any]:
        """Have a view made of these folders and an environment, the project's unless one is named. Raises NoView."""
        python = python or self._target.mapping_target().at_home(await self._target.place.home()).python or b"python3"
        args = {"folders": folders, "env": python, "make": make, "disk": disk}
        view: dict[str, Any] = await self._target.place.connection.call("view", args, timeout=SECONDS)
        return view

    def target(self, known: mapping.Target) -> mapping.Target:
        """Give the target as this way sees it: in a twin everything there is named as here."""
        return known if self.view is None else self._seen_in(self.view, known)

    async def target_in(self, active: activation.Activation, known: mapping.Target) -> mapping.Target:
        """Give the target with another environment than the project's, for one program: a twin has a view for each.

        Raises NoView when it has to be a twin and none can be made of that environment.
        """
        known = known._replace(active=active, python=active.python)
        if self.name != TWIN:
            # On the disk there stands the project's own alone.
            return known
        folders = await self._folders(await self._target.there(), os.fsencode(self._target.folder))
        try:
            return self._seen_in(await self._ask_for_view(folders, make=False, python=active.python), known)
        except NoView:
            if self._target.machine.way == TWIN:
                raise
            return known

    def _seen_in(self, view: dict[str, Any], known: mapping.Target) -> mapping.Target:
        return known._replace(
            there=os.fsencode(self._target.folder),
            python=bytes(view["python"]),
            active=_moved(known.active, view),
            more=tuple((here, here) for here, _ in known.more) if self.name == TWIN else known.more,
            view=bytes(view["view"]),
        )

    async def show(self, pairs: tuple[tuple[bytes, bytes], ...], *, fresh: bool) -> tuple[tuple[bytes, bytes], ...]:
        """Show what was carried there at its path here; gives the pairs that hold then: (here, here) for what is shown.

        ``fresh``: something of it was put there just now, maybe into a folder that was made anew.
        """
        if self.name != TWIN or self.view is None or not pairs:
            return pairs
        stable = [pair for pair in pairs if _is_stable(pair[0])]
        new = [pair for pair in stable if fresh or pair not in self._bound]
        if new:
            args = {"view": self.view["view"], "binds": [[far, here] for here, far in new]}
            try:
                await self._target.place.connection.call("view-bind", args, timeout=SECONDS)
            except (NoView, NoSuchView):
                # Mapped, then; when the view is gone, the program's own start says so.
                return pairs
            self._bound.update(new)
        return tuple((here, here) if (here, far) in stable else (here, far) for here, far in pairs)

    def describe(self) -> dict[str, Any]:
        """Give the state's entry: the way's name, and why the better ones are not possible."""
        return {"way": self.name, "way_reasons": dict(self.reasons)}


def _is_stable(path: bytes) -> bool:
    """Say whether this is a folder that stays: single files are replaced by renames, which a mount forbids; others would pile up."""
    temporary = {os.fsencode(os.path.realpath(each)) for each in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/run")}
    return os.path.isdir(path) and not any(path == each or path.startswith(each + b"/") for each in temporary)


def _moved(active: activation.Activation, view: dict[str, Any]) -> activation.Activation:
    """Give what running in the environment means where it stands in the view."""
    prefix, real = bytes(view["prefix"]), bytes(view["real"])
    own = real not in (b"/usr/bin", b"/usr/local/bin", b"/bin")
    env = dict(active.env)
    if "VIRTUAL_ENV" in env:
        env["VIRTUAL_ENV"] = prefix
    path = (prefix + b"/bin", *(folder for folder in active.path if folder != real)) if own else active.path
    return active._replace(python=prefix + b"/bin/python", path=path, env=env)
