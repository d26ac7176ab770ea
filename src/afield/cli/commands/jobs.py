"""List the jobs of this project, or with --all every job of yours at the place.

A job is started by `afield run -d …` or `afield python -d …`; it runs on without the link, the daemon and this machine.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from afield.cli.asking import ask
from afield.cli.parse import add_json, add_machine
from afield.cli.render_jobs import jobs_text

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    parser.add_argument("-a", "--all", action="store_true", help="also those of other projects")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """List."""
    rows = ask("jobs", args, terminal, all=args.all)
    terminal.result(rows, jobs_text(rows, time.time(), every=args.all, width=terminal.width))
    return 0
