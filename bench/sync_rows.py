"""The rows of the sync bench: each measures one thing beside its peers and gives rows for a table.

Rules: every round runs all programs one after the other, so noise of the machine meets all. A live change counts from
before the first system call that makes it until afield knows that both sides are equal; an edit until inotify at the
place tells an observer of the new file. A one-shot begins with no daemon's session, no link and no worker here.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import statistics
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sync_stand import Live, Stand, packages_tree, project_tree, thousand
from table import ratio

from afield.files.inotify import Inotify


class Row(NamedTuple):
    """One line: seconds a round, the ratio to rsync, bytes on the wire (median), the target and whether it was reached."""

    what: str
    program: str
    times: list[float]
    over: float | None = None
    wire: int | None = None
    target: str = ""
    reached: bool | None = None


class Scale(NamedTuple):
    """How much is measured."""

    files: int
    packages: int
    many: int
    rounds: int
    saves: int


def timed(action) -> float:
    """Seconds."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


async def _once(stand: Stand, source: Path) -> float:
    began = time.perf_counter()
    live = Live(stand, source, stand.fresh("afield"), stand.fresh("store"))
    async with live:
        return time.perf_counter() - began


def first(stand: Stand, scale: Scale, peers: list[str], what: str) -> list[Row]:
    """A first upload, from no link to everything written there."""
    source = stand.top / f"source-{what}"
    files = scale.files if what == "upload" else scale.packages
    (project_tree if what == "upload" else packages_tree)(source, files)
    asyncio.run(_once(stand, source))  # fills the agent's cache there, as a second connect would find it
    times: dict[str, list[float]] = {name: [] for name in ["afield", *peers]}
    for _ in range(scale.rounds):
        for name in times:
            os.sync()
            if name == "afield":
                times[name].append(asyncio.run(_once(stand, source)))
            else:
                times[name].append(timed(lambda n=name: getattr(stand, n)(source, stand.fresh(n))))
    title = f"first upload, {files:,} files" + (" as in site-packages" if what == "packages" else "")
    return _beside(title, times, 0.6)


def _beside(title: str, times: dict[str, list[float]], target: float) -> list[Row]:
    rows = []
    for name, taken in sorted(times.items(), key=lambda item: statistics.median(item[1])):
        over = ratio(taken, times["rsync"]) if "rsync" in times else None
        row = Row(title, name, taken, over)
        if name == "afield" and over is not None:
            row = row._replace(target=f"≤ {target} × rsync", reached=over <= target)
        rows.append(row)
    return rows


def many(stand: Stand, scale: Scale, rows: set[str]) -> list[Row]:
    """All that is measured among ``scale.many`` files: they are uploaded once."""
    source, there, store = stand.top / "many", stand.top / "many-there", stand.top / "many-store"
    project_tree(source, scale.many, 100)
    other = stand.fresh("rsync-many")
    stand.rsync(source, other, "--exclude", ".afield")
    found: list[Row] = []
    found += asyncio.run(_live(stand, scale, rows, (source, there, store), other))
    if "quiet" in rows:
        found += _restart(stand, scale, (source, there, store), other)
    return found


async def _live(stand: Stand, scale: Scale, rows: set[str], where: tuple[Path, Path, Path], other: Path) -> list[Row]:
    found: list[Row] = []
    async with Live(stand, *where, keep=True) as live:
        await live.session.flush(60.0)
        if "quiet" in rows:
            times = []
            for _ in range(max(7, scale.rounds)):
                began = time.perf_counter()
                await live.session.flush()
                times.append(time.perf_counter() - began)
            goal = statistics.median(times) <= 0.05
            found.append(Row(f"no change, {scale.many:,} files, live", "afield", times, None, None, "≤ 0.05 s", goal))
        if "edit" in rows:
            found += await _edits(live, scale)
        if "folder" in rows:
            found += await _folders(stand, live, scale, other)
    return found


async def _edits(live: Live, scale: Scale) -> list[Row]:
    """Save here → told by inotify there."""
    rnd = random.Random(3)
    times = []
    watch = Inotify(os.fsencode(live.there))
    names = rnd.choices(range(scale.many // 200), k=scale.saves)
    for number in set(names):
        watch.add(b"part%03d/group%04d" % (number, number * 20))
    try:
        for count, number in enumerate(names):
            name = f"part{number:03d}/group{number * 20:04d}"
            list(watch.read())
            began = time.perf_counter()
            text = f"number = {count}\n" * 100
            (live.here / name / "edited.py").write_text(text)
            times.append(await _seen(watch, began, live.there / name / "edited.py", text))
            await asyncio.sleep(rnd.random() * 0.04)
    finally:
        watch.close()
    ordered = sorted(times)
    half, most = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)]
    title = f"one edit among {scale.many:,} files, live"
    return [
        Row(f"{title}, p50", "afield", [half], None, None, "≤ 0.010 s", half <= 0.010),
        Row(f"{title}, p95", "afield", [most], None, None, "≤ 0.030 s", most <= 0.030),
    ]


async def _seen(watch: Inotify, began: float, path: Path, text: str) -> float:
    """Seconds until an event there after which the whole text can be read."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(watch.fd, ready.set)
    try:
        async with asyncio.timeout(10):
            while True:
                await ready.wait()
                ready.clear()
                now = time.perf_counter()
                if any(name == b"edited.py" for _, name, _, _ in watch.read()) and path.read_text() == text:
                    return now - began
    finally:
        loop.remove_reader(watch.fd)


async def _folders(stand: Stand, live: Live, scale: Scale, other: Path) -> list[Row]:
    """A folder of 1,000 files added, renamed, deleted, beside rsync -a --delete of the same."""
    mine: dict[str, list[tuple[float, int, int]]] = {"added": [], "renamed": [], "deleted": []}
    theirs: dict[str, list[tuple[float, int]]] = {"added": [], "renamed": [], "deleted": []}
    for number in range(scale.rounds):
        ready, one, two = stand.fresh("ready"), live.here / f"added{number}", live.here / f"renamed{number}"
        thousand(ready, number)
        steps = {
            "added": partial(ready.rename, one),
            "renamed": partial(one.rename, two),
            "deleted": partial(shutil.rmtree, two),
        }
        for what, step in steps.items():
            mine[what].append(await live.change(step))
            began = time.perf_counter()
            sent = await asyncio.to_thread(stand.rsync, live.here, other, "--delete", "--exclude", ".afield")
            theirs[what].append((time.perf_counter() - began, sent))
    rows = []
    for what, target in (("renamed", 0.2), ("deleted", 0.1), ("added", 0.3)):
        title = f"1,000 files {what} among {scale.many:,}, live"
        times, peer = [item[0] for item in mine[what]], [item[0] for item in theirs[what]]
        wire = int(statistics.median(up + down for _, up, down in mine[what]))
        good = statistics.median(times) <= target and (what != "renamed" or wire <= 30_000)
        words = f"≤ {target} s" + (", ≤ 30 KB" if what == "renamed" else "")
        rows.append(Row(title, "afield", times, ratio(times, peer), wire, words, good))
        rows.append(Row(title, "rsync", peer, 1.0, int(statistics.median(sent for _, sent in theirs[what]))))
    return rows


def _restart(stand: Stand, scale: Scale, where: tuple[Path, Path, Path], other: Path) -> list[Row]:
    """No change, from nothing here: dial, scans, comparison. The agent there kept its worker, or is gone as well."""

    async def again() -> float:
        began = time.perf_counter()
        async with Live(stand, *where, keep=True) as live:
            await live.session.flush()
            return time.perf_counter() - began

    async def quit_agent() -> None:
        link = stand.connection()
        await link.open()
        await link.close(quit_agent=True)

    found: list[Row] = []
    for warm in (True, False):
        times: dict[str, list[float]] = {"afield": [], "rsync": []}
        for _ in range(scale.rounds):
            if not warm:
                asyncio.run(quit_agent())
            times["afield"].append(asyncio.run(again()))
            times["rsync"].append(timed(lambda: stand.rsync(where[0], other, "--delete", "--exclude", ".afield")))
        what = "one-shot after a restart" + ("" if warm else ", the agent gone as well")
        found += _beside(f"no change, {scale.many:,} files, {what}", times, 0.5)
    return found
