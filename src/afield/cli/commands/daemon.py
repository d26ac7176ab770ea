"""Start or stop the background process, or read its log. It starts by itself when it is needed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask_plain
from afield.cli.parse import add_json, whole
from afield.cli.terminal import one_line
from afield.errors import DaemonError

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_json(parser)
    parser.add_argument("action", choices=("start", "stop", "log", "info"), help="what to do")
    parser.add_argument("-n", "--lines", type=whole(0), default=50, help="how many lines of the log")
    parser.add_argument("--force", action="store_true", help="stop also while programs run there")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Do it; stopping what does not run is success."""
    if args.action in ("start", "info"):
        try:
            found = ask_plain("hello", terminal, start=args.action == "start")
        except DaemonError:
            if args.action == "start":
                raise
            terminal.result(None, "afield is not running")
            return 1
        terminal.result(found, f"running, process {found['pid']}, version {found['version']}")
        return 0
    if args.action == "log":
        found = ask_plain("log", terminal, lines=args.lines)
        terminal.result(found, "\n".join(found["lines"]))
        return 0
    from afield.control.client import stop

    try:
        done = stop(force=args.force)
    except DaemonError:
        terminal.result({"stopping": False}, "afield is not running")
        return 0
    keeps = done.get("keeps") or []
    stopped = bool(done.get("stopping"))
    terminal.result(done, "stopped" if stopped else "still in use: " + ", ".join(one_line(str(item)) for item in keeps))
    if not stopped:
        terminal.note(
            "hint: afield daemon stop --force (programs there go on, what is up comes up again with the next one)"
        )
    return 0 if stopped else 1
