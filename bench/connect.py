"""How long the first command takes: a cold `afield run true` with a cached agent beside a cold ssh, and the program's own start.

    python bench/connect.py [--rounds N] [--json FILE]

Before each cold run the daemon and the agent are ended; only what the agent keeps in the cache of the place stays (its file, and the
compiled code that it writes there a second after its first start). The login shell there
reads no start-up file: whatever a user has in one comes on top, once for each of the two.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from place import BenchProject
from table import arguments, interleaved, milliseconds, need, ratio, report, verdict

from hosts import wait_until

SSH = "ssh HOST python3 -I -S -c pass"
LINK, SYNC = "afield run --no-sync true (link only)", "afield run true (link and sync)"
START = "python3 -I -S -c pass, here"
COLD_TARGET, START_TARGET = 1.15, 0.080


def run(words: list[str], project: BenchProject) -> None:
    subprocess.run(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, cwd=project.folder, env=project.env
    )


def cold(project: BenchProject, rounds: int) -> dict[str, list[float]]:
    def end_all(name: str) -> None:
        if name != SSH:
            project.afield("down", "--stop-agent", check=False)
            project.stop_daemon()

    actions = {
        SSH: lambda: project.ssh("python3", "-I", "-S", "-c", "pass"),
        LINK: lambda: run(project.afield_argv("run", "--no-sync", "true"), project),
        SYNC: lambda: run(project.afield_argv("run", "true"), project),
    }
    return interleaved(actions, rounds, before=end_all)


def start(project: BenchProject, rounds: int) -> dict[str, list[float]]:
    # The interpreter below a virtual environment: what it adds belongs to the program.
    bare = os.path.realpath(sys.executable)
    actions = {START: lambda: run([bare, "-I", "-S", "-c", "pass"], project)}
    for word in ("--version", "--help"):
        actions[f"afield {word}"] = lambda word=word: run(project.afield_argv(word), project)
    return interleaved(actions, rounds)


def main() -> int:
    given = arguments(__doc__, rounds=11).parse_args()
    need("ssh", "sshd")
    with tempfile.TemporaryDirectory(prefix="afield-bench-") as folder, BenchProject(folder) as project:
        project.afield("up", "--yes")
        wait_until(lambda: any(project.home.glob(".cache/afield/*.code")), what="the agent's compiled code")
        colds = cold(project, given.rounds)
        starts = start(project, given.rounds * 2)
    rows, ratios = [], {}
    for name, times in colds.items():
        ratios[name] = ratio(times, colds[SSH])
        goal = [f"≤ {COLD_TARGET} ×", verdict(ratios[name], COLD_TARGET)] if name != SSH else ["", ""]
        rows.append([name, milliseconds(times), f"{ratios[name]:.2f}", *goal])
    for name, times in starts.items():
        ratios[name] = ratio(times, starts[START])
        median = statistics.median(times)
        goal = [f"≤ {START_TARGET * 1000:.0f} ms", verdict(median, START_TARGET)] if name != START else ["", ""]
        rows.append([name, milliseconds(times), f"{ratios[name]:.2f}", *goal])
    title = f"{given.rounds} rounds, ratios of pairs"
    header = ["command", "ms, median (min)", "× the plain one", "target", ""]
    report(title, header, rows, numbers={"seconds": colds | starts, "ratios": ratios}, file=given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
