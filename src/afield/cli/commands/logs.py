"""Print the output of a job, from its begin or from where it is asked for; -f goes on until the job ends.

afield logs train                  all that is kept: stdout and stderr, each where it belongs
afield logs -f train               the last lines, then what comes; Ctrl-C leaves, the job goes on
afield logs -n 20 --times train    the last 20 lines, with the time of each
afield logs --since 10min train    what came since then: 30s, 10min, 2h, 1d, or 2026-11-21T09:30
"""

from __future__ import annotations

import argparse
import re
import time
from datetime import datetime
from typing import TYPE_CHECKING

from afield.cli.jobs import add_job, look, named
from afield.cli.parse import add_machine, whole

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal

_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
# What `tail -f` shows first; one screen.
_FOLLOWED = 24


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_job(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes, until the job ends")
    parser.add_argument(
        "-n", "--lines", type=whole(0), metavar="N", help=f"begin with the last N lines (with -f: {_FOLLOWED})"
    )
    parser.add_argument("--since", type=moment, metavar="TIME", help="begin with what came then")
    parser.add_argument("-t", "--times", action="store_true", help="put the time before each line")
    parser.add_argument("--stderr", action="store_true", help="standard error alone")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Print."""
    words = [named(args, terminal, args.job)["id"]]
    lines = args.lines if args.lines is not None or args.since is not None or not args.follow else _FOLLOWED
    words += [f"lines={lines}"] if lines is not None else []
    words += [f"since={int(args.since * 1_000_000)}"] if args.since is not None else []
    words += [word for word in ("follow", "times") if getattr(args, word)]
    words += ["only_err"] if args.stderr else []
    return look(args, words)


def moment(text: str, now: float | None = None) -> float:
    """Read a time: a span back from now, or a date; gives seconds since the epoch. Raises ArgumentTypeError."""
    span = re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|m|h|d)", text)
    if span is not None:
        return max(0.0, (time.time() if now is None else now) - float(span[1]) * _UNITS[span[2]])
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"expected a time such as 10min, 2h or 2026-11-21T09:30, got {text!r}"
        ) from None
