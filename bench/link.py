"""Throughput of a stream, and the echo of 64 bytes beside it: afield, raw ssh and a ControlMaster, side by side on a private sshd.

    python bench/link.py [--quick] [--rounds N] [--only loopback|slow]

Prints markdown. All numbers of one row come from interleaved runs of one process; medians. The slow link is relay.py:
5 MB/s, 80 ms round trip.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from afield import plugins
from afield.link.connection import Connection
from hosts import Sshd

RELAY = Path(__file__).with_name("relay.py")
DELAY, RATE = 0.04, 5_000_000
BLOCK = bytes(256 * 1024)


def process(argv: list[str]) -> dict:
    header = {
        "do": "process",
        "argv": [os.fsencode(word) for word in argv],
        "cwd": None,
        "env": {},
        "unset": [],
        "tty": None,
    }
    return {**header, "login": False, "id": os.urandom(16), "label": "bench", "mkdir": False}


# -- afield


async def send(stream, size: int) -> None:
    while size:
        part = BLOCK[: min(size, len(BLOCK))]
        await stream.write(part)
        size -= len(part)


async def link_up(link: Connection, size: int) -> float:
    """MB/s of size bytes into a program there that reads them all."""
    stream = link.open_stream(process(["sh", "-c", "exec cat >/dev/null"]))
    stream.on_message = lambda _: None
    start = time.perf_counter()
    await send(stream, size)
    await stream.write_end()
    await stream.wait_closed()
    return size / (time.perf_counter() - start) / 1e6


async def link_down(link: Connection, size: int) -> float:
    """MB/s of size bytes written by a program there."""
    stream = link.open_stream(process(["head", "-c", str(size), "/dev/zero"]))
    stream.on_message = lambda _: None
    got = 0

    def sink(data: memoryview, _err: bool) -> None:
        nonlocal got
        got += len(data)
        stream.consumed(len(data))

    start = time.perf_counter()
    stream.set_sink(sink)
    await stream.wait_closed()
    assert got == size, (got, size)
    return size / (time.perf_counter() - start) / 1e6


async def link_echo(link: Connection, seconds: float, bulk: str | None) -> tuple[list[float], float]:
    """Round trips (ms) of 64 bytes through `cat` there while a bulk stream runs; and its MB/s."""
    echo = link.open_stream(process(["cat"]))
    echo.on_message = lambda _: None
    noise = None
    moved = 0
    task = None
    if bulk == "down":
        noise = link.open_stream(process(["cat", "/dev/zero"]))
        noise.on_message = lambda _: None

        def sink(data: memoryview, _err: bool) -> None:
            nonlocal moved
            moved += len(data)
            noise.consumed(len(data))

        noise.set_sink(sink)
    elif bulk == "up":
        noise = link.open_stream(process(["sh", "-c", "exec cat >/dev/null"]))
        noise.on_message = lambda _: None

        def count(total: int) -> None:
            nonlocal moved
            moved = total

        noise.on_consumed = count
        task = asyncio.ensure_future(send(noise, 1 << 50))
    times = []
    try:
        await echo.write(bytes(64))
        await read_exactly(echo, 64)
        await asyncio.sleep(min(2.0, seconds / 2))  # the window settles
        begin, before = time.perf_counter(), moved
        while time.perf_counter() - begin < seconds:
            start = time.perf_counter()
            await echo.write(bytes(64))
            await read_exactly(echo, 64)
            times.append((time.perf_counter() - start) * 1000)
            await asyncio.sleep(0.005)
        rate = (moved - before) / (time.perf_counter() - begin) / 1e6
    finally:
        if task:
            task.cancel()
            with contextlib.suppress(BaseException):
                await task
        if noise:
            noise.close()
        echo.close()
    await link.call("ping")
    return times, rate


async def read_exactly(stream, size: int) -> None:
    while size:
        data = await stream.read(size)
        assert data
        size -= len(data)


# -- the peers


def raw_up(ssh: list[str], size: int) -> float:
    """MB/s of `cat | ssh cat`; the clock starts when the far side is ready, as the link is open already."""
    with subprocess.Popen(
        [*ssh, "printf R; exec cat >/dev/null"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as child:
        assert child.stdout.read(1) == b"R"
        start = time.perf_counter()
        subprocess.run(f"head -c {size} /dev/zero | cat", shell=True, check=True, stdout=child.stdin)
        child.stdin.close()
        child.wait()
        return size / (time.perf_counter() - start) / 1e6


def raw_down(ssh: list[str], size: int) -> float:
    """MB/s of `ssh cat | cat`; the clock starts at the line that sets it off."""
    with subprocess.Popen(
        [*ssh, f"read x; exec head -c {size} /dev/zero"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as child:
        time.sleep(1.2)  # logged in by then, also on the slow link
        start = time.perf_counter()
        child.stdin.write(b"\n")
        child.stdin.close()
        subprocess.run("cat >/dev/null", shell=True, check=True, stdin=child.stdout)
        return size / (time.perf_counter() - start) / 1e6


def master_echo(ssh: list[str], seconds: float, bulk: str | None) -> tuple[list[float], float]:
    """The same echo over a second session of one ControlMaster connection."""
    echo = subprocess.Popen([*ssh, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    noise = None
    if bulk == "down":
        noise = subprocess.Popen([*ssh, "cat /dev/zero"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    elif bulk == "up":
        with open("/dev/zero") as zeros:
            noise = subprocess.Popen([*ssh, "cat >/dev/null"], stdin=zeros, stdout=subprocess.DEVNULL)
    times = []
    try:
        step(echo)
        time.sleep(min(2.0, seconds / 2))
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            start = time.perf_counter()
            step(echo)
            times.append((time.perf_counter() - start) * 1000)
            time.sleep(0.005)
    finally:
        for child in (noise, echo):
            if child:
                child.kill()
                child.wait()
                for pipe in (child.stdin, child.stdout):
                    if pipe:
                        pipe.close()
    return times, 0.0


def step(child) -> None:
    child.stdin.write(bytes(64))
    got = 0
    while got < 64:
        got += len(child.stdout.read(64 - got))


# -- tables


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def throughput(link: Connection, ssh: list[str], size: int, rounds: int, title: str) -> None:
    rows: dict[str, list[float]] = {"raw up": [], "afield up": [], "raw down": [], "afield down": []}
    await link_up(link, size // 4)
    await link_down(link, size // 4)

    for _ in range(rounds):
        rows["raw up"].append(await asyncio.to_thread(raw_up, ssh, size))
        rows["afield up"].append(await link_up(link, size))
        rows["raw down"].append(await asyncio.to_thread(raw_down, ssh, size))
        rows["afield down"].append(await link_down(link, size))
    print(f"\n**{title}, {size / 1e6:.0f} MB, {rounds} rounds** (logins not counted)\n")
    print("| | raw ssh MB/s | afield MB/s | ratio of medians | median of the pairs' ratios |\n|---|---|---|---|---|")
    for way in ("up", "down"):
        raw, ours = rows[f"raw {way}"], rows[f"afield {way}"]
        pairs = statistics.median(b / a for a, b in zip(raw, ours, strict=True))
        first, second = statistics.median(raw), statistics.median(ours)
        print(f"| {way} | {first:.1f} | {second:.1f} | {second / first:.2f} | {pairs:.2f} |", flush=True)


async def latency(link: Connection, master: list[str], seconds: float, rounds: int, title: str) -> None:
    print(f"\n**{title}: echo of 64 bytes, {rounds} x {seconds} s**\n")
    print(
        "| bulk beside it | afield p50 ms | p99 ms | bulk MB/s | ControlMaster p50 ms | p99 ms |\n|---|---|---|---|---|---|"
    )
    for bulk in (None, "up", "down"):
        ours, theirs, rates = [], [], []
        for _ in range(rounds):
            times, rate = await link_echo(link, seconds, bulk)
            ours.append(times)
            rates.append(rate)
            theirs.append((await asyncio.to_thread(master_echo, master, seconds, bulk))[0])
        cells = [
            statistics.median(quantile(times, share) for times in runs)
            for runs in (ours, theirs)
            for share in (0.5, 0.99)
        ]
        print(
            f"| {bulk or 'none'} | {cells[0]:.2f} | {cells[1]:.2f} | {statistics.median(rates):.1f} | {cells[2]:.2f} | {cells[3]:.2f} |",
            flush=True,
        )


@contextlib.contextmanager
def control_master(ssh: list[str], host: str, folder: Path):
    path = str(folder / f"cm-{host}")
    shared = [*ssh, "-oControlPath=" + path, host]
    subprocess.run(
        [*ssh, "-oControlMaster=yes", "-oControlPath=" + path, "-oControlPersist=yes", "-fN", host], check=True
    )
    try:
        yield shared
    finally:
        subprocess.run([*ssh, "-oControlPath=" + path, "-Oexit", host], check=False, stderr=subprocess.DEVNULL)


async def measure(box: Sshd, host: str, size: int, rounds: int, seconds: float, title: str, folder: Path) -> None:
    link = Connection(plugins.transport_for(f"ssh://{host}", {"ssh": shlex.join(box.ssh)}))
    await link.open()
    try:
        await throughput(link, [*box.ssh, host], size, rounds, title)
        with control_master(box.ssh, host, folder) as master:
            await latency(link, master, seconds, max(3, rounds // 2), title)
    finally:
        await link.close(quit_agent=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=["loopback", "slow"])
    parser.add_argument("--mb", type=int)
    options = parser.parse_args()
    rounds = 3 if options.quick else options.rounds
    with tempfile.TemporaryDirectory(prefix="afield-bench-") as name:
        folder = Path(name)
        with Sshd(folder / "sshd", env={"AFIELD_HOME": str(folder / "home")}) as box:
            relay = shlex.join(
                [sys.executable, "-I", "-S", str(RELAY), box.address, str(box.port), str(DELAY), str(RATE)]
            )
            box.add_host("slow", f"ProxyCommand {relay}")
            if options.only != "slow":
                size = (options.mb or (64 if options.quick else 256)) << 20
                asyncio.run(measure(box, "box", size, rounds, 2.0, "loopback", folder))
            if options.only != "loopback":
                size = (options.mb or (8 if options.quick else 24)) << 20
                asyncio.run(
                    measure(box, "slow", size, 3 if options.quick else min(rounds, 7), 6.0, "5 MB/s, 80 ms", folder)
                )


if __name__ == "__main__":
    main()
