"""Copy files and folders from there to here.

  afield get runs/7/model.pt                 into this folder
  afield get 'runs/*/metrics.csv' results    what matches there, below results: quote patterns
  afield get a.csv b.csv /tmp                several: the last word is the folder here

Patterns are those of a shell, and `**` stands for any number of folders. A copy that was cut off goes on where it stopped when
it is said again, and each file's SHA-256 is checked.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from afield.cli.asking import ask, here_path, there_path
from afield.cli.parse import add_json, add_machine
from afield.cli.paths import has_magic
from afield.cli.render import copied_text
from afield.errors import WrongKind

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    parser.add_argument("paths", nargs="+", metavar="path", help="the file, folder or quoted pattern there")
    # argparse gives all to the first; the words are told apart in run, as cp does it.
    parser.usage = "afield get [-h] [-m NAME] [--json] path [path ...] [to]"


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Copy."""
    sources, to = (args.paths[:-1], args.paths[-1]) if len(args.paths) > 1 else (args.paths, ".")
    target = here_path(to)
    into = os.path.isdir(target) or to.endswith("/") or len(sources) > 1
    if into and os.path.lexists(target) and not os.path.isdir(target):
        raise WrongKind(f"{target} is not a folder", hint="several paths go into a folder")
    done: list[dict[str, Any]] = []
    for source in sources:
        path = there_path(source)
        magic = has_magic(source)
        named = os.path.join(target, os.path.basename(path) or "files") if into and not magic else target
        if into and not magic:
            os.makedirs(target, exist_ok=True)
        done.append({**ask("get", args, terminal, path=path, to=named, glob=magic), "to": named})
    total = summed(done)
    terminal.result(total, copied_text(total, done[0]["to"] if len(done) == 1 else target))
    return 0


def summed(done: list[dict[str, Any]]) -> dict[str, Any]:
    """Give one result for several copies; that of one stays as it is."""
    if len(done) == 1:
        return done[0]
    return {
        "files": sum(int(each.get("files") or 0) for each in done),
        "bytes": sum(int(each.get("bytes") or 0) for each in done),
        "copies": done,
    }
