"""Show what the place has: system, Pythons, memory, disks, GPUs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask
from afield.cli.parse import add_json, add_machine
from afield.cli.render import facts_text

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Print the facts."""
    found = ask("facts", args, terminal)
    terminal.result(found, facts_text(found))
    return 0
