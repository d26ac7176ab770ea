"""What afield takes at a place: bytes sent at first contact, memory, processes, files and ports of the agent.

    python bench/agent.py [--rounds N] [--files N] [--json FILE]

Every round is a fresh agent on a private sshd: one run, a hundred runs, a sync of many small files, and a second login that joins
the agent which is there (after `afield down` and `up`). Memory is that of all processes of the agent together: RSS counts what they share
once for each, PSS once in all (proc(5)). Linux only, as it reads /proc.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from place import BenchProject
from table import arguments, need, report, verdict

from afield.deploy import bundle, starter

BYTES, MEMORY, PROCESSES, PORTS = 200_000, 25 << 20, 2, 0
ONE, HUNDRED, SYNC, JOINED = (
    "after 1 run",
    "after 100 runs",
    "with a sync of {:,} files",
    "joined by a second login, with that sync",
)
REST = 2.0  # s: the worker gives freed memory back a second after its work
LISTEN = "0A"  # the state of a listening socket in /proc/net/tcp (proc(5))


class Taken(NamedTuple):
    """Bytes and counts, of all processes together."""

    rss: int
    pss: int
    processes: int
    files: int
    ports: int


def read(path: str) -> bytes:
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return file.read()
    return b""


def agents(home: Path) -> list[int]:
    """The processes of the agent: what runs with its home, without the logins' own sshd and what is just ending."""
    word = b"AFIELD_HOME=" + os.fsencode(home) + b"\0"
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [
        pid
        for pid in pids
        if word in read(f"/proc/{pid}/environ") and not read(f"/proc/{pid}/comm").startswith(b"sshd")
    ]


def memory(pid: int) -> tuple[int, int]:
    fields = dict(line.split(b":", 1) for line in read(f"/proc/{pid}/smaps_rollup").splitlines()[1:])
    return tuple(int(fields[name].split()[0]) * 1024 for name in (b"Rss", b"Pss"))


def listening() -> set[bytes]:
    """The inodes of all TCP sockets that listen and all UDP sockets."""
    found = set()
    for name in ("tcp", "tcp6", "udp", "udp6"):
        for line in read(f"/proc/net/{name}").splitlines()[1:]:
            words = line.split()
            if name.startswith("udp") or words[3] == LISTEN.encode():
                found.add(words[9])
    return found


def taken(home: Path) -> Taken:
    pids = agents(home)
    sizes = [memory(pid) for pid in pids]
    links = []
    for pid in pids:
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                links.append(os.fsencode(os.readlink(f"/proc/{pid}/fd/{name}")))
    open_ports = {link for link in links if link.startswith(b"socket:[") and link[8:-1] in listening()}
    rss, pss = (sum(column) for column in zip(*sizes, strict=True))
    return Taken(rss, pss, len(pids), len(links), len(open_ports))


def one_round(files: int) -> dict[str, Taken]:
    found: dict[str, Taken] = {}
    with tempfile.TemporaryDirectory(prefix="afield-bench-") as folder, BenchProject(folder) as project:
        for number in range(files):
            path = project.folder / f"part{number // 100}" / f"file{number}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"number = {number}\n" * 100)
        for name, count in ((ONE, 1), (HUNDRED, 99)):
            for _ in range(count):
                project.afield("run", "--no-sync", "true")
            found[name] = taken(project.home)
        project.afield("up", "--yes")
        project.afield("run", "true")
        time.sleep(REST)
        found[SYNC.format(files)] = taken(project.home)
        project.afield("down")
        project.stop_daemon()
        project.afield("up")
        project.afield("run", "true")
        time.sleep(REST)
        found[JOINED] = taken(project.home)
    return found


def main() -> int:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--files", type=int, default=10_000, help="files of the sync (10,000)")
    given = parser.parse_args()
    need("ssh", "sshd")
    if not os.path.exists("/proc/self/smaps_rollup"):
        sys.exit("bench: expected /proc/PID/smaps_rollup (Linux 4.14), found none\nhint: run it on Linux")
    made = bundle.build()
    first, later = len(made.data) + len(starter.render(made)), len(starter.render(made))
    rounds = [one_round(given.files) for _ in range(given.rounds)]
    rows = [
        ["first contact", f"{first:,} bytes sent", "", "", "", "", f"≤ {BYTES:,} bytes", verdict(first, BYTES)],
        ["every later one", f"{later:,} bytes sent", "", "", "", "", "", ""],
    ]
    for name in rounds[0]:
        middle = Taken(
            *(int(statistics.median(column)) for column in zip(*(found[name] for found in rounds), strict=True))
        )
        good = middle.rss <= MEMORY and middle.processes <= PROCESSES and middle.ports <= PORTS
        cells = [
            f"{middle.rss / 2**20:.1f}",
            f"{middle.pss / 2**20:.1f}",
            str(middle.processes),
            str(middle.files),
            str(middle.ports),
        ]
        goal = f"≤ {MEMORY >> 20} MB, {PROCESSES} processes, {PORTS} ports"
        rows.append([name, *cells, goal, verdict(not good, 0)])
    header = ["when", "RSS MB", "PSS MB", "processes", "descriptors", "ports", "target (RSS)", ""]
    numbers = {
        "first": first,
        "later": later,
        "rounds": [{name: t._asdict() for name, t in found.items()} for found in rounds],
    }
    report(
        f"{given.rounds} rounds, medians; all processes of the agent together",
        header,
        rows,
        numbers=numbers,
        file=given.json,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
