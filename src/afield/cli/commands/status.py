"""Show links, sync, conflicts, agents and forwards. Never starts anything."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask_plain
from afield.cli.parse import add_json
from afield.cli.render import status_text
from afield.config.find import find_project
from afield.errors import DaemonError

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_json(parser)
    parser.add_argument("-a", "--all", action="store_true", help="all projects, not only this one")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Print the state; exit status 0 also when nothing runs."""
    import os

    project = None if args.all else find_project(os.getcwd())
    try:
        state = ask_plain("status", terminal, start=False, project=project)
    except DaemonError:
        terminal.result({"daemon": None}, "afield is not running; start with: afield up")
        return 0
    terminal.result(state, status_text(state))
    return 0
