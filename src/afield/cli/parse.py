"""Builds the parser of one verb and runs it. argparse, because it is imported in a fifth of the time of its rivals."""

from __future__ import annotations

import argparse
import importlib
import shlex
import sys
import textwrap
from typing import TYPE_CHECKING, Any, Final

from afield.cli.terminal import Terminal, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.cli.verbs import Verb


class _Format(argparse.RawDescriptionHelpFormatter):
    """Wraps paragraphs to the terminal; a block with an example in it (a line that is indented or has columns) stays."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        del indent  # descriptions have none
        blocks = []
        for block in text.split("\n\n"):
            lines = block.split("\n")
            example = any(line.startswith(" ") or "   " in line for line in lines)
            blocks.append(block if example else textwrap.fill(" ".join(lines), width, break_on_hyphens=False))
        return "\n\n".join(blocks)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        self.print_usage(sys.stderr)
        sys.stderr.write(f"afield: {printable(message)}\nhint: {self.prog} --help\n")
        raise SystemExit(2)


def build(verb: Verb, parser: argparse.ArgumentParser | None = None) -> argparse.ArgumentParser:
    """Give the parser of a verb; with ``parser`` given (completion) fill that one."""
    module = importlib.import_module(f"afield.cli.commands.{verb.module}")
    made = parser or _Parser(
        prog=f"afield {verb.name}",
        description=(module.__doc__ or verb.help).strip(),
        formatter_class=_Format,
        allow_abbrev=False,
    )
    module.configure(made)
    return made


def run_verb(verb: Verb, words: list[str]) -> int:
    """Parse words and run the verb; returns the exit status. Raises AfieldError."""
    parser = build(verb)
    try:
        args = parser.parse_args(words)
    except SystemExit as end:
        return int(end.code or 0)
    module = importlib.import_module(f"afield.cli.commands.{verb.module}")
    status: int = module.run(args, Terminal(json=getattr(args, "json", False), quiet=getattr(args, "quiet", False)))
    return status


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Add ``-m`` for verbs that work on one machine."""
    option = parser.add_argument(
        "-m", "--machine", metavar="NAME", help="a machine of afield.toml (default: the one it names)"
    )
    option.completer = complete_machines  # type: ignore[attr-defined]  # argcomplete reads this attribute


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json`` for verbs that list or report."""
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")


def add_ssh(parser: argparse.ArgumentParser) -> None:
    """Add ``--ssh`` for verbs that log in before there are settings."""
    parser.add_argument(
        "--ssh",
        type=shlex.split,
        default=[],
        metavar="WORDS",
        help="more words for ssh, as one text: --ssh '-F lab.conf'",
    )


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Add ``--folder`` for verbs about paths of a sync."""
    parser.add_argument(
        "--folder",
        metavar="NAME",
        help="a further folder of the project, by its name in afield.toml; paths are below it",
    )


# A number that is larger is a slip, and databases and wires have an end.
MOST: Final = 10**9


def whole(least: int) -> Callable[[str], int]:
    """Give the type of an argument that is a whole number, at least so large."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= MOST:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {MOST}, got {text!r:.60}")
        return number

    return parse


def seconds(text: str) -> float:
    """Parse a number of seconds, 0 or more."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= MOST:
        raise argparse.ArgumentTypeError(f"expected a number of seconds, got {text!r:.60}")
    return number


def complete_machines(**_: Any) -> list[str]:
    """Give the names of the machines, for argcomplete."""
    from afield.config.load import load_project

    return sorted(load_project().machines)
