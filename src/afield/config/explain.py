"""Tells each setting's value and where it comes from. Pure: a Machine in, rows out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.config.schema import SETTINGS

if TYPE_CHECKING:
    from afield.config.load import Machine


def explain_machine(machine: Machine) -> list[dict[str, Any]]:
    """Give one row a setting: ``key``, ``value`` (plain), ``from`` and ``help``, in the table's order."""
    rows = []
    for setting in SETTINGS:
        value = getattr(machine, setting.name.replace("-", "_"))
        plain = list(value) if isinstance(value, tuple) else value
        rows.append(
            {
                "key": setting.key,
                "value": plain,
                "from": machine.origin.get(setting.key, "default"),
                "help": setting.help,
            }
        )
    return rows
