"""The mirror beside rsync over a private sshd: a first sync, one with nothing changed, one with a package replaced.

    python bench/mirror.py [--files 30000] [--rounds 3] [--json FILE] [--where FOLDER]

Both carry the same files: the sources of site-packages and of the standard library, by the same filter, over the sshd on loopback; each round into
new folders. The mirror uses the link that a project has anyway and starts with an empty store; rsync opens its own connection.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import random
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from sync_stand import Stand, packages_tree
from table import arguments, machine, need, ratio, report

from afield import plugins
from afield.daemon.mirrors import run
from afield.link.connection import Connection

TARGET, QUIET = 0.6, 1.0  # times rsync; seconds
FILTER = [
    "--exclude=__pycache__/",
    "--exclude=.*",
    *(f"--exclude=/{name}/" for name in ("test", "site-packages", "dist-packages")),
    "--include=*/",
    *(f"--include={name}" for name in ("*.py", "*.pyi", "py.typed", "*.pth", "*.dist-info/**", "*.egg-info/**")),
    "--exclude=*",
    "--prune-empty-dirs",
]


def environment(top: Path, files: int) -> Path:
    """A virtual environment whose site-packages has so many files, each package with its RECORD; gives its site-packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(top)], check=True)
    site = next((top / "lib").glob("python*")) / "site-packages"
    packages_tree(site, files)
    for package in sorted(site.iterdir()):
        if package.is_dir():
            record(site, package.name)
    return site


def record(site: Path, name: str) -> None:
    """Write the dist-info of a package as an installer does."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = []
    for path in sorted((site / name).rglob("*.py")):
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
        lines.append(f"{path.relative_to(site)},sha256={digest},{path.stat().st_size}")
    (info / "RECORD").write_text("\n".join([*lines, f"{info.name}/METADATA,,", f"{info.name}/RECORD,,"]) + "\n")


class Mirror:
    """One link, and a project and store for each round."""

    def __init__(self, stand: Stand, python: Path) -> None:
        self.link = Connection(plugins.transport_for("ssh://box", {"ssh": stand.ssh}))
        self.python = python

    async def sync(self, project: Path, cache: Path) -> tuple[float, dict]:
        """(seconds, what it did)."""
        os.environ["XDG_CACHE_HOME"] = str(cache)
        project.mkdir(exist_ok=True)
        began = time.perf_counter()
        stream = self.link.open_stream({"do": "mirror"})
        job = {"do": "sync", "base": str(project / ".afield"), "own": [], "python": str(self.python)}
        done = await run({**job, "machine": "box", "env": None, "full": False, "delay": 0.0}, stream=stream)
        return time.perf_counter() - began, done


def rsync(stand: Stand, sources: list[Path], target: Path) -> float:
    """Seconds of one ``rsync -a`` of all sources into target."""
    target.mkdir(exist_ok=True)
    began = time.perf_counter()
    words = [f"box:{source}/" for source in sources]
    subprocess.run(["rsync", "-a", *FILTER, "-e", stand.ssh, *words, str(target)], check=True)
    return time.perf_counter() - began


async def measure(stand: Stand, top: Path, files: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds by row and program."""
    site = environment(top / "there", files)
    python = top / "there" / "bin" / "python"
    stdlib = Path(
        subprocess.check_output(
            [python, "-c", "import sysconfig; print(sysconfig.get_paths()['stdlib'])"], text=True
        ).strip()
    )
    mirror = Mirror(stand, python)
    await mirror.link.open()
    times: dict[str, dict[str, list[float]]] = {
        row: {"afield": [], "rsync": []} for row in ("first", "unchanged", "one package")
    }
    for number in range(rounds):
        project, cache, target = stand.fresh("project"), stand.fresh("cache"), stand.fresh("rsync")
        order = ["afield", "rsync"][:: 1 if number % 2 else -1]
        for row in times:
            if row == "one package":
                path = site / "package001" / "extra.py"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(random.Random(number).randbytes(3000))
                record(site, "package001")
            for program in order:
                if program == "afield":
                    seconds, done = await mirror.sync(project, cache)
                    print(f"  {row}: {done}", file=sys.stderr)
                else:
                    seconds = rsync(stand, [site, stdlib], target)
                times[row][program].append(seconds)
    await mirror.link.close(quit_agent=True)
    return times


def main() -> int:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--files", type=int, default=30_000)
    parser.add_argument("--where", help="folder for all of it (default: the system's temporary folder)")
    given = parser.parse_args()
    need("rsync", "sshd")
    print(machine(), shlex.join(sys.argv), file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="afield-bench-", dir=given.where) as folder:
        with Stand(Path(folder)) as stand:
            times = asyncio.run(measure(stand, Path(folder), given.files, given.rounds))
        subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    rows = []
    for row, both in times.items():
        over = ratio(both["afield"], both["rsync"])
        target, good = (
            ("≤ 0.6 × rsync", over <= TARGET)
            if row == "first"
            else ("≤ 1 s", sorted(both["afield"])[given.rounds // 2] <= QUIET)
        )
        for program, taken in both.items():
            mine = program == "afield"
            rows.append(
                [
                    row,
                    program,
                    f"{sorted(taken)[len(taken) // 2]:.2f} ({min(taken):.2f})",
                    f"{over:.2f}" if mine else "",
                    target if mine else "",
                    ("reached" if good else "**missed**") if mine else "",
                ]
            )
    report(
        f"mirror, {given.files:,} files, {given.rounds} rounds",
        ["what", "program", "s, median (min)", "× rsync", "target", ""],
        rows,
        numbers=times,
        file=given.json,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
