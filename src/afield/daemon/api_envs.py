"""The verbs about environments there: list, packages, create, install, remove.

Rules: what a tool there prints is told as notes, and its end as the error; nothing is installed into a system's Python; what
afield did not make is removed only when it was said so. What must not go in: resolving packages, that is done by the face.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, Any

from afield.daemon import chosen
from afield.daemon.api_link import linked
from afield.daemon.chosen import listing, pick, usable
from afield.daemon.there import Ended, run_there
from afield.errors import EnvBroken, EnvClash, EnvFailed, NoSuchEnv, UsageError

if TYPE_CHECKING:
    from afield.daemon.conversation import Ask
    from afield.daemon.core import Daemon
    from afield.daemon.target import Target

Args = dict[str, Any]
Env = dict[str, Any]

TOOLS = ("venv", "uv", "conda")
# Kinds that are a Python of their own, from which a virtual environment can be made.
_BASES = ("system", "pyenv", "uv-python", "mise", "asdf", "rye", "pdm", "python", "module")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
# A minimal Debian has no `venv` module: a virtual environment is a link and a text (PEP 405), so these lines make one.
_BY_HAND = """
import os, sys
prefix = sys.argv[1]
base = os.path.realpath(sys.executable)
short = "%d.%d" % sys.version_info[:2]
os.makedirs(os.path.join(prefix, "bin"))
os.makedirs(os.path.join(prefix, "lib", "python" + short, "site-packages"))
for name in ("python", "python3", "python" + short):
    os.symlink(base, os.path.join(prefix, "bin", name))
with open(os.path.join(prefix, "pyvenv.cfg"), "w") as file:
    file.write("home = %s\\ninclude-system-site-packages = false\\nversion = %d.%d.%d\\n" % (
        (os.path.dirname(base),) + sys.version_info[:3]))
"""


def plain(env: Env) -> Env:
    """Give an entry of the agent's list with its paths as texts."""
    return {
        key: os.fsdecode(bytes(value)) if isinstance(value, bytes | memoryview) else value for key, value in env.items()
    }


async def env_list(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """List all, with the path of the one in use."""
    target = await linked(daemon, ask, args)
    found = await listing(target)
    use = None
    if target.machine.environment is not None:
        try:
            use = os.fsdecode(bytes((await _picked(target, found, target.machine.environment))["path"]))
        except (NoSuchEnv, EnvClash) as error:
            ask.note(f"env = {target.machine.environment!r} in afield.toml: {error}")
    envs = [plain(env) for env in found["envs"]]
    return {"envs": envs, "use": use, "system": found["system"], "complete": found["complete"], "ms": found["ms"]}


async def _picked(target: Target, found: Env, wanted: str) -> Env:
    return pick(found["envs"], wanted, await target.there(), await target.place.home())


async def _named(target: Target, found: Env, wanted: str | None) -> Env:
    """Give the environment that was named, else the one in use. Raises NoSuchEnv without either."""
    name = wanted or target.machine.environment
    if name is None:
        raise NoSuchEnv(
            f"no environment was named, and none is in use on {target.machine.name}",
            hint="name one with --env NAME, or choose it with: afield env use NAME",
        )
    return usable(await _picked(target, found, name))


def _short(env: Env) -> str | None:
    """The "3.11" that tells apart the Pythons that share a prefix."""
    return ".".join(str(env["version"] or "").split(".")[:2]) or None if env["kind"] in ("system", "module") else None


def _prefix(env: Env) -> bytes:
    return (
        os.path.dirname(os.path.dirname(bytes(env["base"])))
        if env["kind"] == "module" and env["base"]
        else bytes(env["path"])
    )


async def env_packages(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """List what is installed."""
    target = await linked(daemon, ask, args)
    found = await listing(target)
    env = await _named(target, found, args["env"])
    stage = os.path.dirname(bytes(found["made"])) + b"/wheels-" + os.urandom(4).hex().encode()
    packages = await _packages(target, env)
    return {
        "env": plain(env),
        "system": found["system"],
        "packages": packages,
        "stage": os.fsdecode(stage),
        "refused": refusal(env),
    }


async def _packages(target: Target, env: Env) -> list[list[str]]:
    args = {"prefix": _prefix(env), "version": _short(env)}
    rows = await target.place.connection.call("env-packages", args, timeout=chosen.LIST_SECONDS)
    return [[str(cell) for cell in row] for row in rows]


# ---- create


async def env_create(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Make an environment in afield's own folder there."""
    name, tool = args["name"], args["with"]
    if not _NAME.match(name):
        raise UsageError(f"an environment's name has letters, digits, '.', '_' and '-', got {name!r}")
    if tool not in TOOLS:
        raise UsageError(f"expected one of {', '.join(TOOLS)} as the tool, got {tool!r}")
    target = await linked(daemon, ask, args)
    found = await listing(target)
    prefix = bytes(found["made"]) + b"/" + os.fsencode(name)
    for env in found["envs"]:
        if bytes(env["path"]) == prefix or (env["name"] == name and env.get("here")):
            raise EnvClash(
                f"there is an environment {name} already: {os.fsdecode(bytes(env['path']))}",
                hint=f"choose another name, or remove it first: afield env remove {name}",
            )
    await _drop(target, prefix)  # what one that was cut off left: no environment, so nobody's
    await run_there(target, [b"mkdir", b"-p", b"--", bytes(found["made"])], ask=None)
    try:
        done = await _make(target, ask, found, prefix, tool=tool, python=args["python"])
    except asyncio.CancelledError:
        await asyncio.shield(_drop(target, prefix))
        raise
    if done.code != 0:
        await _drop(target, prefix)
        raise EnvFailed(
            f"{tool} could not make {os.fsdecode(prefix)} there: {done.last or done.code}", hint=_help(tool)
        )
    again = await listing(target)
    target.forget_mapping()
    env = next((env for env in again["envs"] if bytes(env["path"]) == prefix), None)
    if env is None or env["broken"]:
        await _drop(target, prefix)
        why = env["broken"] if env else "nothing stands there"
        raise EnvBroken(f"{tool} made {os.fsdecode(prefix)}, but it cannot be used: {why}", hint=_help(tool))
    return {"env": plain(env), "system": again["system"]}


def _help(tool: str) -> str:
    others = " or ".join(f"--with {other}" for other in TOOLS if other != tool)
    return f"try another Python (--python X.Y) or {others}"


async def _make(target: Target, ask: Ask, found: Env, prefix: bytes, *, tool: str, python: str | None) -> Ended:
    if tool == "conda":
        program = await _program(target, found, ("mamba", "conda", "micromamba"))
        what = f"python={python}" if python else "python"
        return await run_there(target, [program, b"create", b"-y", b"-p", prefix, what.encode()], ask=ask)
    if tool == "uv":
        program = await _program(target, found, ("uv",))
        base = _base(found["envs"], python, strict=False)
        which = bytes(base["python"]) if base else (python or "").encode()
        return await run_there(
            target, [program, b"venv", *([b"--python", which] if which else []), b"--", prefix], ask=ask
        )
    base = _base(found["envs"], python, strict=True)
    assert base is not None
    program = bytes(base["python"])
    done = await run_there(target, [program, b"-I", b"-m", b"venv", b"--without-pip", b"--", prefix], ask=None)
    if done.code != 0 and "No module named" in done.text:
        return await run_there(target, [program, b"-I", b"-S", b"-c", _BY_HAND.encode(), prefix], ask=ask)
    return done


async def _drop(target: Target, prefix: bytes) -> None:
    await target.place.connection.call("env-remove", {"prefix": prefix}, timeout=600)


async def _program(target: Target, found: Env, names: tuple[str, ...]) -> bytes:
    """Give a tool's program there: in PATH, or in a conda that was found. Raises EnvFailed."""
    for name in names:
        told = await target.place.connection.call("which", {"name": name})
        if told is not None:
            return bytes(told)
    roots = [bytes(env["path"]) for env in found["envs"] if env.get("root")]
    roots += [await target.place.home() + b"/.local", await target.place.home() + b"/.cargo"]
    for root in roots:
        for name in names:
            path = root + b"/bin/" + name.encode()
            told = await target.place.connection.call("stat", {"path": path})
            if told is not None:
                return path
    raise EnvFailed(f"there is no {' or '.join(names)} there", hint="use --with venv: it needs only a Python")


def _base(envs: list[Env], wanted: str | None, *, strict: bool) -> Env | None:
    """Give the Python to make a virtual environment from: the newest that fits "3", "3.12" or "3.12.1". Raises NoSuchEnv."""
    from afield.envs.versions import version_key

    bases = [env for env in envs if _is_base(env)]
    if wanted:
        fitting = [env for env in bases if f"{env['version']}.".startswith(wanted + ".") or _is_path(env, wanted)]
    else:
        # The system's own first: the one that `python3` means.
        fitting = [env for env in bases if env["kind"] == "system"] or bases
    if fitting:
        return max(fitting, key=lambda env: version_key(str(env["version"])))
    if not strict:
        return None
    known = ", ".join(sorted({str(env["version"]) for env in bases}, key=version_key)) or "none"
    raise NoSuchEnv(
        f"there is no Python {wanted or '3'} there to make it from (found: {known})",
        hint="name one of these with --python, or let a tool bring one: --with uv, --with conda",
    )


def _is_base(env: Env) -> bool:
    fits = env["kind"] in _BASES or (env["kind"] == "conda" and env.get("root"))
    return bool(fits and env["python"] and not env["broken"] and str(env["version"] or "").startswith("3."))


def _is_path(env: Env, wanted: str) -> bool:
    return os.fsencode(wanted) in (bytes(env["python"]), bytes(env["path"]), bytes(env["base"] or b""))


# ---- install


async def env_install(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Run pip there: on the wheels that were carried, or by the network there."""
    target = await linked(daemon, ask, args)
    found = await listing(target)
    env = await _named(target, found, args["env"])
    if why := refusal(env):
        raise EnvFailed(why, hint=OWN)
    before = {tuple(row[:2]) for row in await _packages(target, env)}
    program = [bytes(env["python"]), os.fsencode(args["pip"])] if args["pip"] else [bytes(env["python"]), b"-m", b"pip"]
    words = [*program, b"install", b"--no-input", b"--disable-pip-version-check", b"--no-warn-script-location"]
    if args["wheels"] is not None:
        # Nothing of the place's own settings: they may name an index that cannot be reached from there.
        words += [b"-q", b"--isolated", b"--no-index", b"--no-cache-dir", b"--find-links", os.fsencode(args["wheels"])]
    words += [os.fsencode(word) for word in (*(args["options"] or ()), *args["requirements"])]
    done = await run_there(target, words, ask=ask, clean=True)
    if args["wheels"] is not None:
        await _sweep(target, os.fsencode(args["wheels"]))
    if done.code != 0:
        raise EnvFailed(f"pip there failed in {env['name']}: {done.last or done.code}")
    target.forget_mapping()
    daemon.mirrors.refresh(target)
    after = await _packages(target, env)
    return {"env": plain(env), "installed": [row for row in after if tuple(row[:2]) not in before]}


async def _sweep(target: Target, wheels: bytes) -> None:
    """Remove what was carried, and what an install that was cut off left a day ago."""
    await run_there(target, [b"rm", b"-rf", b"--", wheels], ask=None)
    old = [b"-maxdepth", b"1", b"-name", b"wheels-*", b"-mmin", b"+1440", b"-exec", b"rm", b"-rf", b"--", b"{}", b"+"]
    await run_there(target, [b"find", os.path.dirname(wheels), *old], ask=None)


OWN = "make an environment of your own: afield env create NAME, then afield env use NAME"


def refusal(env: Env) -> str | None:
    """Say why nothing is installed into what belongs to the system or to everybody."""
    if env["kind"] in ("system", "module") or not env.get("writable"):
        return f"{env['name']} ({os.fsdecode(bytes(env['path']))}) is not yours to install into"
    return None


# ---- remove


async def env_remove(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Remove one; a broken one, too."""
    target = await linked(daemon, ask, args)
    found = await listing(target)
    env = await _picked(target, found, args["env"])
    path = bytes(env["path"])
    told = await target.place.connection.call(
        "env-remove", {"prefix": path, "keep": [await target.there()], "foreign": args["foreign"]}, timeout=600
    )
    if not told["removed"]:
        hint = "remove it all the same with --yes" if "did not make" in told["why"] else None
        raise EnvFailed(f"{os.fsdecode(path)} was not removed: {told['why']}", hint=hint)
    target.forget_mapping()
    return {"removed": os.fsdecode(path)}


async def tell_made(target: Target, ask: Ask) -> None:
    """Say which environments stay when everything else of afield goes: they are the user's work."""
    for env in (await listing(target))["envs"]:
        if env.get("made"):
            path = os.fsdecode(bytes(env["path"]))
            ask.note(f"the environment {path} stays; it goes with: afield env remove {env['name']}")


VERBS = {
    "env-list": env_list,
    "env-packages": env_packages,
    "env-create": env_create,
    "env-install": env_install,
    "env-remove": env_remove,
}
