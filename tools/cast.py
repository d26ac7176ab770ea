"""Plays the session of README.md against a real host (a network namespace with its own sshd and user) and puts what was seen there.

Run it as root after a change of what commands print: ``.venv/bin/python tools/cast.py``. Needs the Debian packages of the tests.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "bench")]

from lab import Lab

COLUMNS = 110
TRAIN = '''"""Trains nothing, slowly."""
import argparse, pathlib, platform, time

options = argparse.ArgumentParser()
options.add_argument("--lr", type=float)
rate = options.parse_args().lr
for epoch in range(1, 4):
    time.sleep(1)
    print(f"epoch {epoch} on {platform.node()}: loss {rate / epoch:.3f}", flush=True)
pathlib.Path("runs").mkdir(exist_ok=True)
pathlib.Path("runs/result.json").write_text(f'{{"loss": {rate / 3:.3f}}}')
'''
# A command of the session; one that begins with "!" is done and not shown, one with "#" is shown and done by `acts`.
SESSION = (
    "afield init gpu1",
    "afield up",
    ".afield/bin/python train.py --lr 0.1",
    "cat runs/result.json",
    "afield run nproc",
    "# in the middle of the next one the network goes away for five seconds",
    "afield python train.py --lr 0.2",
    "afield status",
    "afield clean --yes",
)


def in_terminal(command: str, folder: Path, env: dict[str, str], client: list[str]) -> str:
    """Run a command in a terminal of its own; gives what a person would have seen at the end."""
    import fcntl
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [*client, "bash", "-c", command],
        cwd=folder,
        env=env,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    seen = b""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([master], [], [], 0.5)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            seen += data
        elif process.poll() is not None:
            break
    process.wait(10)
    os.close(master)
    return shown(seen.decode("utf-8", "replace"))


def shown(text: str) -> str:
    """What stands on the screen in the end: no colours, and what a progress bar erased is gone."""
    lines, row = [""], 0
    for part in re.findall(r"\x1b\[[0-9;?]*[a-zA-Z]|[\r\n]|[^\x1b\r\n]+", text):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part.startswith("\x1b["):
            if part.endswith("A"):
                row = max(0, row - int(part[2:-1] or 1))
            elif part.endswith("K"):
                lines[row] = ""
        elif part != "\r":
            lines[row] += part
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def play(lab: Lab, folder: Path) -> str:
    """Play SESSION and give it as text."""
    lab.a.run("hostname", "gpu1")
    config = lab.config.read_text()
    lab.config.write_text(config.replace("Host a\n", "Host gpu1 a\n"))
    tools = folder / "bin"
    tools.mkdir()
    # What a user has in ~/.ssh/config: ssh asks the password file for the home, so a variable cannot lead it there.
    (tools / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {lab.config} "$@"\n')
    (tools / "ssh").chmod(0o755)
    project = folder / "lenet"
    project.mkdir()
    (project / "train.py").write_text(TRAIN)
    (project / "model.py").write_text("layers = 5\n")
    own = {f"AFIELD_{name}_DIR": str(folder / name.lower()) for name in ("RUN", "STATE")}
    path = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, **own, "PATH": path, "TERM": "xterm", "XDG_DATA_HOME": str(folder / "data")}
    lines: list[str] = []
    away = False
    try:
        for command in SESSION:
            lines.append(f"$ {command}")
            if command.startswith("#"):
                lines[-1] = command
                away = True
                continue
            if away:
                away = False
                lines.append(through_a_cut(lab, command, project, env))
            else:
                lines.append(in_terminal(command, project, env, lab.client))
    finally:
        with contextlib.suppress(Exception):
            in_terminal("afield daemon stop --force", project, env, lab.client)
    return "\n".join(line for line in lines if line).replace(str(folder), "~")  # as if it were the home


def through_a_cut(lab: Lab, command: str, project: Path, env: dict[str, str]) -> str:
    """Run a command while the host's cable is out for five seconds."""
    import threading

    def cut() -> None:
        time.sleep(1.5)
        lab.a.cut()
        time.sleep(5)
        lab.a.heal()

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        return in_terminal(command, project, env, lab.client)
    finally:
        thread.join()


def main() -> None:
    """Play, and replace what README.md shows."""
    with tempfile.TemporaryDirectory(prefix="cast-") as name:
        lab = Lab(name, base="afcast").up()
        try:
            text = play(lab, Path(name))
        finally:
            lab.down()
    readme = ROOT / "README.md"
    begin, end = "<!-- session -->\n", "<!-- end of session -->\n"
    head, _, rest = readme.read_text().partition(begin)
    tail = rest.partition(end)[2]
    block = "".join(f"    {line}\n" if line else "\n" for line in text.split("\n"))
    readme.write_text(f"{head}{begin}\n{block}\n{end}{tail}")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
