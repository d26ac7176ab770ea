"""The steps of `afield demo`: each uses the commands as a person would, checks what came of it, and is timed.

Rules: everything lives in one temporary folder with its own daemon (AFIELD_RUN_DIR and its kin), so nothing of the user's is
touched; a step that fails says what was expected and the next ones still run. What must not go in: shortcuts into the daemon.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

from afield.cli.render import plural
from afield.errors import AfieldError, InternalError

if TYPE_CHECKING:
    from collections.abc import Callable

_TRAIN = """\
import json, pathlib, platform, sys
rate = float(sys.argv[2])
print(f"training with rate {rate} on", platform.node())
print("a warning", file=sys.stderr)
pathlib.Path("runs").mkdir(exist_ok=True)
pathlib.Path("runs/result.json").write_text(json.dumps({"rate": rate, "loss": 0.25, "file": __file__}))
sys.exit(3)
"""
# Says each new content of a file as soon as it is there; ends with its stdin.
_WATCH = """\
import os, select, sys, time
seen = ""
print("ready", flush=True)
while not select.select([0], [], [], 0.0005)[0]:
    try:
        with open("note.txt") as file:
            text = file.read()
    except OSError:
        continue
    if text != seen:
        seen = text
        print(text, flush=True)
"""
_SERVE = "import http.server as h; s = h.HTTPServer(('127.0.0.1', 0), h.SimpleHTTPRequestHandler); print(s.server_port, flush=True); s.serve_forever()"
_STEP_SECONDS = 120


class Demo:
    """One demo at one place; ``say`` gets a line as each step begins."""

    def __init__(self, place: str, *, ssh_words: tuple[str, ...], keep: bool, say: Callable[[str], None]) -> None:
        self._place, self._ssh_words, self._keep, self._say = place, ssh_words, keep, say
        self._root = tempfile.mkdtemp(prefix="afield-demo-")
        self._project = os.path.join(self._root, "demo")
        own = {
            "AFIELD_RUN_DIR": "run",
            "AFIELD_STATE_DIR": "state",
            "XDG_DATA_HOME": "data",
            "XDG_CONFIG_HOME": "config",
        }
        self._env = {
            **os.environ,
            **{name: os.path.join(self._root, folder) for name, folder in own.items()},
            "NO_COLOR": "1",
        }
        self._env.pop("_ARGCOMPLETE", None)

    def run(self) -> list[dict[str, Any]]:
        """Run every step; returns rows ``step``, ``what``, ``ok``, ``seconds`` (of the step's own work)."""
        rows = []
        try:
            self._make_project()
            for name, step in self._steps():
                self._say(f"… {name}")
                rows.append(self._timed(name, step))
                if name in ("init", "up") and not rows[-1]["ok"]:
                    break
        finally:
            self._end()
        return rows

    def _steps(self) -> list[tuple[str, Callable[[], str | tuple[str, float]]]]:
        steps: list[tuple[str, Callable[[], str | tuple[str, float]]]] = [
            ("init", self._init),
            ("up", self._up),
            ("python", self._python),
            ("python again, warm", self._warm),
            ("save here → there", self._live),
            ("results come back", self._back),
            ("Ctrl-C", self._interrupt),
            ("a job", self._job),
            ("conflict", self._conflict),
            ("undo", self._undo),
            ("forward a port", self._forward),
            ("status", self._status),
        ]
        if not self._keep:
            steps += [("clean", self._clean)]
        return steps

    def _timed(self, name: str, step: Callable[[], str | tuple[str, float]]) -> dict[str, Any]:
        begin = time.perf_counter()
        try:
            told = step()
            what, seconds = told if isinstance(told, tuple) else (told, time.perf_counter() - begin)
            return {"step": name, "what": what, "ok": True, "seconds": seconds}
        except (AfieldError, OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
            return {"step": name, "what": f"failed: {error}", "ok": False, "seconds": time.perf_counter() - begin}

    # the steps

    def _init(self) -> str:
        words = ["--ssh=" + shlex.join(self._ssh_words)] if self._ssh_words else []
        if self._place.startswith("local:"):
            # Not what PATH calls python3: a version manager puts a slow script there, and the table would time that.
            words += ["--python", os.path.realpath(sys.executable)]
        found = self._json(
            "init",
            self._place,
            "--name",
            "demo",
            "--folder",
            f"~/afield-demo-{os.path.basename(self._root)[-8:]}",
            *words,
            "--json",
        )
        facts = found["found"]["facts"]
        return f"{facts['user']}@{facts['host']}, {plural(len(facts['pythons']), 'Python')}, {plural(facts['cpus'], 'CPU')}"

    def _up(self) -> str:
        self._json("up", "--yes", "--json")
        state = self._json("status", "--json")
        project = next(iter(state["projects"].values()))
        return f"{self._count} files are there, in {project['folder']}"

    def _python(self) -> str:
        done = self._afield("python", "train.py", "--rate", "0.1", check=False)
        _expect("exit status", done.returncode, 3)
        _expect("stderr", done.stderr.strip(), "a warning")
        return f"exit status 3, stdout and stderr apart: {done.stdout.strip()}"

    def _warm(self) -> tuple[str, float]:
        shim = os.path.join(self._project, ".afield", "bin", "python")
        times = []
        for _ in range(12):
            begin = time.perf_counter()
            done = subprocess.run(
                [shim, "-c", "pass"], cwd=self._project, env=self._env, check=False, timeout=_STEP_SECONDS
            )
            times.append(time.perf_counter() - begin)
            _expect("exit status", done.returncode, 0)
        return ".afield/bin/python -c pass, median of 12", statistics.median(times)

    def _live(self) -> tuple[str, float]:
        shim = os.path.join(self._project, ".afield", "bin", "python")
        times = []
        with subprocess.Popen(
            [shim, "-u", "watch.py"],
            cwd=self._project,
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as watcher:
            assert watcher.stdin is not None and watcher.stdout is not None  # noqa: PT018 - both are pipes
            try:
                _expect("the watcher's first line", self._line(watcher), "ready")
                for number in range(20):
                    text = f"save {number}"
                    begin = time.perf_counter()
                    self._write("note.txt", text)
                    _expect("what is seen there", self._line(watcher), text)
                    times.append(time.perf_counter() - begin)
                watcher.stdin.close()
                watcher.wait(_STEP_SECONDS)
            finally:
                watcher.kill()
        return f"saved, seen by a program there, and said back here, median of {len(times)}", statistics.median(times)

    def _back(self) -> str:
        import json

        path = os.path.join(self._project, "runs", "result.json")
        with open(path, encoding="utf-8") as file:
            written = json.load(file)
        return f"runs/result.json, written there, is here: loss {written['loss']}"

    def _interrupt(self) -> tuple[str, float]:
        shim = os.path.join(self._project, ".afield", "bin", "python")
        code = "import time; print('working', flush=True); time.sleep(600)"
        with subprocess.Popen(
            [shim, "-c", code],
            cwd=self._project,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as running:
            try:
                _expect("first line", self._line(running), "working")
                begin = time.perf_counter()
                running.send_signal(signal.SIGINT)
                running.wait(_STEP_SECONDS)
                seconds = time.perf_counter() - begin
            finally:
                running.kill()
            error = running.stderr.read() if running.stderr else ""
        if "KeyboardInterrupt" not in error:
            raise InternalError(f"expected a KeyboardInterrupt of the program there, got {error[-200:]!r}")
        _expect("ended by", running.returncode, -signal.SIGINT)
        return "the program there got KeyboardInterrupt; the one here ended by SIGINT", seconds

    def _job(self) -> str:
        job = self._json("python", "-d", "--json", "train.py", "--rate", "0.2")
        done = self._afield("wait", str(job["number"]), check=False)
        _expect("exit status", done.returncode, 3)
        kept = self._afield("logs", str(job["number"]))
        _expect("stderr", kept.stderr.strip(), "a warning")
        return f"job {job['number']} ({job['name']}) ended with status 3, its output was kept: {kept.stdout.strip()}"

    def _conflict(self) -> str:
        self._afield("down")
        self._write("notes.md", "from here\n")
        self._afield("run", "--no-sync", "sh", "-c", "echo from there > notes.md")
        self._json("up", "--json")
        found = self._json("conflicts", "--json", check=False)
        _expect("conflicts", [item["path"] for item in found], ["notes.md"])
        self._afield("resolve", "--here", "notes.md")
        _expect("there now", self._afield("cat", "notes.md").stdout, "from here\n")
        return "edited on both sides: listed, both kept, settled with --here"

    def _undo(self) -> str:
        done = self._json("undo", "notes.md", "--side", "there", "--json")
        self._afield("sync", check=False)
        _expect("here now", self._read("notes.md"), "from there\n")
        return f"what the settlement replaced there came back: {done['restored'][0]['path']}"

    def _forward(self) -> str:
        import urllib.request

        shim = os.path.join(self._project, ".afield", "bin", "python")
        with subprocess.Popen(
            [shim, "-c", _SERVE],
            cwd=self._project,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as server:
            try:
                port = int(self._line(server))
                carried = self._json("forward", f"0:{port}", "--json")[0]
                address = str(carried["local"]).rsplit(":", 1)
                with urllib.request.urlopen(f"http://127.0.0.1:{address[-1]}/train.py", timeout=30) as answer:
                    _expect("the page", answer.read().decode(), _TRAIN)
                self._afield("forward", "--stop", str(carried["id"]))
            finally:
                server.terminate()
        return f"a web server there on port {port} answered on 127.0.0.1:{address[-1]} here"

    def _status(self) -> str:
        state = self._json("status", "--json")
        place = next(iter(state["places"].values()))
        agent = place.get("agent") or {}
        return f"{place['state']}, {place['latency_ms']:.1f} ms away, agent uses {(agent.get('rss') or 0) / 1e6:.0f} MB, no port"

    def _clean(self) -> str:
        done = self._json("clean", "--yes", "--keep-other-jobs", "--json")
        return f"{len(done['removed'])} folders removed there, agent ended"

    # helpers

    def _make_project(self) -> None:
        os.makedirs(os.path.join(self._project, "lib"))
        self._write("train.py", _TRAIN)
        self._write("watch.py", _WATCH)
        self._write("notes.md", "notes\n")
        for number in range(200):
            self._write(f"lib/module_{number}.py", f"VALUE = {number}\n" * 50)
        self._count = 203

    def _write(self, name: str, text: str) -> None:
        with open(os.path.join(self._project, name), "w", encoding="utf-8") as file:
            file.write(text)

    def _read(self, name: str) -> str:
        with open(os.path.join(self._project, name), encoding="utf-8") as file:
            return file.read()

    def _afield(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "afield.cli", *words]
        done = subprocess.run(
            argv,
            cwd=self._project,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_STEP_SECONDS,
        )
        if check and done.returncode:
            raise InternalError(
                f"afield {' '.join(words)} ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}"
            )
        return done

    def _json(self, *words: str, check: bool = True) -> Any:
        import json

        return json.loads(self._afield(*words, check=check).stdout)

    def _line(self, process: subprocess.Popen[str]) -> str:
        import select

        assert process.stdout is not None
        if not select.select([process.stdout], [], [], _STEP_SECONDS)[0]:
            raise InternalError(f"no line within {_STEP_SECONDS} s")
        return process.stdout.readline().rstrip("\n")

    def _end(self) -> None:
        """End the demo's daemon and remove its folder, whatever happened before."""
        if self._keep:
            names = ("AFIELD_RUN_DIR", "AFIELD_STATE_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
            self._say(
                f"kept: {self._project}; use it with: export " + " ".join(f"{name}={self._env[name]}" for name in names)
            )
            return
        self._afield("down", "--stop-agent", check=False)
        self._afield("daemon", "stop", "--force", check=False)
        shutil.rmtree(self._root, ignore_errors=True)


def _expect(what: str, got: Any, wanted: Any) -> None:
    if got != wanted:
        raise InternalError(f"{what}: expected {wanted!r}, got {got!r}")
