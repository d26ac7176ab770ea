"""Bring back what a sync replaced or deleted, here or there.

  afield undo notes.md          the version before the last one
  afield undo src               a deleted folder, with all that was in it
  afield undo                   all that the last change replaced or deleted (also: --last)
  afield undo --event 3f9c01ab  one line of `afield history`

What stands there now goes to the history first, so an undo can be undone: say it again. A path in conflict is left alone
unless --force is given.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask, root_of
from afield.cli.parse import add_folder, add_json, add_machine
from afield.cli.paths import project_path
from afield.cli.render_files import restored_text
from afield.errors import UsageError

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_folder(parser)
    add_json(parser)
    parser.add_argument("path", nargs="?", help="the file or folder to bring back")
    parser.add_argument("--last", action="store_true", help="what the last change replaced or deleted (the default)")
    parser.add_argument("--event", help="this event of `afield history`")
    parser.add_argument(
        "--side", choices=("here", "there"), help="which side's history (default: where the last event was)"
    )
    parser.add_argument("-f", "--force", action="store_true", help="also a path that is in conflict")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Restore."""
    if args.last and (args.path is not None or args.event is not None):
        raise UsageError("--last stands alone: it names no path")
    path = project_path(args.path, root_of(args)) if args.path is not None else None
    done = ask("undo", args, terminal, path=path or None, event=args.event, side=args.side, force=args.force)
    terminal.result(done, restored_text(done))
    return 0
