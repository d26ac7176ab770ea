"""Which environment a name means, and the one that a project's machine runs in.

Rules: a name is looked up once and kept until the settings, the place or an environment changes; what is broken or means
several things is refused with what to do. What must not go in: how an environment is used (activation).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from afield.daemon import activation
from afield.errors import EnvBroken, EnvClash, NoSuchEnv

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.daemon.target import Target

Env = dict[str, Any]

# A listing takes under 0.1 s; a home on a slow network disk some seconds (the agent gives up after 20).
LIST_SECONDS = 25.0


class Chosen:
    """The environment of one target; ``pending`` until a name in its settings was looked up."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._active: activation.Activation | None = None

    @property
    def pending(self) -> bool:
        """Whether ``resolve`` must be awaited before a run."""
        return self._active is None and self._target.machine.environment is not None

    @property
    def active(self) -> activation.Activation:
        """What a run needs; without an environment only the project's shell lines."""
        if self._active is not None:
            return self._active
        lines = self._target.machine.setup
        return activation.Activation(setup=lines, project_setup=lines)

    def describe(self) -> dict[str, Any]:
        """Give the name in the settings (None: none) and the interpreter there (None: not looked up yet)."""
        python = self.active.python
        return {"name": self._target.machine.environment, "python": None if python is None else os.fsdecode(python)}

    def forget(self) -> None:
        """Look the name up again at the next run."""
        self._active = None

    async def resolve(self) -> None:
        """Look the name up. Raises NoSuchEnv, EnvBroken, EnvClash."""
        machine = self._target.machine
        if machine.environment is None:
            return
        active = await self.named(machine.environment)
        if machine is self._target.machine:
            self._target.forget_mapping()
            self._active = active

    async def named(self, wanted: str) -> activation.Activation:
        """Look another name up, for one program. Raises NoSuchEnv, EnvBroken, EnvClash."""
        machine = self._target.machine
        found = await listing(self._target)
        env = pick(found["envs"], wanted, await self._target.there(), await self._target.place.home())
        lines = machine.envs.get(env["name"], machine.envs.get(wanted, ()))
        return activation.activation_of(usable(env), lines, machine.setup)


async def listing(target: Target) -> Env:
    """Ask the agent for all environments."""
    args = {"roots": [await target.there()]}
    found: Env = await target.place.connection.call("envs", args, timeout=LIST_SECONDS)
    return found


def pick(envs: list[Env], wanted: str, there: bytes, home: bytes) -> Env:
    """Give the one that a name, ``KIND:NAME`` or a path means; the project's own first. Raises NoSuchEnv, EnvClash."""
    named = [env for env in envs if env["name"] == wanted]
    if not named:
        path = _path(wanted, there, home)
        named = [env for env in envs if path in (bytes(env["path"]), bytes(env["python"] or b""))]
    if not named:
        kind, _, name = wanted.partition(":")
        named = [env for env in envs if env["kind"] == kind and env["name"] == name]
    if not named:
        raise _unknown(envs, wanted)
    return named[0] if len(named) == 1 else _one_of(named, wanted)


def _one_of(named: list[Env], wanted: str) -> Env:
    for test in _PREFERENCES:
        some = [env for env in named if test(env)]
        if len(some) == 1:
            return some[0]
        named = some or named
    paths = ", ".join(f"{env['kind']} {os.fsdecode(bytes(env['path']))}" for env in named)
    raise EnvClash(f"{len(named)} environments there are named {wanted!r}: {paths}", hint="name one by its path")


_PREFERENCES: tuple[Callable[[Env], bool], ...] = (
    lambda env: bool(env.get("here")),
    lambda env: bool(env.get("made")),
    lambda env: not env["broken"],
)


def _path(wanted: str, there: bytes, home: bytes) -> bytes:
    raw = os.fsencode(wanted)
    if raw == b"~" or raw.startswith(b"~/"):
        raw = home + raw[1:]
    return os.path.normpath(os.path.join(there, raw))


def _unknown(envs: list[Env], wanted: str) -> NoSuchEnv:
    import difflib  # only for an error: every start of the daemon would pay for it

    names = sorted({str(env["name"]) for env in envs})
    near = difflib.get_close_matches(wanted, names, n=3)
    if near:
        hint = f"did you mean {' or '.join(near)}? `afield env list` shows all"
    else:
        hint = f"`afield env list` shows what is there; make it with: afield env create {wanted}"
    return NoSuchEnv(f"no environment there is named {wanted!r}", hint=hint)


def usable(env: Env) -> Env:
    """Return env when it can run something. Raises EnvBroken."""
    if env["broken"]:
        raise EnvBroken(
            f"the environment {env['name']} ({os.fsdecode(bytes(env['path']))}) is broken: {env['broken']}",
            hint="choose another with `afield env use NAME`, or make a new one with `afield env create NAME`",
        )
    return env
