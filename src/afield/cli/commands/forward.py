"""Carry a port: a program that listens there becomes reachable here, or (--reverse) one that listens here there.

afield forward 8000              127.0.0.1:8000 here → port 8000 there
afield forward 8001:8000         another number here
afield forward 8001:db:5432      a host that the place can reach
afield forward /tmp/s:8000       a unix socket here; a path may stand for either port
afield forward --list | --stop ID
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask, ask_plain
from afield.cli.parse import add_json, add_machine, whole
from afield.cli.render import forwards_text
from afield.errors import UsageError

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    parser.add_argument("spec", nargs="*", help="PORT, HERE:THERE or HERE:HOST:THERE")
    parser.add_argument("-r", "--reverse", action="store_true", help="listen there, connect here")
    parser.add_argument("--list", action="store_true", help="list what is carried")
    parser.add_argument("--stop", type=whole(0), metavar="ID", help="end one")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Start, list or stop."""
    if args.list:
        found = ask_plain("forwards", terminal)
        terminal.result(found, forwards_text(found))
        return 0
    if args.stop is not None:
        done = ask_plain("forward-stop", terminal, id=args.stop)
        terminal.result(done, f"stopped {args.stop}")
        return 0
    if not args.spec:
        raise UsageError("no port named", hint="for example: afield forward 8000")
    done = [ask("forward", args, terminal, spec=spec, reverse=args.reverse) for spec in args.spec]
    terminal.result(done, forwards_text(done))
    return 0
