"""Check everything that can go wrong between here and the place, and say what to do about it; exit status 1 when something fails."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from afield.cli.asking import ask
from afield.cli.parse import add_json, add_machine
from afield.cli.terminal import colour, printable

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal

_SIGNS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Print the report."""
    found = ask("doctor", args, terminal)
    terminal.result(found, doctor_text(found))
    return 0 if found["ok"] else 1


def doctor_text(found: dict[str, Any]) -> str:
    """Give one line a row, with its hint below."""
    lines = []
    for row in found["rows"]:
        sign, tint = _SIGNS.get(row["state"], ("?", "yellow"))
        lines.append(f"{colour(sign, tint)} {row['name']:<10} {printable(str(row['text']))}")
        if row.get("hint"):
            lines.append(f"  {'':<10} hint: {printable(str(row['hint']))}")
    return "\n".join(lines)
