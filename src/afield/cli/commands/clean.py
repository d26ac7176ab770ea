"""Remove every trace of afield from the place: the agent, its caches, its history, and the project's folder there.

Refuses when a file there is not here as well, unless --force. --keep-files leaves the project's folder alone.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from afield.cli.asking import ask
from afield.cli.parse import add_json, add_machine
from afield.cli.terminal import one_line

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    parser.add_argument("-n", "--dry-run", action="store_true", help="say what would be removed")
    parser.add_argument("--keep-files", action="store_true", help="leave the project's folder there")
    parser.add_argument("--keep-other-jobs", action="store_true", help="end and remove only the jobs of this project")
    parser.add_argument("--force", action="store_true", help="remove files there that are not here as well")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Show what would go, ask, remove."""
    fields: dict[str, Any] = {"files": not args.keep_files, "force": args.force, "others": not args.keep_other_jobs}
    if args.dry_run or not args.yes:
        plan = ask("clean", args, terminal, dry_run=True, **fields)
        listed = [one_line(str(item)) for item in plan.get("would_remove") or []]
        if args.dry_run:
            terminal.result(plan, "\n".join(listed) or "nothing to remove")
            return 0
        if not terminal.confirm("remove there:\n  " + "\n  ".join(listed) + "\nremove all of it?"):
            return 1
    done = ask("clean", args, terminal, dry_run=False, **fields)
    gone = ask("mirror-remove", args, terminal)["removed"]  # a copy of what is there, so it goes with it
    if gone:
        done["removed"] = [*(done.get("removed") or []), f"the mirror here ({gone} files)"]
    removed = done.get("removed") or []
    terminal.result(done, "\n".join(f"removed {one_line(str(item))}" for item in removed) or "nothing to remove")
    return 0
