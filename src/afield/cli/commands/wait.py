"""Wait until jobs have ended. The exit status is the job's own, 128 + signal, or 125 when it has none (lost, skipped).

Of several it is that of the first, in the order of the words, that did not succeed; 0 when all did.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask
from afield.cli.jobs import add_job, worst_of
from afield.cli.parse import add_json, add_machine
from afield.cli.render_jobs import ended_lines

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    add_job(parser, several=True)


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Wait."""
    rows = ask("job-wait", args, terminal, jobs=args.jobs)
    terminal.result(rows, ended_lines(rows))
    return worst_of(rows)
