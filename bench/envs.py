"""How long a listing of environments takes: 50 of them in a home of a thousand folders, beside starting each interpreter.

python bench/envs.py [--rounds N] [--envs N]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from table import interleaved, machine, markdown, milliseconds, verdict

from afield.testing.agent import AgentDriver

TARGET = 0.3  # seconds for 50 environments, from the project's own targets
PACKAGES = 60


def make(home: str, count: int) -> list[str]:
    """Fill a home: environments in projects and in tools' folders, each able to run; gives their interpreters."""
    real = os.path.realpath(sys.executable)
    short = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    places = [
        "code/p{}/.venv",
        ".virtualenvs/v{}",
        ".local/share/pipx/venvs/x{}",
        ".cache/pypoetry/virtualenvs/a{}-AbCdEfGh-py3.11",
    ]
    found = []
    for number in range(count):
        prefix = os.path.join(home, places[number % len(places)].format(number))
        site = os.path.join(prefix, "lib", short, "site-packages")
        os.makedirs(site)
        os.makedirs(os.path.join(prefix, "bin"))
        for package in range(PACKAGES):
            os.mkdir(os.path.join(site, f"package_{package}-1.{number}.dist-info"))
            os.mkdir(os.path.join(site, f"package_{package}"))
        with open(os.path.join(prefix, "pyvenv.cfg"), "w") as file:
            file.write(f"home = {os.path.dirname(real)}\nversion = 3\n")
        os.symlink(real, os.path.join(prefix, "bin", "python"))
        found.append(os.path.join(prefix, "bin", "python"))
    for number in range(1000):
        os.makedirs(os.path.join(home, "code", f"q{number % 50}", f"src{number}"))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--envs", type=int, default=50)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="afield-bench-") as folder:
        home = os.path.join(folder, "home")
        pythons = make(home, args.envs)
        variables = {"HOME": home, "PATH": "/usr/bin:/bin", "PYENV_ROOT": "", "VIRTUAL_ENV": ""}
        with AgentDriver(os.path.join(folder, "agent"), env=variables) as agent:
            agent.dial()
            told = agent.call("envs", roots=[os.fsencode(home) + b"/code"])
            names = len(told["envs"])

            def listing() -> None:
                agent.call("envs", roots=[os.fsencode(home) + b"/code"])

            def spawn() -> None:
                code = "import sys; print(sys.version)"
                for python in pythons:
                    subprocess.run([python, "-I", "-S", "-c", code], capture_output=True, check=True)

            times = interleaved({"one call to the agent": listing}, args.rounds)
            times.update(interleaved({"starting each interpreter": spawn}, 2))
    best = sorted(times["one call to the agent"])[len(times["one call to the agent"]) // 2]
    rows = [[name, milliseconds(mine)] for name, mine in times.items()]
    print(f"{names} environments found, {told['folders']} folders walked; {machine()}\n")
    print(markdown(["way", "ms: median (least)"], rows))
    print(f"\ntarget {TARGET * 1000:.0f} ms: {verdict(best, TARGET)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
