"""Settle conflicts: one side wins, both versions stay, or the texts are merged.

What loses goes to the history, so every settlement can be undone: `afield undo PATH`.

  afield resolve notes.md --here       what is here wins
  afield resolve --all --there         what is there wins, for all conflicts
  afield resolve notes.md --both       the version from there stays as notes.there.md
  afield resolve src --merge           merge each text below src line by line

A merge needs the text that both sides had before; afield keeps it for files up to 256 KiB. Where both sides changed the
same lines the conflict stays, unless --markers asks for the text with conflict markers. Exit status 1 when any stays.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from afield.cli.asking import ask, root_of
from afield.cli.parse import add_folder, add_json, add_machine
from afield.cli.paths import project_path
from afield.cli.render_files import settled_text
from afield.errors import UsageError

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_folder(parser)
    add_json(parser)
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--here", dest="way", action="store_const", const="here", help="what is here wins")
    way.add_argument("--there", dest="way", action="store_const", const="there", help="what is there wins")
    way.add_argument("--both", dest="way", action="store_const", const="both", help="keep both, under two names")
    way.add_argument("--merge", dest="way", action="store_const", const="merge", help="merge texts line by line")
    parser.add_argument("--markers", action="store_true", help="with --merge: mark what both sides changed in the text")
    parser.add_argument("-a", "--all", action="store_true", help="all conflicts")
    parser.add_argument("paths", nargs="*", help="files, or folders with all conflicts below them")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Settle."""
    if bool(args.paths) == args.all:
        raise UsageError("expected paths or --all", hint="list the conflicts with: afield conflicts")
    if args.markers and args.way != "merge":
        raise UsageError("--markers goes with --merge only")
    wanted: dict[str | None, list[str]] = {}
    if args.all:
        for item in ask("conflicts", args, terminal):
            wanted.setdefault(item.get("folder"), []).append(item["path"])
    else:
        root = root_of(args)
        wanted[None] = [project_path(path, root) for path in args.paths]
        if "" in wanted[None]:
            raise UsageError("the whole project is meant by --all")
    done: dict[str, Any] = {"settled": [], "open": [], "renamed": [], "marked": []}
    for folder, paths in wanted.items():
        told = ask("settle", args, terminal, paths=paths, keep=args.way, markers=args.markers, folder=folder)
        for name, rows in done.items():
            rows += [_inside(folder, row) for row in told.get(name) or ()]
    terminal.result(done, settled_text(done) or "no conflicts")
    return 1 if done["open"] else 0


def _inside(folder: str | None, row: Any) -> Any:
    """Name the further folder of the project that a path is in."""
    if folder is None:
        return row
    return f"{folder}: {row}" if isinstance(row, str) else {**row, "path": f"{folder}: {row['path']}"}
