"""Tells each setting's value and where it comes from. Pure: a Machine in, rows out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.config.schema import FOLDER_SETTINGS, SETTINGS

if TYPE_CHECKING:
    from afield.config.load import Machine
    from afield.config.schema import Setting


def explain_machine(machine: Machine) -> list[dict[str, Any]]:
    """Give one row a setting: ``key``, ``value`` (plain), ``from`` and ``help``, in the table's order; then those of further folders."""
    rows = [_row(each.key, machine, each, machine.origin.get(each.key, "default")) for each in SETTINGS]
    for folder in machine.folders:
        for setting in FOLDER_SETTINGS:
            source = folder.origin.get(setting.name, "default")
            rows.append(_row(f"folders.{folder.name}.{setting.name}", folder, setting, source))
    return rows


def _row(key: str, holder: object, setting: Setting, source: str) -> dict[str, Any]:
    value = getattr(holder, setting.attribute)
    plain = list(value) if isinstance(value, tuple) else value
    return {"key": key, "value": plain, "from": source, "help": setting.help}
