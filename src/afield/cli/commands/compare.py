"""Show what differs in a folder here and there, by content, without a sync; the project need not be up.

→ is only here, ← only there, ≠ has another content, x another executable bit, ! is another kind of thing. What is left out
of the sync is not compared. Exit status 1 when anything differs.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from afield.cli.asking import ask, root_of
from afield.cli.parse import add_folder, add_json, add_machine
from afield.cli.paths import project_path
from afield.cli.render_files import compare_text

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_folder(parser)
    add_json(parser)
    parser.add_argument(
        "path", nargs="?", help="a folder or file of the project (default: this folder, or all of --folder)"
    )


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Compare."""
    given = args.path or ("." if args.folder is None else "")
    found = ask("compare", args, terminal, path=project_path(given, root_of(args)) if given else "")
    terminal.result(found, compare_text(found))
    return 1 if found["rows"] else 0
