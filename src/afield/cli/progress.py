"""The progress bar, on a terminal only; rich draws it (loaded when the first progress event comes).

Rules: one line, whatever the width; names are shown as they are (no markup, no control characters).
"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as RichProgress
from rich.table import Column

from afield.cli.terminal import printable

# Columns of a terminal that the bar with everything needs, and that one without rate and time left needs.
WIDE, MIDDLE = 78, 60
ROOMY = 110  # and one with a long bar
NAME_WIDTH = 20


class Progress:
    """Shows events ``{"what", "done", "total", "bytes", "bytes_total"}``: files, bytes, rate and time left as far as there is room."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._bar = RichProgress(*columns(self._console.width), console=self._console, transient=True)
        self._task = self._bar.add_task("", total=None, files="", start=False)
        self._begun = False

    def show(self, value: dict[str, Any]) -> None:
        """Draw one event."""
        total = value.get("total")
        self._bar.update(
            self._task,
            description=cut(printable(str(value.get("what", ""))).replace("\n", "\\n"), NAME_WIDTH),
            completed=value.get("bytes") or 0,
            total=value.get("bytes_total") or None,
            files=f"{value.get('done', 0)}/{total} files" if total else "",
        )
        if not self._begun:
            # What was done before the first event counts for no rate.
            self._begun = True
            self._bar.start_task(self._task)
            self._bar.start()

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def columns(width: int) -> list[ProgressColumn]:
    """Give the columns for a terminal so wide."""
    name = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
    bar = BarColumn(bar_width=24 if width >= ROOMY else 10)
    size = DownloadColumn(table_column=Column(no_wrap=True))
    if width < MIDDLE:
        return [name, size]
    files = TextColumn("{task.fields[files]}", markup=False, table_column=Column(no_wrap=True))
    if width < WIDE:
        return [name, bar, size, TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True))]
    return [
        name,
        bar,
        files,
        size,
        TransferSpeedColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True),
    ]


def cut(text: str, width: int) -> str:
    """Give text in at most so many characters, its end kept: the name of a file tells more than its folder."""
    return text if len(text) <= width else "…" + text[-(width - 1) :]
