"""Sync beside its peers: the first upload of 10,000 small files, and save here → visible there, over a private sshd.

    python bench/sync.py [--quick] [--rounds N] [--peers rsync,unison,scp,tar]

Rules: every round runs all programs one after the other, so noise of the machine meets all; every upload goes into a folder of
its own that is removed only at the end (ext4 searches long for inodes right after many were freed, which would be
charged to whoever comes next). afield's upload begins with no link: dial, agent from the cache, scan, copy, remember.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from table import machine, markdown, ratio, verdict

from afield import plugins
from afield.link.connection import Connection
from afield.sync.channel import local_worker
from afield.sync.session import Session, Settings
from afield.sync.stream_channel import open_there
from hosts import Sshd

UPLOAD_TARGET = 1.0
LIVE_TARGETS = (0.010, 0.030)


def make_tree(top: Path, files: int, size: int) -> None:
    """``files`` files of about ``size`` bytes in one folder for each ten: half text-like, half noise."""
    rnd = random.Random(1)
    words = [f"name_{number} = value({number})\n".encode() for number in range(500)]
    for number in range(files):
        folder = top / f"part{number // 200:03d}" / f"group{number // 10:04d}"
        if number % 10 == 0:
            folder.mkdir(parents=True, exist_ok=True)
        length = rnd.randrange(size // 2, size * 3 // 2)
        data = rnd.randbytes(length) if number % 2 else b"".join(rnd.choices(words, k=length // 22))
        (folder / f"file{number}.py").write_bytes(data)


class Bench:
    """A private sshd, a tree to upload, and the programs that upload it."""

    def __init__(self, top: Path, files: int) -> None:
        self.top = top
        self.files = files
        self.source = top / "source"
        self.count = 0
        self.box = Sshd(top / "sshd", env={"AFIELD_HOME": str(top / "home"), "UNISON": str(top / "unison there")})

    def start(self) -> None:
        (self.top / "home").mkdir()
        make_tree(self.source, self.files, 6000)
        self.box.start()
        self.ssh = shlex.join(self.box.ssh)

    def fresh(self, kind: str) -> Path:
        self.count += 1
        return self.top / f"{kind}-{self.count}"

    def quiet(self, command: str, **env: str) -> None:
        subprocess.run(command, shell=True, check=True, capture_output=True, env={**os.environ, **env})

    def rsync(self) -> None:
        self.quiet(f"rsync -a -e '{self.ssh}' {self.source}/ box:{self.fresh('rsync')}/")

    def tar(self) -> None:
        target = self.fresh("tar")
        self.quiet(f"tar -C {self.source} -cf - . | {self.ssh} box 'mkdir {target} && tar -C {target} -xf -'")

    def scp(self) -> None:
        self.quiet(f"scp -q -r -F {self.box.config} {self.source} box:{self.fresh('scp')}")

    def unison(self) -> None:
        target = self.fresh("unison")
        root = f"ssh://box/{target}"
        words = f"-batch -silent -sshargs '-F {self.box.config}' -confirmbigdel=false"
        self.quiet(f"unison {self.source} {root} {words}", UNISON=str(self.fresh("unison-here")))

    def afield(self) -> None:
        asyncio.run(self._afield())

    async def _afield(self) -> None:
        async with self.up(self.source, self.fresh("afield")):
            self.stopped = time.perf_counter()

    @contextlib.asynccontextmanager
    async def up(self, here: Path, there: Path):
        """A link and a session that did its first sync; nothing of an earlier one is left."""
        connection = Connection(plugins.transport_for("ssh://box", {"ssh": self.ssh}))

        async def far():
            await connection.open()
            return open_there(connection, os.fsencode(there))

        chosen = Settings(
            here=os.fsencode(here), there=os.fsencode(there), place="ssh://box", store=str(self.fresh("base"))
        )
        session = Session(local_worker, far, chosen)
        try:
            await session.start()
            yield session
        finally:
            await session.close()
            await connection.close()
            shutil.rmtree(here / ".afield", ignore_errors=True)

    def time(self, action) -> float:
        self.stopped = None
        began = time.perf_counter()
        action()
        return (self.stopped or time.perf_counter()) - began


def uploads(bench: Bench, peers: list[str], rounds: int) -> dict[str, list[float]]:
    actions = {"afield": bench.afield, **{name: getattr(bench, name) for name in peers}}
    times: dict[str, list[float]] = {name: [] for name in actions}
    bench.afield()  # fills the agent's cache there, as a second connect would find it
    for _ in range(rounds):
        for name, action in actions.items():
            os.sync()
            times[name].append(bench.time(action))
    return times


async def live(bench: Bench, saves: int) -> list[float]:
    """Seconds from the end of a save here until a reader there sees it (polled without pause in between)."""
    there = bench.fresh("live")
    async with bench.up(bench.source, there) as session:
        await session.flush()
        rnd = random.Random(2)
        found = []
        for number in range(saves):
            name = f"part{rnd.randrange(bench.files // 200):03d}"
            path = bench.source / name / "edited.py"
            text = f"number = {number}\n" * 100
            before = time.perf_counter()
            path.write_text(text)
            target = there / name / "edited.py"
            while True:
                await asyncio.sleep(0.0002)
                with contextlib.suppress(OSError):
                    if target.read_text() == text:
                        break
                if time.perf_counter() - before > 10:
                    raise TimeoutError("a save did not arrive within 10 s")
            found.append(time.perf_counter() - before)
            await asyncio.sleep(rnd.random() * 0.04)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2,000 files, 3 rounds, 50 saves")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", default="rsync,tar,unison,scp")
    parser.add_argument("--where", help="folder for all of it (default: the system's temporary folder)")
    given = parser.parse_args()
    files, rounds, saves = (2000, 3, 50) if given.quick else (10_000, given.rounds, 300)
    peers = [name for name in given.peers.split(",") if shutil.which({"tar": "tar"}.get(name, name))]
    with tempfile.TemporaryDirectory(prefix="afield-bench-", dir=given.where) as folder:
        bench = Bench(Path(folder), files)
        try:
            bench.start()
            times = uploads(bench, peers, rounds)
            delays = sorted(asyncio.run(live(bench, saves)))
        finally:
            bench.box.stop()
    print(f"{machine()}; {rounds} rounds\n")
    rows = []
    for name, taken in sorted(times.items(), key=lambda item: statistics.median(item[1])):
        over = ratio(taken, times["rsync"]) if "rsync" in times else 0.0
        goal = ("≤ 1.0", verdict(over, UPLOAD_TARGET)) if name == "afield" else ("", "")
        rows.append([name, f"{statistics.median(taken):.2f} ({min(taken):.2f})", f"{over:.2f}", *goal])
    print(f"First upload, {files:,} files, {files * 6 // 1000} MB\n")
    print(markdown(["program", "s, median (min)", "× rsync -a", "target", ""], rows))
    half, most = delays[len(delays) // 2], delays[int(len(delays) * 0.95)]
    print(f"\nSave here, visible there, live, {files:,} files, {saves} saves\n")
    row = ["afield", f"{half * 1e3:.1f}", f"{most * 1e3:.1f}", f"{delays[-1] * 1e3:.1f}", "≤ 10 / ≤ 30"]
    reached = "reached" if half <= LIVE_TARGETS[0] and most <= LIVE_TARGETS[1] else "**missed**"
    print(markdown(["program", "p50 ms", "p95 ms", "max ms", "target", ""], [[*row, reached]]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
