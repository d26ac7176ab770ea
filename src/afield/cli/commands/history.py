"""List what syncs replaced or deleted on either side, newest first. Kept for 30 days or 2 GB on each side.

`afield undo PATH` brings the last version of a path back, `afield undo --event EVENT` one of this list.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask, root_of
from afield.cli.parse import add_folder, add_json, add_machine, whole
from afield.cli.paths import project_path
from afield.cli.render_files import history_text

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_folder(parser)
    add_json(parser)
    parser.add_argument("path", nargs="?", help="only this path and what is below it")
    parser.add_argument("--side", choices=("here", "there"), help="only this side")
    parser.add_argument(
        "-n", "--limit", type=whole(1), default=200, metavar="COUNT", help="at most so many (default: 200)"
    )


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Print the events."""
    path = project_path(args.path, root_of(args)) if args.path is not None else None
    found = ask("history", args, terminal, path=path or None, side=args.side, limit=max(1, args.limit))
    terminal.result(found, history_text(found))
    return 0
