"""See it all in a minute: a small project, a place, every main command, and a table of what happened and how long it took.

Without an argument the place is a folder of its own on this machine (local://). Nothing of yours is touched: the demo has its
own daemon, settings and project in a temporary folder, and removes them. `afield demo ssh://me@host` does the same there.
"""

from __future__ import annotations

import argparse
import textwrap
from typing import TYPE_CHECKING, Any

from afield.cli.demo import Demo
from afield.cli.parse import add_json, add_ssh
from afield.cli.render import table

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_json(parser)
    parser.add_argument("place", nargs="?", default="local://", help="ssh://user@host or local:// (default)")
    add_ssh(parser)
    parser.add_argument("--keep", action="store_true", help="leave the demo's project and what is there, and say where")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Run the steps; exit status 1 when one did not do what it shows."""
    demo = Demo(args.place, ssh_words=tuple(args.ssh), keep=args.keep, say=terminal.note)
    rows = demo.run()
    count = sum(row["ok"] for row in rows)
    good = count == len(rows)
    text = f"{demo_text(rows, terminal.width)}\n{count} of {len(rows)} steps did what they show"
    terminal.result({"place": args.place, "ok": good, "steps": rows}, text)
    return 0 if good else 1


def demo_text(rows: list[dict[str, Any]], width: int | None) -> str:
    """Give the table. Pure. ``width``: columns of the terminal, so that what happened is wrapped below itself."""
    front = [["", "step", "took"]]
    front += [["✓" if row["ok"] else "✗", row["step"], took(row["seconds"])] for row in rows]
    begins = table(front).split("\n")
    indent = max(map(len, begins)) + 2
    # In less than 20 columns words would be cut: there the terminal may wrap.
    room = max(20, width - indent) if width is not None else None
    lines = []
    for begin, what in zip(begins, ["what happened", *(str(row["what"]) for row in rows)], strict=True):
        pieces = textwrap.wrap(what, room) if room is not None else [" ".join(what.split())]
        lines.append(begin.ljust(indent) + (pieces[0] if pieces else ""))
        lines += [" " * indent + piece for piece in pieces[1:]]
    return "\n".join(lines)


def took(seconds: float) -> str:
    """Give a duration in the unit that fits."""
    return (
        f"{seconds * 1000:.1f} ms"
        if seconds < 0.1
        else f"{seconds * 1000:.0f} ms"
        if seconds < 10
        else f"{seconds:.1f} s"
    )
