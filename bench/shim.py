"""What a project's interpreter costs beside the same Python started here: one start, a hundred at once, a test suite of 500.

    python bench/shim.py [--rounds N] [--python PATH] [--json FILE]

The place is this machine by a private sshd, so both sides have the same processor: what differs is afield. The Python there needs pytest
for the last row.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from place import BenchProject
from table import arguments, interleaved, milliseconds, need, ratio, report, verdict

TARGETS = {"-c pass, beside ssh": 0.8, "100 at once, beside 100 here": 1.5, "pytest of 500 tests, beside here": 1.1}
TESTS = "import pytest\n\n\n@pytest.mark.parametrize('n', range(50))\ndef test_each(n, tmp_path):\n    (tmp_path / 'x').write_text(str(sum(range(20_000 + n))))\n"


def at_once(python: str, project: BenchProject, count: int = 100) -> None:
    """Start so many and wait for all."""
    started = [
        subprocess.Popen(
            [python, "-c", "pass"],
            cwd=project.folder,
            env=project.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        for _ in range(count)
    ]
    if sum(abs(process.wait()) for process in started):
        raise RuntimeError("a start failed")


def measure(project: BenchProject, rounds: int, far: str) -> dict[str, tuple[list[float], list[float]]]:
    for number in range(10):
        (project.folder / f"test_{number}.py").write_text(TESTS)
    project.afield("up", "--yes")
    # Not what the shim says it is: in a twin that is its own path, which outside of the twin leads to the shim again.
    shim = str(project.folder / ".afield" / "bin" / "python")

    def call(*words: str) -> None:
        subprocess.run(
            words, cwd=project.folder, env=project.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True
        )

    def pytest(python: str) -> None:
        call(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly")

    with project.master():
        one = interleaved(
            {"a": lambda: call(shim, "-c", "pass"), "b": lambda: project.ssh_warm(far, "-c", "pass")}, rounds
        )
    many = interleaved({"a": lambda: at_once(shim, project), "b": lambda: at_once(far, project)}, max(3, rounds // 6))
    suite = interleaved({"a": lambda: pytest(shim), "b": lambda: pytest(far)}, max(3, rounds // 6))
    return dict(zip(TARGETS, [(each["a"], each["b"]) for each in (one, many, suite)], strict=True))


def main() -> int:
    parser = arguments(__doc__, rounds=31)
    parser.add_argument("--python", default=sys.executable, help="the interpreter there, with pytest (this one)")
    given = parser.parse_args()
    need("ssh", "sshd", given.python)
    with tempfile.TemporaryDirectory(prefix="afield-bench-") as folder, BenchProject(folder, given.python) as project:
        found = measure(project, given.rounds, given.python)
    ratios = {name: ratio(mine, other) for name, (mine, other) in found.items()}
    rows = [
        [
            name,
            milliseconds(mine),
            milliseconds(other),
            f"{ratios[name]:.2f}",
            f"≤ {TARGETS[name]}",
            verdict(ratios[name], TARGETS[name]),
        ]
        for name, (mine, other) in found.items()
    ]
    header = ["what", "shim, ms, median (min)", "beside", "×", "target", ""]
    numbers = {"seconds": {name: list(pair) for name, pair in found.items()}, "ratios": ratios}
    report(
        f"the project's interpreter, {given.rounds} rounds, ratios of pairs",
        header,
        rows,
        numbers=numbers,
        file=given.json,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
