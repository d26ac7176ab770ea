"""List what runs there through afield, or end one of them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask
from afield.cli.parse import add_json, add_machine
from afield.cli.render import processes_text

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    parser.add_argument("--kill", metavar="ID", help="send a signal to the process group of this one")
    parser.add_argument("--signal", type=int, default=15, metavar="N", help="which signal (default 15, SIGTERM)")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """List or signal."""
    if args.kill:
        done = ask("kill", args, terminal, id=args.kill, signal=args.signal)
        terminal.result(done, f"signal {args.signal} sent")
        return 0
    found = ask("processes", args, terminal)
    terminal.result(found, processes_text(found))
    return 0
