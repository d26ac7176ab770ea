"""Show how a path differs here and there; without a path, how each conflict does.

`-` lines are here, `+` lines are there. --base compares both sides with the text that they had in common. --tool runs a
program with the two files (and with --base a third, the common one): afield diff --tool 'code --wait --diff' x.py.
The file here is the real one; the others are copies that nothing reads back. Exit status 1 when anything differs.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

from afield.cli.asking import ask, root_of
from afield.cli.diffing import content, diff, differ
from afield.cli.parse import add_folder, add_json, add_machine, whole
from afield.cli.paths import project_path
from afield.cli.terminal import colour, printable
from afield.errors import CommandNotFound, NoSuchFile, UsageError, WrongKind

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_folder(parser)
    add_json(parser)
    parser.add_argument("-b", "--base", action="store_true", help="compare each side with what both had in common")
    parser.add_argument("-U", "--context", type=whole(0), default=3, metavar="LINES", help="lines around each change")
    parser.add_argument("--tool", metavar="CMD", help="a program that shows the files instead")
    parser.add_argument("paths", nargs="*", metavar="path", help="a file below the project")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Show."""
    root = root_of(args)
    found = []
    if args.paths:
        found = [ask("versions", args, terminal, path=project_path(path, root)) for path in args.paths]
    else:
        for item in ask("conflicts", args, terminal):
            folder = item.get("folder")
            told = ask("versions", args, terminal, path=item["path"], folder=folder)
            found.append({**told, "folder": folder} if folder else told)
    for told in found:
        if told["here"] is None and told["there"] is None and told["base"] is None:
            raise NoSuchFile(f"neither side has {told['path']}", hint="what is left out of the sync is not compared")
    if args.json:
        terminal.out_json(found)
    elif args.tool is not None:
        for told in found:
            where = root_of(argparse.Namespace(**{**vars(args), "folder": told.get("folder") or args.folder}))
            _show_in(args.tool, told, where, with_base=args.base)
    else:
        for told in found:
            _print(told, terminal, with_base=args.base, context=max(0, args.context))
    return 1 if any(differ(told["here"], told["there"]) for told in found) else 0


def _print(told: dict[str, Any], terminal: Terminal, *, with_base: bool, context: int) -> None:
    if told.get("folder"):
        terminal.out(colour(printable(f"in the folder {told['folder']}:"), "dim"))
    pairs = [("base", "here"), ("base", "there")] if with_base else [("here", "there")]
    for first, second in pairs:
        for tint, line in diff(told, first, second, context=context):
            shown = printable(line)
            terminal.out(colour(shown, tint) if tint else shown)


def _show_in(tool: str, told: dict[str, Any], folder: str, *, with_base: bool) -> None:
    words = shlex.split(tool)
    if not words:
        raise UsageError("--tool needs a command")
    names = ["there", "base"] if with_base else ["there"]
    with tempfile.TemporaryDirectory(prefix="afield-diff-") as temporary:
        files = [os.path.join(folder, told["path"])]
        for name in names:
            text = content(told[name])
            if told[name] is not None and text is None:
                raise WrongKind(f"{told['path']} {name}: {told[name].get('why') or 'it is no file'}", hint="afield get")
            files.append(os.path.join(temporary, name, os.path.basename(told["path"])))
            os.mkdir(os.path.dirname(files[-1]))
            with open(files[-1], "wb") as file:
                file.write(text or b"")
        try:
            subprocess.run([*words, *files], check=False)
        except OSError as error:
            raise CommandNotFound(f"{words[0]} cannot be run: {error.strerror}", hint="--tool 'PROGRAM ARGS'") from None
