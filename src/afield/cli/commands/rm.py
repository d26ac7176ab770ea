"""Remove jobs that have ended, with all that is kept of their output. Files that they wrote are not touched.

afield rm train        this one
afield rm --ended      all of this project's that have ended
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask
from afield.cli.jobs import add_job
from afield.cli.parse import add_json, add_machine
from afield.cli.terminal import one_line
from afield.errors import UsageError

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    add_job(parser, several=True, optional=True)
    parser.add_argument("--ended", action="store_true", help="all of this project's that have ended")
    parser.add_argument("--force", action="store_true", help="end a job that runs, too")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Remove."""
    if not args.jobs and not args.ended:
        raise UsageError("no job was named", hint="afield rm JOB, or afield rm --ended")
    done = ask("job-remove", args, terminal, jobs=args.jobs, ended=args.ended, force=args.force)
    terminal.result(
        done, "\n".join(f"removed {one_line(str(name))}" for name in done["removed"]) or "nothing to remove"
    )
    return 0
