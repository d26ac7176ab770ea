"""List what syncs replaced or deleted, newest first. Kept for 30 days or 2 GB on each side."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask
from afield.cli.parse import add_json, add_machine
from afield.cli.render import history_text

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    parser.add_argument("path", nargs="?", help="only this path")
    parser.add_argument("--side", choices=("here", "there"), help="only this side")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Print the events."""
    found = ask("history", args, terminal, path=args.path, side=args.side)
    terminal.result(found, history_text(found))
    return 0
