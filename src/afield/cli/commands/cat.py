"""Print a file that is there, byte for byte."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from afield.cli.asking import ask, there_path
from afield.cli.parse import add_machine

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    parser.add_argument("path", nargs="+", help="the file there")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Print each file."""
    for path in args.path:
        ask("cat", args, terminal, path=there_path(path))
    sys.stdout.buffer.flush()
    return 0
