"""What the journal of a job costs, and how soon the last screen of a large one is there.

    python bench/jobs.py [--rounds N] [--json FILE]

A program writes at 100 MB/s, and as fast as it can: to a file, through `tee`, and as a job whose keeper journals it. Then a job of
1 GB of lines is attached to. Everything on one machine over pipes, in one temporary folder: the link's own part is in bench/link.py.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from table import arguments, ratio, report, verdict

from afield.testing.agent import AgentDriver

SLOWDOWN, SCREEN = 1.10, 0.300
PACED, FAST, LINES = 200, 400, 1000  # MB
PACE = 100e6
# Writes so many MB in pieces of 64 KiB, at a pace (bytes a second, 0: none), and says on stderr how many seconds that took.
WRITER = """
import os, sys, time
total, pace = int(sys.argv[1]) * 10**6, float(sys.argv[2])
piece = (b"x" * 79 + b"\\n") * 819
begin, done = time.monotonic(), 0
while done < total:
    done += os.write(1, piece)
    if pace:
        ahead = done / pace - (time.monotonic() - begin)
        if ahead > 0.005:
            time.sleep(ahead)
os.write(2, b"%.4f" % (time.monotonic() - begin))
"""


def to_file(folder: str, *words: str) -> float:
    path = os.path.join(folder, "plain")
    with open(path, "wb") as file:
        done = subprocess.run([sys.executable, "-c", WRITER, *words], stdout=file, stderr=subprocess.PIPE, check=True)
    os.unlink(path)
    return float(done.stderr)


def through_tee(folder: str, *words: str) -> float:
    path = os.path.join(folder, "teed")
    with subprocess.Popen(["tee", path], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as tee:
        done = subprocess.run(
            [sys.executable, "-c", WRITER, *words], stdout=tee.stdin, stderr=subprocess.PIPE, check=True
        )
        assert tee.stdin is not None
        tee.stdin.close()
    os.unlink(path)
    return float(done.stderr)


def start(agent: AgentDriver, *words: str) -> dict[str, Any]:
    argv = [os.fsencode(word) for word in (sys.executable, "-c", WRITER, *words)]
    state: dict[str, Any] = agent.call("job-start", process={"argv": argv, "cwd": None, "env": {}})
    return state


def finish(agent: AgentDriver, state: dict[str, Any]) -> None:
    stream = agent.open(do="job", job=state["id"], follow=True, quiet=True, result=True)
    agent.wait(lambda: stream.closed, 300)
    assert stream.messages[-1] == {"exit": 0}, stream.messages


def as_job(agent: AgentDriver, *words: str) -> float:
    state = start(agent, *words)
    finish(agent, state)
    took = float(agent.open(do="job", job=state["id"], only_err=True).wait_closed().err)
    agent.call("job-remove", job=state["id"])
    return took


def screen(agent: AgentDriver, job: str) -> float:
    begin = time.monotonic()
    stream = agent.open(do="job", job=job, lines=50, input=True)
    agent.wait(lambda: stream.out.count(b"\n") >= 50)
    return time.monotonic() - begin


def main() -> None:
    options = arguments(__doc__, rounds=5).parse_args()
    header = ["", "to a file", "through tee", "as a job", "job / file", "job / tee", "want", ""]
    rows: list[list[str]] = []
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="afield-bench-") as folder, AgentDriver(folder) as agent:
        agent.dial()
        for name, size, pace in ((f"{PACED} MB at 100 MB/s", PACED, PACE), (f"{FAST} MB unpaced", FAST, 0)):
            words = (str(size), str(pace))
            took: list[list[float]] = [[], [], []]
            for _ in range(options.rounds):  # side by side: the machine's load drifts
                took[0].append(to_file(folder, *words))
                took[1].append(through_tee(folder, *words))
                took[2].append(as_job(agent, *words))
            medians = [statistics.median(each) for each in took]
            file_ratio = ratio(took[2], took[0])
            tee_ratio = ratio(took[2], took[1])
            wanted = [f"≤ {SLOWDOWN:.2f}", verdict(file_ratio, SLOWDOWN)] if pace else ["", ""]
            rows.append(
                [name, *(f"{each:.2f} s" for each in medians), f"{file_ratio:.2f}", f"{tee_ratio:.2f}", *wanted]
            )
            found[name] = {"seconds": took, "file": file_ratio, "tee": tee_ratio}
        state = start(agent, str(LINES), "0")
        finish(agent, state)
        size = agent.call("jobs")[-1]["position"]
        times = [screen(agent, state["id"]) for _ in range(options.rounds * 3)]
        middle = statistics.median(times)
        name = f"last screen of {size / 1e9:.2f} GB"
        worst = f"{max(times) * 1000:.0f} ms at worst"
        rows.append(
            [name, "", "", f"{middle * 1000:.0f} ms", worst, "", f"≤ {SCREEN * 1000:.0f} ms", verdict(middle, SCREEN)]
        )
        found["screen"] = times
        agent.call("jobs-clean")
    report("jobs", header, rows, numbers=found, file=options.json)


if __name__ == "__main__":
    main()
