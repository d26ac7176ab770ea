"""What every bench shares: medians, pairwise ratios, a markdown table, and one line about the machine."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable


def timed(action: Callable[[], object]) -> float:
    """Seconds that action takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def interleaved(
    actions: dict[str, Callable[[], object]], rounds: int, *, before: Callable[[str], object] | None = None
) -> dict[str, list[float]]:
    """Run every action once a round, so that noise of the machine meets all of them; ``before(name)`` is not timed."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            if before is not None:
                before(name)
            times[name].append(timed(action))
    return times


def ratio(times: list[float], peer: list[float]) -> float:
    """The median of the ratios to the peer's run of the same round."""
    return statistics.median(mine / theirs for mine, theirs in zip(times, peer, strict=True))


def milliseconds(times: list[float]) -> str:
    """Median (smallest) in ms."""
    return f"{statistics.median(times) * 1000:.1f} ({min(times) * 1000:.1f})"


def verdict(value: float, target: float) -> str:
    """Whether a value that should be small reached its target."""
    return "reached" if value <= target else "**missed**"


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
