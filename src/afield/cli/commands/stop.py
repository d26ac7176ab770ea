"""End jobs: SIGTERM to the process group, SIGKILL when it still lives after 10 s; waits for the end.

A job that only waits is given up. Asked twice, or by two at once, it is the same.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask
from afield.cli.commands.processes import signal_number
from afield.cli.jobs import add_job
from afield.cli.parse import add_json, add_machine, seconds
from afield.cli.render_jobs import ended_lines

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    add_job(parser, several=True)
    parser.add_argument(
        "--signal",
        type=signal_number,
        default=15,
        metavar="S",
        help="another one first, by number or name (default TERM)",
    )
    parser.add_argument("--grace", type=seconds, default=10.0, metavar="S", help="seconds until SIGKILL (default 10)")
    parser.add_argument("--now", action="store_true", help="SIGKILL at once")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Stop."""
    number = 9 if args.now else args.signal
    rows = ask("job-stop", args, terminal, jobs=args.jobs, signal=number, grace=max(0, int(args.grace * 1000)))
    terminal.result(rows, ended_lines(rows))
    return 0
