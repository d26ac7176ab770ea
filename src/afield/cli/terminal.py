"""What a command says and asks: data on stdout, the rest on stderr, questions on the user's terminal.

Rules: no colour when NO_COLOR is set or the stream is no terminal; a question without a terminal is an error that names the
option that answers it. What must not go in: what is said (render.py).
"""

from __future__ import annotations

import json as json_module
import os
import sys

from afield.control.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from afield.cli.progress import Progress
    from afield.errors import AfieldError

__all__ = ["Terminal", "colour", "one_line", "printable", "report"]

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "bold": "1", "dim": "2"}


def colour(text: str, name: str, stream: Any = None) -> str:
    """Give text in a colour when the stream (default stdout) is a terminal that wants one (no-color.org)."""
    target = stream if stream is not None else sys.stdout
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not target.isatty():
        return text
    return f"\033[{_COLOURS[name]}m{text}\033[0m"


def report(error: AfieldError) -> None:
    """Print an error and its hint on stderr."""
    sys.stderr.write(colour("afield: ", "red", sys.stderr) + printable(error.text) + "\n")
    if error.hint:
        sys.stderr.write(colour("hint: ", "yellow", sys.stderr) + printable(error.hint) + "\n")


def one_line(text: str) -> str:
    """Give a name as ``printable`` does, its line breaks written out: it must not look like more lines of ours."""
    return printable(text).replace("\n", "\\n")


def _harmless(text: str) -> str:
    """Give text without control characters but for our own colours: whatever a renderer forgot cannot drive the terminal."""
    if "\033[" not in text:
        return printable(text)
    import re

    return "".join(
        piece if place % 2 else printable(piece) for place, piece in enumerate(re.split(r"(\033\[[0-9]*m)", text))
    )


class Terminal:
    """One command's output and questions."""

    def __init__(self, *, json: bool = False, quiet: bool = False) -> None:
        self.json = json
        self.quiet = quiet
        self._progress: Progress | None = None

    def out(self, text: str) -> None:
        """Print one line of data."""
        sys.stdout.write(text + "\n")

    def out_json(self, value: Any) -> None:
        """Print a value as JSON."""
        sys.stdout.write(json_module.dumps(value, indent=2, ensure_ascii=True, default=_plain) + "\n")

    def result(self, value: Any, text: str) -> None:
        """Print the value with ``--json``, else the text (nothing when it is empty)."""
        if self.json:
            self.out_json(value)
        elif text:
            self.out(_harmless(text))

    @property
    def width(self) -> int | None:
        """Columns of the terminal that the data goes to; None when it goes elsewhere, where nothing is to be cut or wrapped."""
        import shutil

        return shutil.get_terminal_size().columns if sys.stdout.isatty() else None

    def note(self, text: str) -> None:
        """Say something beside the data."""
        if not self.quiet:
            self.end_progress()
            sys.stderr.write(printable(text) + "\n")

    def ask(self, text: str, *, secret: bool) -> str:
        """Ask a login's question on the user's terminal, without echo when secret. Raises PermissionDenied without a terminal."""
        from afield.errors import PermissionDenied

        self.end_progress()
        try:
            with open("/dev/tty", "r+b", buffering=0):
                pass
        except OSError:
            raise PermissionDenied(
                f"the login asks a question and there is no terminal: {text.strip()}",
                hint="run this in a terminal once, or set up a key login: afield keys setup HOST",
            ) from None
        if secret:
            import getpass

            return getpass.getpass(printable(text))
        with open("/dev/tty", "w", encoding="utf-8", errors="replace") as tty:
            tty.write(printable(text))
        with open("/dev/tty", encoding="utf-8", errors="replace") as tty:
            return tty.readline().rstrip("\n")

    def confirm(self, text: str, *, default: bool = False) -> bool:
        """Ask for yes or no. Raises NeedsConfirmation without a terminal."""
        from afield.errors import NeedsConfirmation

        self.end_progress()
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise NeedsConfirmation(text, hint="answer with --yes, or run this in a terminal")
        sys.stderr.write(printable(text) + (" [Y/n] " if default else " [y/N] "))
        sys.stderr.flush()
        answer = sys.stdin.readline().strip().lower()
        return default if not answer else answer in ("y", "yes")

    def progress(self, value: dict[str, Any]) -> None:
        """Show one progress event, on a terminal only."""
        if self.quiet or not sys.stderr.isatty():
            return
        if self._progress is None:
            from afield.cli.progress import Progress

            self._progress = Progress()
        self._progress.show(value)

    def end_progress(self) -> None:
        """Take the bar away, so that other output stands alone."""
        if self._progress is not None:
            self._progress.close()
            self._progress = None


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    raise TypeError(f"not JSON: {type(value).__name__}")
