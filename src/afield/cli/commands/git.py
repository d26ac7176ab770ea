"""Carry the git repository: commits, branches and tags of here and there, with git itself.

  afield git sync

Files are synced first; then branches go forward on the side that is behind, and `git log`, `git diff`, builds that take their
version from git, and commits work on both sides. A branch that went apart is told and left alone: its other end stands here as
refs/afield/MACHINE/heads/BRANCH, to be merged. With `git = true` below [sync] this happens by itself.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from afield.cli.asking import ask, project_of
from afield.cli.parse import add_json, add_machine

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    parser.add_argument("what", choices=["sync"], help="sync: carry commits, branches and tags both ways")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Carry; exit status 1 when branches went apart."""
    done = ask("git-sync", args, terminal)
    _, machine = project_of(args)
    terminal.result(done, git_text(done, machine))
    return 1 if done.get("apart") else 0


def git_text(done: dict[str, Any], machine: str) -> str:
    """Give the lines for people."""
    lines = [f"{side}: {text}" for side in ("here", "there") for text in done.get(side) or []]
    lines += [
        f"branch {name} went apart; to merge, commit what the file sync brought, then: git merge refs/afield/{machine}/heads/{name}"
        for name in done.get("apart") or []
    ]
    lines += [f"note: {note}" for note in done.get("notes") or []]
    return "\n".join(lines) or "both sides have the same commits, branches and tags"
