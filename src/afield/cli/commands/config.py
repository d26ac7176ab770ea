"""Show every setting of a machine, its value and where it comes from."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.parse import add_json, add_machine
from afield.cli.render import config_text
from afield.config.explain import explain_machine
from afield.config.load import load_project

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Print the table."""
    project = load_project()
    machine = project.machine(args.machine)
    rows = explain_machine(machine)
    terminal.result(
        {"project": project.folder, "machine": machine.name, "settings": rows},
        config_text(project.folder, machine.name, rows),
    )
    return 0
