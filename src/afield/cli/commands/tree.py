"""Draw a folder there and all below it. A relative path is below the project's folder there; `~/` is the home folder there."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask, there_path
from afield.cli.parse import add_json, add_machine, whole
from afield.cli.render_files import tree_text

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    parser.add_argument("path", nargs="?", default="", help="the folder there")
    parser.add_argument("-L", "--level", type=whole(1), default=64, metavar="DEPTH", help="so many levels")
    parser.add_argument("-a", "--all", action="store_true", help="names that begin with a dot too")
    parser.add_argument("-d", "--folders", action="store_true", help="folders only")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Draw."""
    found = ask("ls", args, terminal, path=there_path(args.path), long=True, depth=max(1, args.level))
    terminal.result(found, tree_text(args.path, found, hidden=args.all, only_folders=args.folders))
    return 0
