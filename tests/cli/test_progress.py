"""The progress bar keeps to one line at any width and shows names as they are."""

import io
import re

import pytest
from rich.console import Console

from afield.cli.progress import NAME_WIDTH, Progress, cut

EVENT = {
    "what": "a/very/long/folder/[red]file\x1b[2J.bin",
    "done": 1621,
    "total": 3004,
    "bytes": 11_500_000,
    "bytes_total": 113_500_000,
}


def drawn(width, event):
    """The lines of all frames, without control sequences."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, height=24, color_system=None)
    bar = Progress(console)
    bar.show(event)
    bar.close()
    return [
        line for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9?;]*[a-zA-Z]", "", file.getvalue())) if line.strip()
    ]


@pytest.mark.parametrize("width", [24, 40, 59, 60, 77, 78, 80, 110, 200])
def test_it_is_one_line_that_fits(width):
    lines = drawn(width, {**EVENT, "what": "first sync"})
    assert lines
    assert all(len(line) <= width for line in lines)
    assert all("first sync" in line and "MB" in line for line in lines) or width < 40


@pytest.mark.parametrize("width", [80, 200])
def test_a_name_drives_neither_the_terminal_nor_the_markup(width):
    assert all("[red]file\\x1b[2J.bin"[-10:] in line for line in drawn(width, EVENT))


def test_an_event_without_totals_is_shown_too():
    assert drawn(80, {"what": "first sync"})


def test_a_long_name_keeps_its_end():
    assert cut("x" * 30 + "end", NAME_WIDTH) == "…" + "x" * 16 + "end"
    assert cut("short", NAME_WIDTH) == "short"
