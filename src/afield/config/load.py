"""Finds and reads ``afield.toml``: a project and its machines, each value with the file it came from.

Order, later wins: the defaults, the user's ``~/.config/afield/config.toml``, the top of ``afield.toml``, ``[machines.NAME]``.
Further folders of a project are read in ``folders.py``.
Raises NoProject and ConfigError, each naming the file and the key. What must not go in: any use of the values.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field
from typing import Any

from afield.config import schema
from afield.config.find import FILE, find_project
from afield.config.folders import KEY as FOLDERS
from afield.config.folders import Folder, check_tables, read_folders
from afield.errors import ConfigError, NoProject

_TOP = ("name", "machine", "machines")
# What a session is made of: these take effect only when a sync starts.
SYNC = ("mode", "pull", "push", "two_way", "keep_there", "ignore", "limit", "git")


@dataclass(frozen=True)
class Machine:
    """A named way to a place, with the settings that hold for it; sizes in bytes, ``origin`` tells where each came from."""

    name: str
    place: str
    folder: str
    python: str | None = None
    environment: str | None = None
    way: str = "auto"
    envs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    agent_python: str | None = None
    ssh: tuple[str, ...] = ()
    mode: str = "two-way-safe"
    pull: tuple[str, ...] = ()
    push: tuple[str, ...] = ()
    two_way: tuple[str, ...] = ()
    keep_there: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    ask_above: int = 1_000_000_000
    ask_above_files: int = 50_000
    limit: int | None = None
    git: bool = False
    env: dict[str, str] = field(default_factory=dict)
    setup: tuple[str, ...] = ()
    forward_env: tuple[str, ...] = ()
    mirror_auto: bool = True
    folders: tuple[Folder, ...] = ()
    origin: dict[str, str] = field(default_factory=dict)

    def further(self, name: str) -> Folder:
        """Give a further folder of the project. Raises ConfigError."""
        for each in self.folders:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.folders) or "none"
        raise ConfigError(f"no folder {name!r} in {FILE} (known: {known})", hint="see: afield config")


@dataclass(frozen=True)
class Project:
    """A local folder with an ``afield.toml``; ``folder`` is absolute with symlinks resolved."""

    folder: str
    name: str
    default: str | None
    machines: dict[str, Machine]

    def chosen(self, names: list[str], *, every: bool = False) -> list[Machine]:
        """Give the named machines in that order, all of them (``every``), or the default one. Raises ConfigError."""
        if every:
            return list(self.machines.values())
        return [self.machine(name) for name in dict.fromkeys(names)] or [self.machine()]

    def machine(self, name: str | None = None) -> Machine:
        """Give the named machine, or the default one. Raises ConfigError."""
        chosen = name or self.default
        if chosen is None:
            raise ConfigError(
                f"{self.folder}/{FILE} names {len(self.machines)} machines and no default",
                hint='add machine = "NAME" at the top, or choose one with --machine NAME',
            )
        if chosen not in self.machines:
            known = ", ".join(sorted(self.machines)) or "none"
            raise ConfigError(
                f"no machine {chosen!r} in {self.folder}/{FILE} (known: {known})",
                hint="add one with: afield init PLACE --name " + chosen,
            )
        return self.machines[chosen]


def load_project(start: str | None = None, *, user_file: str | None = None) -> Project:
    """Load the project that holds start (default: the working folder). Raises NoProject, ConfigError."""
    begin = os.getcwd() if start is None else start
    folder = find_project(begin)
    if folder is None:
        raise NoProject(
            f"no {FILE} in {begin} or above",
            hint="make one with: afield init ssh://user@host   (or local:// to try it here)",
        )
    path = os.path.join(folder, FILE)
    data = _read(path)
    user_path = user_file if user_file is not None else default_user_file()
    user = _read(user_path) if os.path.isfile(user_path) else {}
    if FOLDERS in user:
        raise ConfigError(
            f"{user_path}: folders belong to one project", hint=f"write [folders.NAME] in the project's {FILE}"
        )
    _check_keys(user, user_path, machine_level=False)
    _check_keys(data, path, machine_level=False)
    name = data.get("name", os.path.basename(folder) or "project")
    if not isinstance(name, str) or not name or "/" in name or "\0" in name:
        raise ConfigError(f"{path}: name expects a text without '/', got {name!r}")
    machines = _machines(data, path, user, user_path, name, folder)
    if not machines:
        raise ConfigError(
            f"{path} names no machine", hint="add one with: afield init ssh://user@host   (or local:// to try it here)"
        )
    default = data.get("machine")
    if default is not None and default not in machines:
        raise ConfigError(f"{path}: machine = {default!r} is not one of [machines.…]: {', '.join(machines) or 'none'}")
    if default is None and len(machines) == 1:
        default = next(iter(machines))
    return Project(folder, name, default, machines)


def default_user_file() -> str:
    """Give the path of the user's own settings, by the XDG base directory rules."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "afield", "config.toml")


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: {error}", hint='the file is TOML: texts stand in quotes, as in place = "ssh://me@host"'
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def _check_keys(table: dict[str, Any], where: str, *, machine_level: bool) -> None:
    own = [setting.name for setting in schema.SETTINGS if not setting.section]
    known = [*schema.SECTIONS, *own, FOLDERS, *(() if machine_level else _TOP)]
    check_tables(table, where)
    for key, value in table.items():
        if key not in known:
            raise schema.unknown_key(key, known, where)
        if key in schema.SECTIONS:
            if not isinstance(value, dict):
                raise ConfigError(f"{where}: [{key}] is a table, got {value!r}")
            names = [setting.name for setting in schema.SETTINGS if setting.section == key]
            for name in value:
                if name not in names:
                    raise schema.unknown_key(name, names, f"{where} [{key}]")


def _machines(
    data: dict[str, Any], path: str, user: dict[str, Any], user_path: str, project: str, folder: str
) -> dict[str, Machine]:
    tables = data.get("machines", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigError(
            f"{path}: [machines.NAME] are tables", hint='write [machines.gpu1] and below it place = "ssh://me@gpu1"'
        )
    machines = {}
    for name, table in tables.items():
        schema.check_machine_name(name)
        where = f"{path} [machines.{name}]"
        _check_keys(table, where, machine_level=True)
        machines[name] = _machine(name, ((user, user_path), (data, path), (table, where)), project, folder)
    return machines


def _machine(name: str, layers: tuple[tuple[dict[str, Any], str], ...], project: str, folder: str) -> Machine:
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for setting in schema.SETTINGS:
        value, source = setting.default, "default"
        for table, where in layers:
            holder = table.get(setting.section, {}) if setting.section else table
            if setting.name not in holder:
                continue
            given = schema.check_value(setting, holder[setting.name], where)
            value = {**value, **given} if setting.kind in ("env", "envs") else given
            source = where
        values[setting.attribute] = value
        origin[setting.key] = source
    if values["place"] is None:
        raise ConfigError(
            f"{layers[-1][1]}: place is missing", hint='for example place = "ssh://me@gpu1" or place = "local://"'
        )
    if values["folder"] is None:
        values["folder"] = f"~/afield/{project}"
    folders = read_folders(layers[1:], project=folder, there=values["folder"], mode=values["mode"])
    return Machine(name=name, origin=origin, folders=folders, **values)
