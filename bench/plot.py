"""Draws docs/images/sync-scale.svg: time and memory of a sync against the number of files, from recorded results.

    python bench/plot.py [RESULTS [FILE]]

RESULTS: bench/results/sync-scale.json, with the numbers of bench/sync_memory.py (bytes, seconds; null: the machine was too
busy to time anything). Both axes are logarithmic, so that what is linear is a straight line of slope 1, drawn in grey.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "sync-scale.json"
TARGET = HERE.parent / "docs" / "images" / "sync-scale.svg"
WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 380, 300, 60, 40, 50, 40
FILES = (10_000, 1_000_000)

# Title, unit, range, (key, label, colour, divisor), a limit from the targets.
PLOTS: list[dict[str, Any]] = [
    {
        "title": "Time",
        "unit": "s",
        "range": (0.1, 1000),
        "lines": [("first_s", "first sync", "#c0392b", 1), ("restart_s", "restart, no change", "#2471a3", 1)],
        "limit": None,
    },
    {
        "title": "Memory, peak",
        "unit": "MiB",
        "range": (10, 1000),
        "lines": [
            ("first_here", "here, first sync", "#c0392b", 1 << 20),
            ("restart_here", "here, restart", "#2471a3", 1 << 20),
            ("first_there", "there", "#1e8449", 1 << 20),
        ],
        "limit": 600,
    },
]


def share(value: float, least: float, most: float) -> float:
    """Where a value stands between two others on a logarithmic axis, 0 to 1."""
    return math.log(value / least) / math.log(most / least)


def decades(least: float, most: float) -> list[float]:
    """The powers of ten from one to the other."""
    first, last = math.ceil(math.log10(least) - 1e-9), math.floor(math.log10(most) + 1e-9)
    return [10.0**power for power in range(first, last + 1)]


def number(value: float) -> str:
    """1,000 or 0.1."""
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


class Plot:
    """One diagram; ``left`` is where its own area begins."""

    def __init__(self, about: dict[str, Any], left: float) -> None:
        self.about = about
        self.left = left
        self.parts: list[str] = []

    def at(self, files: float, value: float) -> tuple[float, float]:
        x = self.left + share(files, *FILES) * WIDTH
        return x, TOP + (1 - share(value, *self.about["range"])) * HEIGHT

    def text(self, x: float, y: float, words: str, **more: str) -> None:
        told = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in more.items())
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}"{told}>{words}</text>')

    def line(self, points: list[tuple[float, float]], colour: str, *, width: float = 1, dash: str = "") -> None:
        told = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<polyline points="{told}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>')

    def draw(self, rows: list[dict[str, Any]]) -> str:
        least, most = self.about["range"]
        self.text(
            self.left + WIDTH / 2, TOP - 16, f"{self.about['title']} ({self.about['unit']})", text_anchor="middle"
        )
        for value in decades(least, most):
            self.line([self.at(FILES[0], value), self.at(FILES[1], value)], "#ddd")
            self.text(self.left - 6, self.at(FILES[0], value)[1] + 4, number(value), text_anchor="end")
        for files in decades(*FILES):
            self.line([self.at(files, least), self.at(files, most)], "#ddd")
            self.text(self.at(files, least)[0], TOP + HEIGHT + 18, number(files), text_anchor="middle")
        self.text(self.left + WIDTH / 2, TOP + HEIGHT + 38, "files", text_anchor="middle")
        span = FILES[1] / FILES[0]
        self.line([self.at(FILES[0], most / span), self.at(FILES[1], most)], "#999", dash="3 4")
        if self.about["limit"]:
            height = self.at(FILES[0], self.about["limit"])[1]
            self.line([(self.left, height), (self.left + WIDTH, height)], "#888", dash="8 4")
            self.text(self.left + 6, height - 5, f"target here: {self.about['limit']}", fill="#666")
        for place, (key, label, colour, unit) in enumerate(self.about["lines"]):
            points = [self.at(row["files"], row[key] / unit) for row in rows if row[key] is not None]
            self.line(points, colour, width=2)
            self.parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
            self.text(self.left + WIDTH - 8, TOP + HEIGHT - 14 - 16 * place, label, text_anchor="end", fill=colour)
        return "\n".join(self.parts)


def svg(rows: list[dict[str, Any]]) -> str:
    """Both diagrams side by side."""
    width, height = (LEFT + WIDTH) * len(PLOTS) + GAP, TOP + HEIGHT + BOTTOM
    drawn = [Plot(about, LEFT + place * (LEFT + WIDTH)).draw(rows) for place, about in enumerate(PLOTS)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="white"/>', *drawn, "</svg>", ""])


if __name__ == "__main__":
    results = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else TARGET
    target.write_text(svg(json.loads(results.read_text("utf-8"))), "utf-8")
