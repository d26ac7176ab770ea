"""Copy a file or a folder from there to here.

A broken transfer goes on where it stopped, and each file's SHA-256 is checked.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from afield.cli.asking import ask, here_path, there_path
from afield.cli.parse import add_json, add_machine
from afield.cli.render import copied_text

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    parser.add_argument("path", help="the file or folder there")
    parser.add_argument("to", nargs="?", default=".", help="where to put it here (default: this folder)")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Copy."""
    target = here_path(args.to)
    if os.path.isdir(target):
        target = os.path.join(target, os.path.basename(there_path(args.path)) or "files")
    done = ask("get", args, terminal, path=there_path(args.path), to=target)
    terminal.result(done, copied_text(done, target))
    return 0
