"""Stop the sync and the link of this project.

The files stay on both sides. Programs that run there go on, unless --stop-agent.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from afield.cli.asking import ask_plain
from afield.cli.parse import add_json, add_machine
from afield.cli.several import add_several, for_each

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal
    from afield.config.load import Project


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    add_several(parser)
    parser.add_argument("--stop-agent", action="store_true", help="end the agent there too, and what still runs")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Stop what is up."""

    def one(project: Project, machine: str) -> dict[str, Any]:
        fields = {"project": project.folder, "machine": machine, "stop_agent": args.stop_agent}
        done: dict[str, Any] = ask_plain("down", terminal, dial=(project.folder, machine), **fields)
        return done

    def text(project: Project, machine: str, done: dict[str, Any]) -> str:
        del project
        stopped = ", ".join(str(item) for item in done.get("stopped") or [])
        said = f"stopped: {stopped}" if stopped else "nothing was up"
        count = int(done.get("jobs") or 0)
        if count:
            goes = "1 job goes" if count == 1 else f"{count} jobs go"
            said += f"; {goes} on there: afield jobs --all"
        return said if not (args.all or args.on) else f"{machine}: {said}"

    return for_each(args, terminal, one, text=text)
