"""Shell completion: the whole parser, built only when a shell asks; argcomplete does the shells' side."""

from __future__ import annotations

import argparse


def whole_parser() -> argparse.ArgumentParser:
    """Give one parser with every verb as a subcommand."""
    from afield.cli.parse import build
    from afield.cli.verbs import VERBS

    parser = argparse.ArgumentParser(prog="afield")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("-C", metavar="FOLDER")
    commands = parser.add_subparsers()
    for verb in VERBS:
        build(verb, commands.add_parser(verb.name, help=verb.help))
    return parser


def complete() -> None:
    """Answer the shell and end the process."""
    import argcomplete

    argcomplete.autocomplete(whole_parser())


def script(shell: str) -> str:
    """Give the text that a shell evaluates to complete `afield`; shell is bash, zsh or fish."""
    from argcomplete.shell_integration import shellcode

    text: str = shellcode(["afield"], shell=shell)
    return text
