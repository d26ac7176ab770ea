"""How long a warm command takes: `.afield/bin/python -c pass` beside ssh over a warm ControlMaster, running the same Python.

    python bench/exec.py [--rounds N] [--python PATH] [--json FILE]

Both clients are the ones that `afield up` installs, started as a user starts them. ssh names the interpreter outright, and its login
shell reads no start-up file: whatever a user has in one is on top of that, for ssh and not for afield.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from place import BenchProject
from table import arguments, interleaved, milliseconds, need, ratio, report, verdict

from afield.shim.install import install

SSH, C, PYTHON = "ssh, warm ControlMaster", ".afield/bin/python, C client", ".afield/bin/python, Python client"
TWIN = ".afield/bin/python in a twin, C client"
TARGETS = {TWIN: 0.8, C: 0.75, PYTHON: 1.05}


def python_client(project: BenchProject) -> Path | None:
    """Install the Python client as the command does where there is no C one, beside the one that stands there; None: it stands there."""
    folder = project.folder / ".afield"
    conf = dict(line.split("=", 1) for line in (folder / "shim.conf").read_text().splitlines())
    given = (str(project.folder), conf["socket"], conf["machine"])
    binary = (folder / "bin" / "python").read_bytes()
    if binary.startswith(b"#!"):
        return None
    install(*given, cli_argv=conf["fallback"].split("\t"), client="python")
    script = (folder / "bin" / "python").rename(folder / "bin" / "python-script")
    install(*given, cli_argv=conf["fallback"].split("\t"), client="c")
    if (folder / "bin" / "python").read_bytes() != binary:
        raise RuntimeError("the C client is not the one that `afield up` installed")
    return script


def take_way(project: BenchProject, way: str) -> None:
    """Let programs run in the twin or with translated paths, and wait until they do."""
    file = project.folder / "afield.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("way = ")]
    file.write_text("\n".join([f'way = "{way}"', *lines, ""]))
    project.afield("python", "-c", "pass")


def measure(project: BenchProject, far: str, rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    project.afield("up", "--yes")
    shim = project.folder / ".afield" / "bin" / "python"

    def call(*words: str | Path) -> None:
        subprocess.run(
            [*words, "-c", "pass"], cwd=project.folder, env=project.env, stdin=subprocess.DEVNULL, check=True
        )

    actions = {SSH: lambda: project.ssh_warm(far, "-c", "pass")}
    script = python_client(project)
    if script is None:
        print("bench: no C client could be built here: its row is missing", file=sys.stderr)
        actions[PYTHON] = lambda: call(shim)
    else:
        actions |= {C: lambda: call(shim), PYTHON: lambda: call(script)}
    actions["afield python"] = lambda: call(*project.afield_argv("python"))
    actions["that Python, started here"] = lambda: call(far)
    with project.master():
        take_way(project, "translated")
        times = interleaved(actions, rounds)
        take_way(project, "twin")
        twin = interleaved({SSH: actions[SSH], TWIN: lambda: call(shim)}, rounds)
        take_way(project, "translated")
    return times, twin


def main() -> int:
    parser = arguments(__doc__, rounds=31)
    parser.add_argument("--python", default="/usr/bin/python3", help="the interpreter there (/usr/bin/python3)")
    given = parser.parse_args()
    need("ssh", "sshd", given.python)
    with tempfile.TemporaryDirectory(prefix="afield-bench-") as folder, BenchProject(folder, given.python) as project:
        far = given.python
        times, twin = measure(project, far, given.rounds)
    ratios = {name: ratio(mine, times[SSH]) for name, mine in times.items()}
    # Beside its own rounds of ssh, measured in the same minutes.
    times[TWIN], ratios[TWIN] = twin[TWIN], ratio(twin[TWIN], twin[SSH])
    rows = [
        [
            name,
            milliseconds(mine),
            f"{ratios[name]:.2f}",
            f"≤ {TARGETS[name]}" if name in TARGETS else "",
            verdict(ratios[name], TARGETS[name]) if name in TARGETS else "",
        ]
        for name, mine in times.items()
    ]
    title = f"warm `{far} -c pass`, {given.rounds} rounds, ratios of pairs"
    header = ["way", "ms, median (min)", "× ssh", "target", ""]
    report(title, header, rows, numbers={"seconds": times, "ratios": ratios}, file=given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
