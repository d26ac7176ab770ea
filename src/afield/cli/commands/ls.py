"""List a folder there. A relative path is below the project's folder there; `~/` is the home folder there."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask, there_path
from afield.cli.parse import add_json, add_machine
from afield.cli.render import listing_text

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    parser.add_argument("path", nargs="?", default="", help="the folder there")
    parser.add_argument("-l", "--long", action="store_true", help="mode, size and time too")
    parser.add_argument("-R", "--recursive", action="store_true", help="what is below, too")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Print the entries."""
    found = ask(
        "ls", args, terminal, path=there_path(args.path), long=args.long or args.json, depth=64 if args.recursive else 1
    )
    found.sort(key=lambda entry: str(entry["name"]).split("/"))
    terminal.result(found, listing_text(found["entries"] if isinstance(found, dict) else found, long=args.long))
    return 0
