"""Say which rule leaves a path out of the sync, in which file and line; without a path, name the biggest things left out.

Needs no link. Exit status 1 when a path is not left out, as with `git check-ignore`.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask, root_of
from afield.cli.parse import add_folder, add_json, add_machine
from afield.cli.paths import project_path
from afield.cli.render_files import ignored_text, left_out_text

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_folder(parser)
    add_json(parser)
    parser.add_argument("paths", nargs="*", metavar="path", help="a file or folder of the project")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Explain."""
    folder = root_of(args)
    paths = [path for path in (project_path(text, folder) for text in args.paths) if path]
    if not paths:
        found = ask("ignored", args, terminal)
        terminal.result(found, left_out_text(found))
        return 0
    rows = [ask("ignored", args, terminal, path=path) for path in paths]
    terminal.result(rows if len(rows) > 1 else rows[0], "\n".join(map(ignored_text, rows)))
    return 0 if all(row["ignored"] for row in rows) else 1
