"""Say why a path is as it is: which rule decides, which side changed it and when, and what the next sync would do."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask, root_of
from afield.cli.parse import add_folder, add_json, add_machine
from afield.cli.paths import project_path
from afield.cli.render_files import why_text
from afield.errors import UsageError

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_folder(parser)
    add_json(parser)
    parser.add_argument("path", help="a file or folder of the project")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Explain."""
    path = project_path(args.path, root_of(args))
    if not path:
        raise UsageError("expected a path below the project's folder", hint="afield status tells of the whole")
    told = ask("why", args, terminal, path=path)
    terminal.result(told, why_text(told))
    return 0
