"""List what runs there through afield, or end one of them.

Programs that have ended and whose output and status came here are left out; --all shows the last of them as well.
"""

from __future__ import annotations

import argparse
import signal
from typing import TYPE_CHECKING, Any

from afield.cli.asking import ask
from afield.cli.parse import add_json, add_machine
from afield.cli.render import processes_text
from afield.errors import NoSuchProcess, UsageError

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal

WHOLE_ID = 32  # hexadecimal digits of 16 bytes


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    parser.add_argument("-a", "--all", action="store_true", help="also what has ended and was delivered")
    parser.add_argument(
        "--kill",
        metavar="ID",
        help="send a signal to the process group of this one (the beginning of its id, or its pid)",
    )
    parser.add_argument(
        "--signal", type=signal_number, default=15, metavar="S", help="which signal, by number or name (default TERM)"
    )


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """List or signal."""
    if args.kill:
        number = args.kill if len(args.kill) == WHOLE_ID else find(ask("processes", args, terminal), args.kill)
        done = ask("kill", args, terminal, id=number, signal=args.signal)
        if not done["told"]["reached"]:
            raise NoSuchProcess(f"{args.kill} has ended already", hint="what runs: afield processes")
        terminal.result(done, f"signal {args.signal} sent")
        return 0
    found = ask("processes", args, terminal)
    shown = found if args.all else [row for row in found if not row.get("delivered")]
    terminal.result(shown, processes_text(shown, hidden=len(found) - len(shown)))
    return 0


def signal_number(text: str) -> int:
    """Read a signal: 15, TERM or SIGTERM. Raises ArgumentTypeError."""
    if text.isdigit() and 0 < int(text) < signal.NSIG:
        return int(text)
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    if name not in signal.Signals.__members__:
        raise argparse.ArgumentTypeError(f"expected a signal such as 9, KILL or SIGKILL, got {text!r}")
    return int(signal.Signals[name])


def find(rows: list[dict[str, Any]], word: str) -> str:
    """Give the id that begins with word, or whose pid it is. Raises NoSuchProcess, UsageError when several do."""
    exact = [row for row in rows if str(row.get("pid")) == word and row.get("state") != "exited"]
    matching = exact or [row for row in rows if str(row.get("id")).startswith(word.lower())]
    if not matching:
        raise NoSuchProcess(f"no process {word!r} there", hint="list them: afield processes")
    if len(matching) > 1:
        raise UsageError(f"{word!r} begins {len(matching)} ids", hint="write more of the id")
    return str(matching[0]["id"])
