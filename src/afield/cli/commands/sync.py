"""Sync now, or show what a sync would do.

A project that is up is synced all the time; this waits until both sides agree. --dry-run lists each step: what goes there,
what comes here, what is in conflict.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask
from afield.cli.parse import add_json, add_machine
from afield.cli.render import plan_text, synced_text

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    parser.add_argument("-n", "--dry-run", action="store_true", help="only say what would happen")
    parser.add_argument(
        "-y", "--yes", action="store_true", help="agree to what a guard stopped, such as many deletions"
    )


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Sync; exit status 1 when conflicts are left."""
    done = ask("sync", args, terminal, dry_run=args.dry_run, confirm=1 << 62 if args.yes else None)
    terminal.result(done, plan_text(done) if args.dry_run else synced_text(done))
    return 1 if done.get("conflicts") and not args.dry_run else 0
