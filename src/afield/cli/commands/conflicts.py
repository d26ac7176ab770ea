"""List the paths that changed on both sides since they last agreed.

Nothing is lost meanwhile: each side keeps its own version. `afield diff` shows how they differ, `afield resolve` settles
them. Exit status 1 when there are any.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask
from afield.cli.parse import add_folder, add_json, add_machine
from afield.cli.render_files import conflicts_text

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_folder(parser)
    add_json(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """List."""
    found = ask("conflicts", args, terminal)
    terminal.result(found, conflicts_text(found))
    return 1 if found else 0
