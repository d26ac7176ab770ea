"""Stop the sync and the link of this project.

The files stay on both sides. Programs that run there go on, unless --stop-agent.
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
    parser.add_argument("--stop-agent", action="store_true", help="end the agent there too, and what still runs")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Stop what is up."""
    done = ask("down", args, terminal, stop_agent=args.stop_agent)
    stopped = done.get("stopped") or []
    terminal.result(done, "stopped: " + ", ".join(str(item) for item in stopped) if stopped else "nothing was up")
    return 0
