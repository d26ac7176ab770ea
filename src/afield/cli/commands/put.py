"""Copy a file or a folder from here to there.

The path there is below the project's folder unless it begins with `/` or `~/`. A broken transfer goes on where it stopped,
and each file's SHA-256 is checked.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from afield.cli.asking import ask, here_path, there_path
from afield.cli.parse import add_json, add_machine
from afield.cli.render import copied_text
from afield.errors import NoSuchFile

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    parser.add_argument("source", metavar="from", help="the file or folder here")
    parser.add_argument(
        "path", nargs="?", help="where to put it there (default: its own name); a trailing / means: into this folder"
    )


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Copy."""
    source = here_path(args.source)
    if not os.path.lexists(source):
        raise NoSuchFile(f"{source} does not exist")
    name = os.path.basename(source)
    target = name if args.path is None else args.path + name if args.path.endswith("/") else args.path
    fields: dict[str, Any] = {"path": there_path(target), "from": source}  # "from" is a keyword of Python's
    done = ask("put", args, terminal, **fields)
    terminal.result(done, copied_text(done, target))
    return 0
