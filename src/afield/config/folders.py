"""Reads ``[folders.NAME]``: further folders of a project, each with its own folder there and its own sync settings. Pure.

Order, later wins: ``[folders.NAME]`` of ``afield.toml``, ``[machines.MACHINE.folders.NAME]``; a mode that is not given is the
project's. Rules: no two folders share a place on either side. What must not go in: which of them holds which (daemon).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from afield.config import schema
from afield.errors import ConfigError

KEY = "folders"


@dataclass(frozen=True)
class Folder:
    """``here`` is absolute, ``there`` absolute or in the home folder there (``~/``); the rest as in ``load.Machine``."""

    name: str
    here: str
    there: str
    mode: str = "two-way-safe"
    pull: tuple[str, ...] = ()
    push: tuple[str, ...] = ()
    two_way: tuple[str, ...] = ()
    keep_there: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    origin: dict[str, str] = field(default_factory=dict)


def check_tables(table: dict[str, Any], where: str) -> None:
    """Raise ConfigError for what cannot stand below ``folders`` in the table that is called ``where``."""
    tables = table.get(KEY, {})
    if not isinstance(tables, dict) or not all(isinstance(inner, dict) for inner in tables.values()):
        raise ConfigError(
            f"{where}: [folders.NAME] are tables", hint='write [folders.common] and below it here = "../common"'
        )
    known = [setting.name for setting in schema.FOLDER_SETTINGS]
    for name, inner in tables.items():
        schema.check_machine_name(name)
        for key in inner:
            if key not in known:
                raise schema.unknown_key(key, known, f"{where} [folders.{name}]")


def read_folders(
    layers: tuple[tuple[dict[str, Any], str], ...], *, project: str, there: str, mode: str
) -> tuple[Folder, ...]:
    """Give the folders of one machine, by name. ``layers``: (table that may have ``folders``, how to call it).

    ``project`` and ``there`` are the project's own folders, ``mode`` its mode. Raises ConfigError.
    """
    names = sorted({name for table, _ in layers for name in table.get(KEY, {})})
    found = tuple(_folder(name, layers, project=project, there=there, mode=mode) for name in names)
    _check_apart(found, project=project, there=there, where=layers[-1][1])
    return found


def _folder(
    name: str, layers: tuple[tuple[dict[str, Any], str], ...], *, project: str, there: str, mode: str
) -> Folder:
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for setting in schema.FOLDER_SETTINGS:
        value, source = setting.default, "default"
        for table, where in layers:
            given = table.get(KEY, {}).get(name, {})
            if setting.name in given:
                value, source = schema.check_value(setting, given[setting.name], f"{where} [folders.{name}]"), where
        values[setting.name.replace("-", "_")] = value
        origin[setting.name] = source
    for side in ("here", "there"):
        if values[side] is None:
            raise ConfigError(
                f"{layers[0][1]} [folders.{name}]: {side} is missing",
                hint='for example here = "../common" and there = "~/common"',
            )
    values["here"] = os.path.normpath(os.path.join(project, os.path.expanduser(values["here"])))
    values["there"] = below(there, values["there"])
    return Folder(name=name, origin=origin, **{**values, "mode": values["mode"] or mode})


def below(folder: str, path: str) -> str:
    """Give ``path`` as seen from ``folder`` at a place: absolute and ``~/`` stay, all else is below the folder."""
    apart = path == "~" or path.startswith(("/", "~/"))
    return os.path.normpath(path if apart else f"{folder.rstrip('/')}/{path}")


def _check_apart(folders: tuple[Folder, ...], *, project: str, there: str, where: str) -> None:
    used = {"here": {os.path.realpath(project): "the project"}, "there": {os.path.normpath(there): "the project"}}
    for folder in folders:
        for side, path in (("here", os.path.realpath(folder.here)), ("there", folder.there)):
            other = used[side].setdefault(path, f"folder {folder.name}")
            if other != f"folder {folder.name}":
                raise ConfigError(
                    f"{where}: folder {folder.name} and {other} are the same folder {side}: {path}",
                    hint="each folder needs a place of its own on both sides",
                )
