"""How long a warm command takes: `.afield/bin/python -c pass` beside ssh over a warm ControlMaster, running the same Python.

python bench/exec.py [--rounds N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from place import BenchProject
from table import interleaved, machine, markdown, milliseconds, ratio, verdict

import afield.shim


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=61)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="afield-bench-") as folder, BenchProject(folder) as project:
        project.afield("up", "--yes")
        far = project.afield("python", "-c", "import sys; print(sys.executable)").stdout.strip()
        shim = project.folder / ".afield" / "bin" / "python"
        package = str(Path(afield.shim.__file__).parent.parent.parent)
        code = f"import sys; sys.path.insert(0, {package!r}); sys.argv[0] = {str(shim)!r}; from afield.shim.start import main; main()"

        def call(*words: str) -> None:
            subprocess.run(
                [*words, "-c", "pass"], cwd=project.folder, env=project.env, stdin=subprocess.DEVNULL, check=True
            )

        master = project.master()
        try:
            times = interleaved(
                {
                    "ssh, warm ControlMaster": lambda: project.ssh_warm(far, "-c", "pass"),
                    ".afield/bin/python, C client": lambda: call(str(shim)),
                    ".afield/bin/python, Python client": lambda: call(sys.executable, "-I", "-S", "-c", code),
                    "afield python": lambda: call(*project.afield_argv("python")),
                    "python here": lambda: call(far),
                },
                rounds,
            )
        finally:
            master.kill()
            master.wait()
    peer = times["ssh, warm ControlMaster"]
    targets = {".afield/bin/python, C client": 0.75, ".afield/bin/python, Python client": 1.05}
    rows = []
    for name, mine in times.items():
        target = targets.get(name)
        rows.append(
            [
                name,
                milliseconds(mine),
                f"{ratio(mine, peer):.2f}",
                f"≤ {target}" if target else "",
                verdict(ratio(mine, peer), target) if target else "",
            ]
        )
    print(f"{machine()}; {rounds} rounds, python -c pass\n")
    print(markdown(["way", "ms, median (min)", "× ssh", "target", ""], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
