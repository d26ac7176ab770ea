"""List the paths that changed on both sides since they last agreed, or settle them.

Nothing is lost meanwhile: each side keeps its own version, and what a settlement replaces goes to the history.

  afield conflicts                         list
  afield conflicts --here notes.txt        this side's version wins
  afield conflicts --there --all           the other side's versions win
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask
from afield.cli.parse import add_json, add_machine
from afield.cli.render import conflicts_text
from afield.errors import UsageError

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    side = parser.add_mutually_exclusive_group()
    side.add_argument("--here", action="store_true", help="settle: what is here wins")
    side.add_argument("--there", action="store_true", help="settle: what is there wins")
    parser.add_argument("--all", action="store_true", help="settle all of them")
    parser.add_argument("paths", nargs="*", help="the paths to settle, below the project's folder")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """List (exit status 1 when there are any) or settle."""
    if not (args.here or args.there):
        if args.paths or args.all:
            raise UsageError("say which side wins", hint="add --here or --there")
        found = ask("conflicts", args, terminal)
        terminal.result(found, conflicts_text(found))
        return 1 if found else 0
    paths = args.paths or ([item["path"] for item in ask("conflicts", args, terminal)] if args.all else [])
    if not paths:
        raise UsageError("no path to settle", hint="name paths, or --all")
    done = ask("settle", args, terminal, paths=paths, keep="here" if args.here else "there")
    terminal.result(done, "\n".join(f"settled {path}" for path in done.get("settled") or []))
    return 0
