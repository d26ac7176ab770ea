"""Bring back what the last sync replaced or deleted, here or there.

Without a path the last event is undone; --event takes a number of `afield history`. What stands there now goes to the
history first, so an undo can be undone.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask
from afield.cli.parse import add_json, add_machine

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    parser.add_argument("path", nargs="?", help="bring back this path (below the project's folder)")
    parser.add_argument("--event", type=int, help="bring back this event of `afield history`")
    parser.add_argument(
        "--side", choices=("here", "there"), help="which side's history (default: where the last event was)"
    )


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Restore."""
    done = ask("undo", args, terminal, path=args.path, event=args.event, side=args.side)
    restored = done.get("restored") or []
    names = (
        [restored]
        if isinstance(restored, str)
        else [str(item.get("path", item)) if isinstance(item, dict) else str(item) for item in restored]
    )
    terminal.result(done, "\n".join(f"restored {name}" for name in names))
    return 0
