"""What every bench shares: its options, alternated rounds, medians, pairwise ratios, tables, and one line about the machine."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def arguments(about: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """The options that every bench takes."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"how often each thing is measured ({rounds})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there as well")
    return parser


def need(*programs: str) -> None:
    """End with a clear message when a program to compare with is missing."""
    missing = [name for name in programs if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") is None]
    if missing:
        sys.exit(f"bench: expected {' and '.join(missing)} on PATH to compare with, found none\nhint: install it")


def timed(action: Callable[[], object]) -> float:
    """Seconds that action takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def interleaved(
    actions: dict[str, Callable[[], object]],
    rounds: int,
    *,
    before: Callable[[str], object] | None = None,
    unmeasured: int = 1,
) -> dict[str, list[float]]:
    """Run every action once a round, so that noise of the machine meets all of them; ``before(name)`` is not timed.

    Every other round runs backwards: what one leaves behind (caches, a busy daemon) must not always meet the same next one.
    ``unmeasured`` rounds come first and do not count.
    """
    times: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(-unmeasured, rounds):
        for name in list(actions)[:: 1 if number % 2 else -1]:
            if before is not None:
                before(name)
            taken = timed(actions[name])
            if number >= 0:
                times[name].append(taken)
    return times


def ratio(times: list[float], peer: list[float]) -> float:
    """The median of the ratios to the peer's run of the same round."""
    return statistics.median(mine / theirs for mine, theirs in zip(times, peer, strict=True))


def quantile(values: list[float], share: float) -> float:
    """The value below which that share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def milliseconds(times: list[float]) -> str:
    """Median (smallest) in ms."""
    return f"{statistics.median(times) * 1000:.1f} ({min(times) * 1000:.1f})"


def verdict(value: float, target: float) -> str:
    """Whether a value that should be small reached its target."""
    return "reached" if value <= target else "**missed**"


def reached(good: bool) -> str:
    """Whether a target was reached, for those that are no upper limit."""
    return "reached" if good else "**missed**"


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def machine() -> str:
    """One line about where this was measured."""
    model = platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{os.cpu_count()} × {model}, {platform.system()} {platform.release()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"


def report(title: str, header: list[str], rows: list[list[str]], *, numbers: Any, file: Path | None) -> None:
    """Print the one table of a bench, and write its numbers (seconds, bytes, ratios as they were measured) as JSON when asked to."""
    about = machine()
    print(f"{about}; {title}\n")
    print(markdown(header, rows), flush=True)
    if file is not None:
        file.write_text(json.dumps({"machine": about, "title": title, "numbers": numbers}, indent=1) + "\n")
