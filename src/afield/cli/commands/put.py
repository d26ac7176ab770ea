"""Copy files and folders from here to there.

  afield put data.csv                  to the project's folder there
  afield put model.pt ~/models/        a trailing / means: into this folder
  afield put 'logs/*.txt' notes old/   several, or a quoted pattern: the last word is the folder there

The path there is below the project's folder unless it begins with `/` or `~/`. A copy of a large file that was cut off goes on
where it stopped when it is said again, and each file's SHA-256 is checked.
"""

from __future__ import annotations

import argparse
import os
import shlex
from typing import TYPE_CHECKING, Any

from afield.cli.asking import ask, there_path
from afield.cli.commands.get import summed
from afield.cli.parse import add_json, add_machine
from afield.cli.paths import has_magic, here_matching
from afield.cli.render import copied_text
from afield.errors import WrongKind

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    parser.add_argument("paths", nargs="+", metavar="from", help="the file, folder or quoted pattern here")
    parser.usage = "afield put [-h] [-m NAME] [--json] from [from ...] [path]"


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Copy."""
    words = args.paths[:-1] if len(args.paths) > 1 else args.paths
    to = args.paths[-1] if len(args.paths) > 1 else None
    sources = [path for word in words for path in here_matching(word)]
    into = _is_folder(to) or len(sources) > 1 or any(map(has_magic, words))
    done: list[dict[str, Any]] = []
    for source in sources:
        name = os.path.basename(source)
        folder = "" if to is None else to if to.endswith("/") else to + "/"
        target = there_path(folder + name if into else str(to))
        fields: dict[str, Any] = {"path": target, "from": source}  # "from" is a keyword of Python's
        try:
            done.append({**ask("put", args, terminal, **fields), "to": target})
        except WrongKind as error:
            if not into:
                error.hint = f"a slash at the end means: into that folder: afield put {shlex.join([*words, f'{to}/'])}"
            raise
    total = summed(done)
    terminal.result(total, copied_text(total, done[0]["to"] if len(done) == 1 else str(to or ".")))
    return 0


def _is_folder(to: str | None) -> bool:
    """Whether a path there can only be meant as a folder that is there."""
    return to is None or to == "~" or to.endswith("/") or os.path.basename(to) in (".", "..")
