"""What the env command does beside asking the daemon: afield.toml, wheels from here, the environment here."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING, Any

from afield.cli.asking import ask, project_of
from afield.cli.render_envs import differences
from afield.config import write
from afield.config.load import FILE, load_project
from afield.errors import ConfigError, EnvFailed, NoSuchEnv, UsageError
from afield.wheels import download, requirements, tags

if TYPE_CHECKING:
    import argparse

    from afield.cli.terminal import Terminal

Env = dict[str, Any]

# The first pip whose resolver looks at everything at once; older ones are left aside for the one that is carried.
_GOOD_PIP = (20, 3)


def use(args: argparse.Namespace, terminal: Terminal, name: str | None) -> Env | None:
    """Check that the environment can be used, and write it into afield.toml; None takes it out. Raises AfieldError."""
    if name is None and not getattr(args, "none", True):
        raise UsageError("which one?", hint="afield env list shows all; --none runs in none again")
    project, machine = project_of(args)
    env = ask("env-packages", args, terminal, env=name)["env"] if name is not None else None
    path = os.path.join(project.folder, FILE)
    try:
        with open(path, encoding="utf-8") as file:
            before = file.read()
        part = f"{path}.{os.getpid()}.part"
        with open(part, "w", encoding="utf-8") as file:
            file.write(write.set_in_machine(before, machine, "env", name))
        os.replace(part, path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be changed: {error.strerror}") from None
    renew_shim(project.folder, terminal)
    touch_shim(project.folder)
    if name is not None:
        ask("mirror-refresh", args, terminal)
    told = load_project(project.folder).machine(machine)
    if name is None and told.environment is not None:
        terminal.note(f"env = {told.environment!r} still comes from {told.origin['env']}")
    if name is not None and told.python is not None:
        terminal.note(f"python = {told.python!r} in the settings has no effect while an environment is in use")
    return env


def touch_shim(project: str) -> None:
    """Give the shims a new time: editors, uv and virtualenv keep what they learned of an interpreter by its path and time."""
    folder = os.path.join(project, ".afield", "bin")
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            os.utime(os.path.join(folder, name))


def renew_shim(project: str, terminal: Terminal) -> None:
    """Make the shims of a project that has them show the environment of now: version, name, and a new time."""
    from afield.cli.commands.up import install_shim
    from afield.shim.install import installed_machine

    machine = installed_machine(project)
    if machine is not None:
        install_shim(project, machine or None, terminal)


# ---- install


def install(args: argparse.Namespace, terminal: Terminal) -> Any:
    """Install into an environment there; gives what is new. Raises AfieldError."""
    words = requirements.arguments(args.packages, args.files, args.extra, args.group)
    told = ask("env-packages", args, terminal, env=args.env)
    if told["refused"]:
        raise EnvFailed(told["refused"], hint="make an environment of your own: afield env create NAME --use")
    if args.direct:
        return _direct(args, terminal, told, words)
    fit = fit_of(told)
    with tempfile.TemporaryDirectory(prefix="afield-wheels-") as folder:
        asked = requirements.asked_names(words, only_pinned=not args.upgrade)
        keep = [(row[0], row[1]) for row in told["packages"] if tags.normalise(row[0]) not in asked and not row[2]]
        get = download.download_or_build if args.build else download.download
        names = get(words, folder, fit, keep=keep, options=args.pip, say=terminal.note)
        wanted = missing(names, told["packages"])
        for name in set(names) - set(wanted):
            os.unlink(os.path.join(folder, name))
        if not wanted:
            return {"env": told["env"], "installed": []}
        return carry(args, terminal, told, folder, wanted)


def missing(wheels: list[str], packages: list[list[str]]) -> list[str]:
    """Give the wheels whose very version is not installed there."""
    there = {(tags.normalise(name), version) for name, version, _ in packages}
    found = []
    for wheel in wheels:
        name, version = tags.wheel_name(wheel)
        if (tags.normalise(name), version) not in there:
            found.append(wheel)
    return found


def carry(args: argparse.Namespace, terminal: Terminal, told: Any, folder: str, wheels: list[str]) -> Any:
    """Send the wheels in folder and have pip there install them; brings a pip when there is none that serves."""
    fit, stage, env = fit_of(told), told["stage"], told["env"]
    pip = None
    if _numbers(env.get("pip")) < _GOOD_PIP:
        own = next((name for name in wheels if tags.wheel_name(name)[0] == "pip"), None)
        pip = f"{stage}/{own or download.pip_wheel(folder, fit, say=terminal.note)}/pip"
    fields: dict[str, Any] = {"path": stage, "from": folder}  # "from" is a keyword of Python's
    ask("put", args, terminal, **fields)
    pins = ["{}=={}".format(*tags.wheel_name(name)) for name in wheels]
    done = ask("env-install", args, terminal, env=env["path"], wheels=stage, requirements=pins, pip=pip)
    touch_shim(project_of(args)[0].folder)
    return done


def bring_pip(args: argparse.Namespace, terminal: Terminal, path: str) -> None:
    """Install a pip that was carried into a fresh environment; without one here it stays without, and that is said."""
    told = ask("env-packages", args, terminal, env=path)
    with tempfile.TemporaryDirectory(prefix="afield-wheels-") as folder:
        try:
            name = download.pip_wheel(folder, fit_of(told), say=terminal.note)
        except EnvFailed as error:
            terminal.note(f"pip was left out: {error}")
            return
        carry(args, terminal, told, folder, [name])


def fit_of(told: Any) -> tags.Fit:
    """Say what wheels must fit. Raises EnvFailed for a system whose wheels are not known."""
    system, env = told["system"], told["env"]
    if system["os"] != "Linux":
        raise EnvFailed(
            f"packages can be carried to Linux only, the place is {system['os']}",
            hint="use --direct: the network there",
        )
    if not env["version"]:
        raise EnvFailed(f"the Python version of {env['name']} could not be read from its files", hint="use --direct")
    return tags.Fit(env["version"], system["machine"], system["libc"], system["os"])


def _direct(args: argparse.Namespace, terminal: Terminal, told: Any, words: list[str]) -> Any:
    env = told["env"]
    if not env.get("pip"):
        raise EnvFailed(f"{env['name']} has no pip", hint="bring one: afield env install pip")
    lines: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        lines += _read_requirements(left.pop(0)) if word == "-r" else [word]
    options = [*args.pip, *(["--upgrade"] if args.upgrade else [])]
    return ask("env-install", args, terminal, env=env["path"], requirements=lines, options=options)


def _read_requirements(path: str) -> list[str]:
    """Give the requirements of a file; options in it are not carried over. Raises UsageError for them."""
    found = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            text = line.split(" #")[0].strip()
            if text.startswith("-"):
                raise UsageError(
                    f"{path}: {text!r} cannot go along with --direct", hint="give options with --pip, one each"
                )
            if text and not text.startswith("#"):
                found.append(text)
    return found


def _numbers(version: str | None) -> tuple[int, ...]:
    parts = (version or "0").split(".")[:2]
    return tuple(int(part) if part.isdigit() else 0 for part in parts)


# ---- diff


def diff(args: argparse.Namespace, terminal: Terminal) -> Any:
    """Compare an environment here with one there. Raises NoSuchEnv when there is none here."""
    from afield.envs.look import Looker
    from afield.envs.packages import listing

    project, _ = project_of(args)
    folder = local_folder(args.here, project.folder)
    env = Looker().environment("", folder, "")
    if env is None:
        raise NoSuchEnv(f"{folder} is no environment", hint="name one with --here FOLDER")
    told = ask("env-packages", args, terminal, env=args.env)
    sides = []
    for version, rows in ((env["version"], listing(folder)), (told["env"]["version"], told["packages"])):
        packages = {tags.normalise(name): (name, number) for name, number, _ in rows}
        packages[" python"] = ("python", version)
        sides.append(packages)
    found = differences(sides[0], sides[1])
    same = len({*sides[0], *sides[1]}) - len(found)
    return {"here": folder, "there": told["env"]["path"], "differences": found, "same": same}


def local_folder(named: str | None, project: str) -> str:
    """Give the environment here: the one that was named, the active one, that of the project. Raises NoSuchEnv."""
    if named:
        return os.path.abspath(os.path.expanduser(named))
    active = [os.environ.get("VIRTUAL_ENV"), os.environ.get("CONDA_PREFIX")]
    own = [os.path.join(project, name) for name in (".venv", "venv", "env")]
    for folder in (*active, *own):
        if folder and os.path.isdir(folder):
            return folder
    raise NoSuchEnv("no environment here to compare with", hint="activate one, or name it with --here FOLDER")
