"""Show jobs, processor, memory and GPUs of the place, anew every second; q leaves.

The processor's share of a job is in percent of one processor, so 400 % are four at work.
"""

from __future__ import annotations

import argparse
import select
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

from afield.cli.asking import ask
from afield.cli.parse import add_json, add_machine, seconds
from afield.cli.render_jobs import rates, top_text

if TYPE_CHECKING:
    from afield.cli.terminal import Terminal

# The other screen, its beginning, the rest of a line, the rest of the screen, no cursor (xterm's control sequences).
_ENTER, _LEAVE, _HOME, _LINE, _REST = "\033[?1049h\033[?25l", "\033[?25h\033[?1049l", "\033[H", "\033[K", "\033[J"
# Rates need two looks.
_FIRST = 0.3


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_machine(parser)
    add_json(parser)
    parser.add_argument("--once", action="store_true", help="print one look and end")
    parser.add_argument("--interval", type=seconds, default=1.0, metavar="S", help="seconds between looks (default 1)")


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Look once, or until somebody leaves."""
    before = ask("top", args, terminal)
    if args.once or args.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        time.sleep(_FIRST)
        now = rates(before, ask("top", args, terminal))
        terminal.result(now, top_text(now, shutil.get_terminal_size().columns))
        return 0
    return _live(args, terminal, before)


def _live(args: argparse.Namespace, terminal: Terminal, before: dict[str, Any]) -> int:
    import termios
    import tty

    mode = termios.tcgetattr(0)
    sys.stdout.write(_ENTER)
    try:
        tty.setcbreak(0)
        pause = _FIRST
        while not _leaves(pause):
            now = ask("top", args, terminal)
            size = shutil.get_terminal_size()
            lines = top_text(rates(before, now), size.columns).split("\n")[: size.lines - 1]
            sys.stdout.write(_HOME + "".join(line + _LINE + "\r\n" for line in lines) + _REST)
            sys.stdout.flush()
            before, pause = now, max(0.1, args.interval)
    except KeyboardInterrupt:
        pass
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, mode)
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
    return 0


def _leaves(pause: float) -> bool:
    """Wait for a key; whether it was q, or the end of the input."""
    if not select.select([0], [], [], pause)[0]:
        return False
    import os

    key = os.read(0, 64)
    return not key or b"q" in key.lower()
