"""Sync now, or show what a sync would do.

A project that is up is synced all the time; this waits until both sides agree. --dry-run lists each step: what goes there,
what comes here, what is in conflict. --yes lets happen, once, what a guard holds back: many deletions, a folder that was moved
or replaced.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from afield.cli.asking import ask_plain
from afield.cli.parse import add_json, add_machine
from afield.cli.render import plan_text, synced_text
from afield.cli.several import add_several, for_each

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal
    from afield.config.load import Project


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    add_several(parser)
    parser.add_argument("-n", "--dry-run", action="store_true", help="only say what would happen")
    parser.add_argument(
        "-y",
        "--yes",
        action="store_true",
        help="agree to what a guard stopped, such as many deletions or a folder that was replaced",
    )


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Sync; exit status 1 when conflicts are left."""

    def one(project: Project, machine: str) -> dict[str, Any]:
        agreed = {"confirm": 1 << 62, "removals": True} if args.yes else {}
        fields = {"project": project.folder, "machine": machine, "dry_run": args.dry_run, **agreed}
        done: dict[str, Any] = ask_plain("sync", terminal, dial=(project.folder, machine), **fields)
        return done

    def text(project: Project, machine: str, done: dict[str, Any]) -> str:
        del project
        said = plan_text(done) if args.dry_run else synced_text(done)
        return said if not (args.all or args.on) else f"{machine}: {said}"

    return for_each(
        args,
        terminal,
        one,
        text=text,
        status=lambda done: 1 if done.get("conflicts") and not args.dry_run else 0,
        again=None if args.dry_run else lambda done: bool(done.get("here") or done.get("there")),
        add=added,
    )


def added(first: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    """Give what two syncs of one machine did together; what is open is what is open now."""
    return {**then, **{name: first.get(name, 0) + then.get(name, 0) for name in ("here", "there", "bytes")}}
