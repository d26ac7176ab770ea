"""Sync beside its peers over a private sshd: first uploads, no change, one edit, a folder renamed, deleted, added; memory.

    python bench/sync.py [--quick] [--rows upload,packages,quiet,edit,folder,memory] [--rounds N] [--json FILE]
                         [--peers rsync,tar,unison,scp] [--files N] [--many N] [--memory N,N] [--where FOLDER]

The rules of measuring are in sync_rows.py. The memory row needs room for two inodes a file in --where.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import sync_rows
from sync_stand import Stand
from table import machine, markdown

ROWS = ("upload", "packages", "quiet", "edit", "folder", "memory")
# Bytes at a million files, in proportion below.
HERE, THERE = 600 << 20, 400 << 20


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fifth of the files, 3 rounds, 50 saves, no memory")
    parser.add_argument("--rows", default="")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", default="rsync")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--memory", default="50000,100000,200000")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--where", help="folder for all of it (default: the system's temporary folder)")
    return parser.parse_args()


def memory(top: Path, counts: str) -> list[dict[str, float]]:
    """Memory by number of files, in processes of their own."""
    (top / "memory").mkdir()
    argv = [sys.executable, str(Path(__file__).with_name("sync_memory.py")), str(top / "memory"), *counts.split(",")]
    return json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout)


def table(rows: list[sync_rows.Row]) -> str:
    """All rows but memory."""
    lines = []
    for row in rows:
        reached = "" if row.reached is None else "reached" if row.reached else "**missed**"
        taken = f"{statistics.median(row.times):.3f} ({min(row.times):.3f})"
        over = "" if row.over is None else f"{row.over:.2f}"
        wire = "" if row.wire is None else f"{row.wire / 1e3:,.1f}"
        lines.append([row.what, row.program, taken, over, wire, row.target, reached])
    return markdown(["what", "program", "s, median (min)", "× rsync", "KB on the wire", "target", ""], lines)


def memory_table(points: list[dict[str, float]]) -> str:
    """Memory and time by number of files."""
    lines = []
    for point in points:
        share = point["files"] / 1e6
        here = max(point["first_here"], point["again_here"])
        there = max(point["first_there"], point["again_there"])
        good = here <= max(HERE * share, 60 << 20) and there <= max(THERE * share, 40 << 20)
        cells = [f"{point['files']:,}", *(f"{point[name]:.1f}" for name in ("first_seconds", "again_seconds"))]
        cells += [f"{point[f'{name}_{side}'] / 2**20:.0f}" for side in ("here", "there") for name in ("first", "again")]
        lines.append([*cells, "reached" if good else "**missed**"])
    header = ["files", "first sync s", "restart s", "here MB: first", "restart", "there MB: first", "restart"]
    return markdown([*header, "≤ 600 / 400 MB a million"], lines)


def main() -> int:
    given = options()
    wanted = {name for name in given.rows.split(",") if name} or set(ROWS) - ({"memory"} if given.quick else set())
    if wanted - set(ROWS):
        sys.exit(f"rows are {', '.join(ROWS)}")
    scale = sync_rows.Scale(given.files, given.files * 3, given.many, given.rounds, 300)
    if given.quick:
        scale = sync_rows.Scale(given.files // 5, given.files * 3 // 5, given.many // 5, 3, 50)
    peers = [name for name in given.peers.split(",") if name and shutil.which(name)]
    rows: list[sync_rows.Row] = []
    points: list[dict[str, float]] = []
    print(f"{machine()}; {scale.rounds} rounds\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="afield-bench-", dir=given.where) as folder:
        with Stand(Path(folder)) as stand:
            for what in ("upload", "packages"):
                if what in wanted:
                    rows += sync_rows.first(stand, scale, peers, what)
            if wanted & {"quiet", "edit", "folder"}:
                rows += sync_rows.many(stand, scale, wanted)
        if rows:
            print(table(rows), flush=True)
        if "memory" in wanted:
            points = memory(Path(folder), given.memory)
            print("\n" + memory_table(points))
    if given.json:
        Path(given.json).write_text(json.dumps({"rows": [row._asdict() for row in rows], "memory": points}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
