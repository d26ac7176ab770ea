"""How long the first command takes: a cold `afield run true` with a cached agent beside a cold ssh, and the program's own start.

    python bench/connect.py [--rounds N]

Before each cold run the daemon and the agent are ended; only the agent's file stays in the cache of the place.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import statistics

from place import BenchProject
from table import interleaved, machine, markdown, milliseconds, ratio, verdict


def run(words: list[str], **more: object) -> None:
    subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, **more)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="afield-bench-") as folder, BenchProject(folder) as project:
        project.afield("up", "--yes")

        def end_all(name: str) -> None:
            if name.startswith("afield"):
                project.afield("down", "--stop-agent", check=False)
                project.stop_daemon()

        where = {"cwd": project.folder, "env": project.env}
        cold = interleaved(
            {
                "ssh HOST python3 -I -S -c pass": lambda: project.ssh("python3", "-I", "-S", "-c", "pass"),
                "afield run --no-sync true (link only)": lambda: run(
                    project.afield_argv("run", "--no-sync", "true"), **where
                ),
                "afield run true (link and sync)": lambda: run(project.afield_argv("run", "true"), **where),
            },
            rounds,
            before=end_all,
        )
        start = interleaved(
            {
                f"afield {word}": lambda word=word: run(project.afield_argv(word), **where)
                for word in ("--version", "--help")
            },
            rounds * 2,
        )
    peer = cold["ssh HOST python3 -I -S -c pass"]
    rows = [
        [
            name,
            milliseconds(times),
            f"{ratio(times, peer):.2f}",
            "≤ 1.15",
            verdict(ratio(times, peer), 1.15) if times is not peer else "",
        ]
        for name, times in cold.items()
    ]
    rows += [
        [name, milliseconds(times), "", "≤ 80 ms", verdict(statistics.median(times), 0.08)]
        for name, times in start.items()
    ]
    print(f"{machine()}; {rounds} rounds\n")
    print(markdown(["command", "ms, median (min)", "× ssh", "target", ""], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
