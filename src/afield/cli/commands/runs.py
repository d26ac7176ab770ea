"""`afield python`, `afield run` and `afield shell`: run something there as if it were here.

Their own options stand first; everything after them belongs to the program there, byte for byte. Parsed by hand, because a
parser would have to know Python's grammar, and because start-up is part of every run.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass

_TEXT = {
    "python": """\
usage: afield python [--machine NAME] [--no-sync] [PYTHON OPTIONS] [-c CODE | -m MODULE | SCRIPT | -] [ARGUMENTS]

Like python, there: stdin, stdout and stderr apart, exit code, Ctrl-C, terminal and working folder as if it ran here.
Edits that were just saved are there before it starts; files that it writes are here when it ends.

  --machine NAME   a machine of afield.toml (default: the one it names)
  --no-sync        do not wait for the sync, before and after
  --               end of afield's options: `afield python -- --help` is Python's own help
""",
    "run": """\
usage: afield run [-m NAME | --machine NAME] [--no-sync] COMMAND [ARGUMENTS]

Run any command there, in the folder that matches this one; no shell in between (use `afield run sh -c '…'` for one).

  -m, --machine NAME   a machine of afield.toml (default: the one it names)
  --no-sync            do not wait for the sync, before and after
""",
    "shell": """\
usage: afield shell [-m NAME | --machine NAME] [--twin]

A login shell there, on a terminal of its own, in the folder that matches this one.

  -m, --machine NAME   a machine of afield.toml (default: the one it names)
  --twin               in the view that programs get: the project stands at its path here
""",
}


@dataclass
class Own:
    """afield's own words of a command line, and the rest."""

    machine: str = ""
    sync: bool = True
    help: bool = False
    twin: bool = False
    rest: tuple[str, ...] = ()


def parse_own(verb: str, words: list[str]) -> Own:
    """Split off afield's own options. Raises UsageError."""
    from afield.errors import UsageError

    own = Own()
    machine_words = ("--machine",) if verb == "python" else ("--machine", "-m")
    left = list(words)
    while left:
        word = left[0]
        if word == "--":
            left = left[1:]
            break
        if word in ("-h", "--help"):
            own.help = True
            return own
        if word in machine_words:
            if len(left) < 2:
                raise UsageError(f"{word} needs the name of a machine")
            own.machine, left = left[1], left[2:]
        elif word.startswith("--machine="):
            own.machine, left = word.partition("=")[2], left[1:]
        elif word == "--no-sync":
            own.sync, left = False, left[1:]
        elif verb == "shell" and word == "--twin":
            own.twin, left = True, left[1:]
        elif verb != "python" and word.startswith("-"):
            raise UsageError(f"afield {verb} has no option {word!r}", hint=f"afield {verb} --help")
        else:
            break
    own.rest = tuple(left)
    if verb == "run" and not left:
        raise UsageError("no command to run", hint="for example: afield run nvidia-smi")
    if verb == "shell" and left:
        raise UsageError("afield shell takes no command", hint="afield run COMMAND runs one")
    return own


def main(verb: str, words: list[str]) -> int:
    """Run verb with words; returns the exit status or ends by the signal that ended the program there. Raises AfieldError."""
    own = parse_own(verb, words)
    if own.help:
        sys.stdout.write(_TEXT[verb])
        return 0
    from afield.config.load import FILE, find_project
    from afield.errors import NoProject

    cwd = os.getcwd()
    project = find_project(cwd)
    if project is None:
        raise NoProject(
            f"no {FILE} in {cwd} or above",
            hint="make one with: afield init ssh://user@host   (or local:// to try it here)",
        )
    return carry(verb, own.rest, project=project, machine=own.machine, sync=own.sync, twin=own.twin)


def main_for_shim(words: list[str]) -> int:
    """Do what the shim could not do alone: ``ARGV0 PROJECT MACHINE ARGUMENTS…``. Raises AfieldError."""
    argv0, project, machine, *rest = words
    return carry("python", tuple(rest), project=project, machine=machine, argv0=argv0)


def carry(
    mode: str,
    argv: tuple[str, ...],
    *,
    project: str,
    machine: str,
    argv0: str = "",
    sync: bool = True,
    twin: bool = False,
) -> int:
    """Run through the daemon; when it is not ready, bring the link (and the project) up and try once more. Raises AfieldError."""
    from afield.control.paths import socket_path
    from afield.control.spawn import cli_command
    from afield.errors import LinkLost
    from afield.shim import ask, client, ends

    def attempt() -> int:
        status = client.relay(
            socket_path(),
            mode,
            argv,
            argv0=argv0,
            project=project,
            machine=machine,
            barrier=sync,
            view=twin,
            daemon_start=[*cli_command(), "daemon", "start"],
        )
        if status < 0:
            ends.die(-status)
        return status

    try:
        try:
            return attempt()
        except (client.NotReadyError, FileNotFoundError, ConnectionRefusedError):
            make_ready(project, machine, sync=sync)
            return attempt()
    except client.NotReadyError:
        raise LinkLost(
            "the link was lost before the program started", hint="afield status says why; then try again"
        ) from None
    except ask.RelayError as error:
        text, _, hint = str(error).partition("\nhint: ")
        raise LinkLost(text, hint=hint or None) from None


def make_ready(project: str, machine: str, *, sync: bool) -> None:
    """Bring up what the run needs, with questions and progress on the terminal. Raises AfieldError."""
    from afield.cli.commands.up import bring_up
    from afield.cli.terminal import Terminal

    bring_up(project, machine or None, Terminal(), allowed=None, sync=sync)


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the words for completion."""
    parser.add_argument("--machine", metavar="NAME")
    parser.add_argument("--no-sync", action="store_true")
    parser.add_argument("words", nargs=argparse.REMAINDER)
