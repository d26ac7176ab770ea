"""What the command line does about the daemon's events: notes, bars and questions go to the terminal, data to stdout."""

from __future__ import annotations

import sys

from afield.control.client import Events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from afield.cli.terminal import Terminal


class Faces(Events):
    """Events of one request; ``want(offset, size)`` gives the bytes of what is being put."""

    def __init__(self, terminal: Terminal, want: Callable[[int, int], bytes] | None = None) -> None:
        self._terminal = terminal
        self._want = want

    def event(self, event: dict[str, Any]) -> None:
        """Show news; pieces of a file go to stdout as they are."""
        if "data" in event:
            sys.stdout.buffer.write(event["data"])
        elif "note" in event:
            self._terminal.note(str(event["note"]))
        elif "progress" in event:
            self._terminal.progress(event["progress"])

    def prompt(self, prompt: dict[str, Any]) -> str | None:
        """Ask the login's question on the user's terminal."""
        return self._terminal.ask(str(prompt.get("text", "")), secret=bool(prompt.get("secret", True)))

    def confirm(self, confirm: dict[str, Any]) -> bool:
        """Ask for yes or no."""
        return self._terminal.confirm(str(confirm.get("text", "")), default=bool(confirm.get("default")))

    def want(self, offset: int, size: int) -> bytes:
        """Give the next piece of what is being put."""
        return self._want(offset, size) if self._want else b""
