"""Large files and slow links: one large file up, edited, and 1,000 small files changed over 50 ms and 20 Mbit/s; beside cat, rsync.

    python bench/large.py [--quick] [--rounds N] [--mb N] [--only large|slow] [--where FOLDER]

Rules: each round runs all programs one after the other on files of their own; afield's session is live, so its time is from
the change to "flush says both sides are equal"; the logins of the others are kept out of the upload (cat begins when the far
side says that it is ready) and are part of rsync's time, as its users pay them. Bytes are those of the link's stream.
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
from typing import Self

sys.path.insert(0, str(Path(__file__).parent))

from table import machine, markdown, verdict

from afield import plugins
from afield.link.connection import Connection
from afield.sync.channel import local_worker
from afield.sync.session import Session
from afield.sync.settings import Settings
from afield.sync.stream_channel import open_there
from hosts import Sshd

RELAY = Path(__file__).with_name("relay.py")
DELAY, RATE = 0.05, 2_500_000
SMALL_FILES, SMALL_SIZE = 1000, 4000


def noise(path: Path, size: int, seed: int) -> None:
    """Write a file of noise, nothing that could be deflated."""
    rnd = random.Random(seed)
    with path.open("wb") as file:
        for _ in range(size >> 20):
            file.write(rnd.randbytes(1 << 20))


def words(seed: int) -> bytes:
    """Text as of a program, about SMALL_SIZE bytes."""
    rnd = random.Random(seed)
    return b"".join(b"value_%d = compute(%d)\n" % (rnd.randrange(10_000), seed) for _ in range(SMALL_SIZE // 26))


class Live:
    """A session over ``host`` that is up: ``change(action)`` gives (seconds, bytes up, bytes down) until both are equal."""

    def __init__(self, top: Path, box: Sshd, host: str) -> None:
        self.here, self.there = top / f"here-{host}", top / f"there-{host}"
        self.here.mkdir()
        self.link = Connection(plugins.transport_for(f"ssh://{host}", {"ssh": shlex.join(box.ssh)}))
        chosen = Settings(os.fsencode(self.here), os.fsencode(self.there), f"ssh://{host}", str(top / f"base-{host}"))
        self.session = Session(local_worker, self.far, chosen)

    async def far(self):
        await self.link.open()
        return open_there(self.link, os.fsencode(self.there))

    async def __aenter__(self) -> Self:
        await self.session.start()
        await self.session.flush()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        await self.link.close(quit_agent=True)

    def counters(self) -> tuple[int, int]:
        numbers = self.link.statistics()["link"]
        return numbers["sent"], numbers["received"]

    async def change(self, action) -> tuple[float, int, int]:
        await self.session.flush()
        up, down = self.counters()
        began = time.perf_counter()
        action()
        await self.session.flush(300.0)
        taken = time.perf_counter() - began
        assert self.session.status().problems_total == 0, self.session.status().problems
        after = self.counters()
        return taken, after[0] - up, after[1] - down


def cat(ssh: list[str], source: Path, target: Path) -> float:
    """Seconds of `cat FILE | ssh 'cat > FILE'`, from when the far side is ready."""
    command = f"printf R; exec cat > {target}"
    with subprocess.Popen([*ssh, command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as child:
        assert child.stdout.read(1) == b"R"
        began = time.perf_counter()
        subprocess.run(["cat", source], check=True, stdout=child.stdin)
        child.stdin.close()
        child.wait()
        return time.perf_counter() - began


def rsync(box: Sshd, source: Path, target: str) -> tuple[float, int]:
    """(seconds, bytes both ways) of rsync with its delta."""
    began = time.perf_counter()
    done = subprocess.run(
        ["rsync", "-a", "--stats", "-e", shlex.join(box.ssh), str(source), target], check=True, capture_output=True
    )
    taken = time.perf_counter() - began
    numbers = [
        line.rpartition(":")[2].replace(",", "") for line in done.stdout.decode().splitlines() if "otal bytes" in line
    ]
    return taken, sum(int(number) for number in numbers)


def one_byte(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 3)
        file.write(os.urandom(1))


def inserted(path: Path) -> None:
    """Insert 1 MiB of noise in the middle, as an editor would: a new file in place of the old one."""
    other = path.with_name(".afield-bench-new")
    with path.open("rb") as old, other.open("wb") as new:
        shutil.copyfileobj(_Some(old, path.stat().st_size // 2 + 12_345), new, 1 << 20)
        new.write(os.urandom(1 << 20))
        shutil.copyfileobj(old, new, 1 << 20)
    other.replace(path)


class _Some:
    """The first bytes of a file, as a file."""

    def __init__(self, file, left: int) -> None:
        self.file, self.left = file, left

    def read(self, size: int) -> bytes:
        data = self.file.read(min(size, self.left))
        self.left -= len(data)
        return data


async def large(top: Path, box: Sshd, size: int, rounds: int) -> list[list[str]]:
    """One file of ``size`` bytes: up, one byte changed, 1 MiB inserted."""
    numbers: dict[str, list[tuple[float, float, int]]] = {"up": [], "1 byte changed": [], "1 MiB inserted": []}
    async with Live(top, box, "box") as live:
        for number in range(rounds):
            ready, mine, theirs = top / "ready", live.here / f"f{number}", top / f"theirs{number}"
            noise(ready, size, number)
            other = await asyncio.to_thread(cat, [*box.ssh, "box"], ready, theirs)
            taken, up, _ = await live.change(lambda a=ready, b=mine: a.rename(b))
            numbers["up"].append((taken, other, up))
            shutil.copy2(mine, ready)
            one_byte(ready)
            other, _ = await asyncio.to_thread(rsync, box, ready, f"box:{theirs}")
            taken, up, down = await live.change(lambda b=mine: one_byte(b))
            numbers["1 byte changed"].append((taken, other, up + down))
            inserted(ready)
            other, _ = await asyncio.to_thread(rsync, box, ready, f"box:{theirs}")
            taken, up, down = await live.change(lambda a=ready, b=mine: a.rename(b))
            numbers["1 MiB inserted"].append((taken, other, up + down))
            for path in (mine, theirs):
                with contextlib.suppress(OSError):
                    path.unlink()
            await live.session.flush()
            # What history keeps would make the next round write to fresh memory, which the others need not.
            for event in (live.there / ".afield" / "history").iterdir():
                shutil.rmtree(event, ignore_errors=True)  # it is pruned at the same time
    rows = []
    for what, found in numbers.items():
        over = statistics.median(mine / other for mine, other, _ in found)
        peer, most = ("cat", 1 / 0.9) if what == "up" else ("rsync", 1.0)
        times = [statistics.median(column) for column in list(zip(*found, strict=True))[:2]]
        sent = max(found, key=lambda item: item[2])[2]
        wire = {"up": size * 1.01, "1 byte changed": 2e6, "1 MiB inserted": 4e6}[what]
        reached = verdict(over, most) if what != "1 MiB inserted" else ""
        cells = [f"{times[0]:.2f}", f"{peer} {times[1]:.2f}", f"{over:.2f}", reached, f"{sent / 1e6:.2f}"]
        rows.append([what, *cells, verdict(sent, wire)])
    return rows


async def slow(top: Path, box: Sshd, rounds: int) -> list[list[str]]:
    """1,000 small files changed over the slow link."""
    found = []
    async with Live(top, box, "slow") as live:

        def save(number: int) -> None:
            for at in range(SMALL_FILES):
                folder = live.here / f"d{at // 50}"
                folder.mkdir(exist_ok=True)
                (folder / f"f{at}.py").write_bytes(words(number * SMALL_FILES + at))

        await live.change(lambda: save(0))
        while len(found) < rounds:
            found.append(await live.change(lambda: save(len(found) + 1)))
    taken, up, down = (statistics.median(column) for column in zip(*found, strict=True))
    size = SMALL_FILES * SMALL_SIZE
    return [
        [f"{SMALL_FILES:,} files, {size / 1e6:.0f} MB", f"{taken:.2f}", f"{(up + down) / 1e6:.2f}", verdict(taken, 3.0)]
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="128 MiB, 1 round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mb", type=int, default=1024)
    parser.add_argument("--only", choices=["large", "slow"])
    parser.add_argument("--where", help="folder for all of it (default: the system's temporary folder)")
    given = parser.parse_args()
    size, rounds = (128 << 20, 1) if given.quick else (given.mb << 20, given.rounds)
    with tempfile.TemporaryDirectory(prefix="afield-bench-", dir=given.where) as folder:
        top = Path(folder)
        (top / "home").mkdir()
        with Sshd(top / "sshd", env={"AFIELD_HOME": str(top / "home")}) as box:
            relay = [sys.executable, "-I", "-S", str(RELAY), box.address, str(box.port), str(DELAY), str(RATE)]
            box.add_host("slow", f"ProxyCommand {shlex.join(relay)}")
            print(f"{machine()}; {rounds} rounds\n", flush=True)
            if given.only != "slow":
                rows = asyncio.run(large(top, box, size, rounds))
                print(f"One file of {size >> 20} MiB\n")
                print(markdown(["what", "afield s", "peer s", "× peer", "", "MB on the link", ""], rows), flush=True)
            if given.only != "large":
                rows = asyncio.run(slow(top, box, rounds))
                print("\nOver 50 ms one way and 20 Mbit/s\n")
                print(markdown(["what", "s", "MB on the link", "target ≤ 3 s"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
