"""What the sync bench stands on: a private sshd, trees of files, a live session, and the peers as one command each.

Rules: every program writes into a folder of its own that is removed only at the end (ext4 searches long for inodes
right after many were freed, which would be charged to whoever comes next). No measuring here.
"""

from __future__ import annotations

import contextlib
import os
import random
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import Self

from afield import plugins
from afield.link.connection import Connection
from afield.sync.channel import local_worker
from afield.sync.session import Session
from afield.sync.settings import Settings
from afield.sync.stream_channel import open_there
from hosts import Sshd

WORDS = [f"name_{number} = value({number})\n".encode() for number in range(500)]


def text(rnd: random.Random, size: int) -> bytes:
    """About ``size`` bytes that deflate as a program does."""
    return b"".join(rnd.choices(WORDS, k=max(1, size // 22)))


def project_tree(top: Path, files: int, size: int = 6000) -> None:
    """``files`` files of about ``size`` bytes in one folder for each ten: half text-like, half noise."""
    rnd = random.Random(1)
    for number in range(files):
        folder = top / f"part{number // 200:03d}" / f"group{number // 10:04d}"
        if number % 10 == 0:
            folder.mkdir(parents=True, exist_ok=True)
        length = rnd.randrange(size // 2, size * 3 // 2)
        (folder / f"file{number}.py").write_bytes(rnd.randbytes(length) if number % 2 else text(rnd, length))


def packages_tree(top: Path, files: int) -> None:
    """As a site-packages: sizes from empty to 200 KB (median 3 KB, mean 9 KB), folders of unequal size and depth."""
    rnd = random.Random(2)
    folder = top
    for number in range(files):
        if number % 17 == 0:
            package = top / f"package{number // 500:03d}"
            folder = package.joinpath(*(f"sub{rnd.randrange(6)}" for _ in range(rnd.randrange(4))))
            folder.mkdir(parents=True, exist_ok=True)
        length = min(200_000, int(rnd.lognormvariate(8.0, 1.5))) if number % 12 else 0
        (folder / f"module_{number}.py").write_bytes(text(rnd, length) if length else b"")


def thousand(folder: Path, seed: int) -> None:
    """A folder of 1,000 files of about 6 KB in ten folders."""
    rnd = random.Random(seed)
    for number in range(1000):
        inner = folder / f"d{number // 100}"
        if number % 100 == 0:
            inner.mkdir(parents=True)
        (inner / f"f{number}.py").write_bytes(rnd.randbytes(6000) if number % 2 else text(rnd, 6000))


class Stand:
    """``with Stand(folder) as stand``: an sshd called box."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.count = 0
        (top / "home").mkdir()
        self.box = Sshd(top / "sshd", env={"AFIELD_HOME": str(top / "home"), "UNISON": str(top / "unison-there")})

    def __enter__(self) -> Self:
        self.box.start()
        self.ssh = shlex.join(self.box.ssh)
        return self

    def __exit__(self, *_: object) -> None:
        self.box.stop()

    def fresh(self, kind: str) -> Path:
        """A path that nobody used before."""
        self.count += 1
        return self.top / f"{kind}-{self.count}"

    def connection(self) -> Connection:
        """A link to it, not yet open."""
        return Connection(plugins.transport_for("ssh://box", {"ssh": self.ssh}))

    def quiet(self, command: str, **env: str) -> None:
        """Run a shell command that has to succeed."""
        subprocess.run(command, shell=True, check=True, capture_output=True, env={**os.environ, **env})

    # -- peers: source folder, target folder

    def rsync(self, source: Path, target: Path, *words: str) -> int:
        """``rsync -a``; gives the bytes both ways as it counts them (without ssh)."""
        argv = ["rsync", "-a", "--stats", *words, "-e", self.ssh, f"{source}/", f"box:{target}/"]
        done = subprocess.run(argv, check=True, capture_output=True, text=True)
        lines = [line.rpartition(":")[2].replace(",", "") for line in done.stdout.splitlines() if "otal bytes" in line]
        return sum(int(number) for number in lines)

    def tar(self, source: Path, target: Path) -> None:
        """Tar through ssh."""
        self.quiet(f"tar -C {source} -cf - . | {self.ssh} box 'mkdir {target} && tar -C {target} -xf -'")

    def scp(self, source: Path, target: Path) -> None:
        """``scp -r``."""
        self.quiet(f"scp -q -r -F {self.box.config} {source} box:{target}")

    def unison(self, source: Path, target: Path) -> None:
        """Unison with an archive of its own."""
        words = f"-batch -silent -sshargs '-F {self.box.config}' -confirmbigdel=false -ignore 'Path .afield'"
        archive = self.top / f"archive-{target.name}"
        self.quiet(f"unison {source} ssh://box/{target} {words}", UNISON=str(archive))


class Live:
    """One session over the sshd; ``async with`` does the first sync. ``keep``: the base store stays for a second one."""

    def __init__(self, stand: Stand, here: Path, there: Path, store: Path, *, keep: bool = False) -> None:
        self.here, self.there, self.keep = here, there, keep
        self.link = stand.connection()
        chosen = Settings(
            os.fsencode(here), os.fsencode(there), "ssh://box", str(store), ask_bytes=1 << 50, ask_files=1 << 50
        )
        self.session = Session(local_worker, self._far, chosen)

    async def _far(self):
        await self.link.open()
        return open_there(self.link, os.fsencode(self.there))

    async def __aenter__(self) -> Self:
        await self.session.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        await self.link.close(quit_agent=not self.keep)
        if not self.keep:
            shutil.rmtree(self.here / ".afield", ignore_errors=True)

    def counters(self) -> tuple[int, int]:
        """Bytes up and down so far, as the link's session gave them to ssh."""
        numbers = self.link.statistics()["link"]
        return numbers["sent"], numbers["received"]

    async def change(self, action) -> tuple[float, int, int]:
        """(seconds, bytes up, bytes down) from before ``action`` until both sides are known to be equal."""
        await self.session.flush(60.0)
        up, down = self.counters()
        began = time.perf_counter()
        action()
        await self.session.flush(60.0)
        taken = time.perf_counter() - began
        with contextlib.suppress(AttributeError):
            assert self.session.status().problems_total == 0, self.session.status().problems
        after = self.counters()
        return taken, after[0] - up, after[1] - down
