"""Link, first sync, then live sync in the background.

From then on a file saved here is there within milliseconds, and what programs write there comes back. Before a large first
upload afield says what goes and asks. Running it again is harmless.

  afield up                            the machine that afield.toml names
  afield up --on gpu1 --on gpu2        both: the project is synced to each
  afield up --all                      every machine of afield.toml
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from afield.cli.asking import ask_plain
from afield.cli.parse import add_json, add_machine
from afield.cli.render import up_text
from afield.cli.several import add_several, chosen, for_each
from afield.config.schema import parse_size
from afield.errors import NeedsConfirmation

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal
    from afield.config.load import Project

ALL = 1 << 62  # a number of bytes that no upload reaches: agreed to all


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    add_several(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="agree to a large first upload")
    parser.add_argument("--up-to", metavar="SIZE", help="agree to a first upload of at most this size, such as '5 GB'")
    parser.add_argument(
        "--take-over", action="store_true", help="make the folder there this project's when it belongs to another one"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, no notes")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Bring the project up on each machine; asks once when an upload is large."""
    allowed = ALL if args.yes else parse_size(args.up_to) if args.up_to else None

    def one(project: Project, machine: str) -> dict[str, Any]:
        names = chosen(args, project)
        # One folder has one python: that of the default machine when it is among them.
        first = project.default if project.default in names else names[0]
        return bring_up(
            project.folder, machine, terminal, allowed=allowed, take_over=args.take_over, shim=machine == first
        )

    return for_each(args, terminal, one, text=lambda project, machine, done: up_text(project.name, machine, done))


def bring_up(
    project: str,
    machine: str | None,
    terminal: Terminal,
    *,
    allowed: int | None,
    sync: bool = True,
    take_over: bool = False,
    shim: bool = True,
) -> dict[str, Any]:
    """Link and (with sync) first sync of a project folder; asks when the upload is larger than allowed bytes. Raises AfieldError."""
    verb = "up" if sync else "connect"
    dial = (project, machine)
    fields: dict[str, Any] = {"project": project, "machine": machine}
    agreed: dict[str, Any] = {"confirm": allowed, "take_over": take_over} if sync else {}
    try:
        done: dict[str, Any] = ask_plain(verb, terminal, dial=dial, **fields, **agreed)
    except NeedsConfirmation as question:
        terminal.end_progress()
        if not terminal.confirm(question.text):
            raise
        done = ask_plain(verb, terminal, **fields, **{**agreed, "confirm": ALL})
    if sync and shim:
        install_shim(project, machine, terminal)
    return done


def install_shim(project: str, machine: str | None, terminal: Terminal) -> None:
    """Make ``.afield/bin/python`` and its kin; a project whose folder cannot hold them is up all the same."""
    from afield.control.paths import socket_path
    from afield.control.spawn import cli_command
    from afield.errors import AfieldError
    from afield.shim.install import Far, install

    far = None
    try:
        told = ask_plain("interpreter", terminal, project=project, machine=machine)
        far = Far(told["version"], told["prompt"], told["stamp"])
    except AfieldError as error:
        terminal.note(f"the Python there was not asked: {error.text}")
    try:
        install(project, socket_path(), machine or "", cli_argv=cli_command(), far=far)
    except AfieldError as error:
        terminal.note(
            f".afield/bin/python was not made: {error.text}" + (f"\nhint: {error.hint}" if error.hint else "")
        )
