"""Runs one command there to its end, for a verb: its lines as notes, its end as a value.

What must not go in: programs that a user runs (runs), terminals, input.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from afield.daemon.conversation import Ask
    from afield.daemon.target import Target

# What is kept to explain a failure: the last screens of a tool that may print for minutes.
KEPT = 64 << 10
# What would turn a tool there away from what it is asked to do.
_UNSET = ["PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "VIRTUAL_ENV"]


class Ended(NamedTuple):
    """``code``: exit status, minus a signal; ``text``: the end of its output, both streams."""

    code: int
    text: str

    @property
    def last(self) -> str:
        """The line that says most: the last with "error" in it, else the last."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        return next((line for line in reversed(lines) if "error" in line.lower()), lines[-1] if lines else "")


async def run_there(target: Target, argv: list[bytes], *, ask: Ask | None, clean: bool = False) -> Ended:
    """Run argv in the home folder there. ``ask`` is told each line; ``clean``: without variables that mislead tools.

    Raises what the place says when it cannot be started.
    """
    stream = target.place.connection.open_stream(
        {
            "do": "process",
            "argv": argv,
            "cwd": None,
            "env": {"PYTHONDONTWRITEBYTECODE": b""} if clean else {},
            "unset": _UNSET,
            "tty": None,
            "login": False,
            "id": os.urandom(16),
            "label": os.fsdecode(os.path.basename(argv[0])),
            "mkdir": False,
        }
    )
    kept = bytearray()
    line = bytearray()

    def take(data: memoryview, err: bool) -> None:
        del err
        nonlocal line
        kept.extend(data)
        del kept[:-KEPT]
        line += data
        stream.consumed(len(data))
        *whole, rest = bytes(line).split(b"\n")
        line = bytearray(rest[-KEPT:])
        for each in whole:
            if ask is not None and each.strip():
                ask.note(each.rstrip().decode("utf-8", "replace"))

    stream.set_sink(take)
    stream.write_end_nowait()
    code: Any = None
    try:
        async for message in stream.messages():
            if "exit" in message:
                code = message["exit"]
            elif "killed" in message:
                code = -message["killed"]
    finally:
        stream.close()
    return Ended(-1 if code is None else int(code), kept.decode("utf-8", "replace"))
