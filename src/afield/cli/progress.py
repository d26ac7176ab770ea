"""The progress bar, on a terminal only; rich draws it (loaded when the first progress event comes)."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as RichProgress


class Progress:
    """Shows events ``{"what", "done", "total", "bytes", "bytes_total"}``: files, bytes, rate and time left."""

    def __init__(self) -> None:
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[files]}"),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task("", total=None, files="")

    def show(self, value: dict[str, Any]) -> None:
        """Draw one event."""
        total = value.get("total")
        files = f"{value.get('done', 0)}/{total} files" if total else ""
        self._bar.update(
            self._task,
            description=str(value.get("what", "")),
            completed=value.get("bytes") or 0,
            total=value.get("bytes_total") or None,
            files=files,
        )

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()
