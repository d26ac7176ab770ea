"""Two real folders with two real workers: what the tests of sync stand on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from afield.sync.channel import local_worker
from afield.sync.session import Session
from afield.sync.settings import Settings

PATIENCE = 20.0


class Pair:
    """``here`` and ``there`` are folders; ``up()`` a running session between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.here = folder / "here"
        self.there = folder / "there"
        self.store = folder / "state" / "base.db"
        self.here.mkdir()
        self.makers = {"here": local_worker, "there": local_worker}
        self.progress = []

    def settings(self, **changes) -> Settings:
        return Settings(
            here=os.fsencode(self.here), there=os.fsencode(self.there), place="local://test", store=str(self.store)
        )._replace(**changes)

    def session(self, *, on_change=None, on_progress=None, **changes) -> Session:
        return Session(
            self.makers["here"],
            self.makers["there"],
            self.settings(**changes),
            on_change=on_change,
            on_progress=on_progress,
        )

    @contextlib.asynccontextmanager
    async def up(self, *, allow=None, **changes):
        session = self.session(**changes)
        try:
            await session.start(allow=allow)
            yield session
        finally:
            await session.close()

    def side(self, name: str) -> Path:
        return {"here": self.here, "there": self.there}[name]

    def tree(self, name: str) -> dict[bytes, tuple]:
        """Path -> (kind, content or target, executable), without .afield."""
        return tree_of(os.fsencode(self.side(name)))

    def equal(self) -> dict[bytes, tuple]:
        here, there = self.tree("here"), self.tree("there")
        assert here == there
        return here


def tree_of(top: bytes) -> dict[bytes, tuple]:
    found = {}

    def walk(folder: bytes) -> None:
        with os.scandir(top + b"/" + folder if folder else top) as entries:
            found_entries = list(entries)
        for entry in found_entries:
            path = folder + b"/" + entry.name if folder else entry.name
            if path == b".afield":
                continue
            if entry.is_symlink():
                found[path] = ("l", os.readlink(entry.path), False)
            elif entry.is_dir(follow_symlinks=False):
                found[path] = ("d", None, False)
                walk(path)
            else:
                executable = bool(entry.stat().st_mode & stat.S_IXUSR)
                with open(entry.path, "rb") as file:
                    found[path] = ("f", file.read(), executable)

    walk(b"")
    return found


@pytest.fixture
def pair(tmp_path):
    made = Pair(tmp_path)
    before = set(children())  # a daemon of another folder's test may be about to end
    yield made
    for folder, _, _ in os.walk(os.fsencode(tmp_path)):
        with contextlib.suppress(OSError):
            os.chmod(folder, 0o755)
    shutil.rmtree(os.fsencode(tmp_path), ignore_errors=True)
    assert not set(children()) - before, "a test left processes behind"


def children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [pid for pid in map(int, file.read().split()) if not is_zombie(pid)]


def is_zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture
def wait_for():
    async def wait(test, what="the condition", seconds=PATIENCE):
        """Wait until test() is true; what it gives is given back."""
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                found = test()
                if found:
                    return found
            assert time.monotonic() < end, f"{what} did not come within {seconds} s"
            await asyncio.sleep(0.002)

    return wait


@pytest.fixture
def kill_worker():
    def kill(session, side: str) -> int:
        """SIGKILL the worker of a side and give its pid."""
        pid = session.picture.side(side).endpoint.channel.process.pid
        os.kill(pid, signal.SIGKILL)
        return pid

    return kill


class SmallDisk:
    """A disk of 1 MB at a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.filler = folder / "filler"

    def leave(self, room: int) -> None:
        """Fill it but for so many bytes."""
        with contextlib.suppress(OSError), open(self.filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        os.truncate(self.filler, self.filler.stat().st_size - room)

    def free(self) -> None:
        self.filler.unlink()


@pytest.fixture
def disk_at():
    """Give a function that mounts a small disk at a folder; without the right to mount the test is left out."""
    mounted = []

    def mount(folder: Path) -> SmallDisk:
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
        if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("mounting is not possible here")
        mounted.append(folder)
        return SmallDisk(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)
