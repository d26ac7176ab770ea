"""Memory and time of a sync by the number of files: two folders on this machine, one session, its two workers.

    python bench/sync_memory.py FOLDER FILES...

Prints a JSON list: for each count the seconds and the peak resident bytes of the session's process with the worker here,
and of the worker there, for the first sync and for a restart without a change. Each step runs in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from afield.sync.channel import local_worker
from afield.sync.session import Session
from afield.sync.settings import Settings


def make(top: Path, files: int) -> None:
    """``files`` small files, a hundred in a folder, a hundred folders in a folder."""
    top.mkdir()
    for number in range(files):
        folder = top / f"part{number // 10_000:04d}" / f"group{number // 100:06d}"
        if number % 100 == 0:
            folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder / f"file{number:07d}.py", os.O_WRONLY | os.O_CREAT)
        os.write(fd, b"%d\n" % number)
        os.close(fd)


def peak(pid: int) -> int:
    """Peak resident bytes of a process (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise OSError(f"no VmHWM of {pid}")


async def step(top: Path) -> dict[str, float]:
    """One sync in this process, from nothing."""
    pids: list[int] = []

    async def worker():
        channel = await local_worker()
        pids.append(channel.process.pid)
        return channel

    chosen = Settings(
        os.fsencode(top / "here"),
        os.fsencode(top / "there"),
        "local://",
        str(top / "store"),
        ask_bytes=1 << 50,
        ask_files=1 << 50,
    )
    session = Session(worker, worker, chosen)
    began = time.perf_counter()
    try:
        await session.start()
        first = time.perf_counter() - began
        await session.flush(600.0)
        whole = time.perf_counter() - began
        here, there = (peak(pid) for pid in pids)
        return {"seconds": first, "until_watched": whole, "here": peak(os.getpid()) + here, "there": there}
    finally:
        await session.close()


def measure(top: Path, files: int) -> dict[str, float]:
    """All steps for one count."""
    top.mkdir()
    make(top / "here", files)
    found: dict[str, float] = {"files": files}
    for name in ("first", "again"):
        argv = [sys.executable, __file__, "--step", str(top)]
        out = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout
        found.update({f"{name}_{key}": value for key, value in json.loads(out).items()})
    return found


if __name__ == "__main__":
    if sys.argv[1] == "--step":
        print(json.dumps(asyncio.run(step(Path(sys.argv[2])))))
    else:
        where = Path(sys.argv[1])
        print(json.dumps([measure(where / f"n{count}", int(count)) for count in sys.argv[2:]], indent=1))
