"""What VS Code starts an interpreter with: probes, its prompts, the adapters of pytest and unittest with results in a named pipe.

The command lines, variables and channels are those of its Python extension; the scripts (extension/) are our own, because an
extension is no package of an index and its window is not driven here.
"""

import json
import os
import select
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from typist import Typist
from world import wait_for

pytestmark = pytest.mark.timeout(60)

SCRIPTS = Path(__file__).with_name("extension") / "python_files"


class Results:
    """The reading end of the editor's pipe, opened before anything is started and read all the time, as Node does."""

    def __init__(self, path):
        self.path = path
        os.mkfifo(path)
        os.chmod(path, 0o666)
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.data = b""
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        while not self.ended.is_set():
            # A pipe that nobody has opened for writing yet reports nothing (poll(2)); after the last writer it hangs up.
            for _, event in poll.poll(100):
                if event & select.POLLIN and (data := os.read(self.fd, 65536)):
                    self.data += data
                elif event & select.POLLHUP:
                    self.ended.set()
        os.close(self.fd)

    def wait_for(self, text, process):
        """Whether that came before the process ended."""
        return wait_for(lambda: text in self.data or process.poll() is not None) and text in self.data

    def messages(self):
        """All that came, once the pipe has ended; VS Code waits 5 s for that after the program's exit."""
        assert self.ended.wait(5), self.data
        rest, found = self.data, []
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            size = int(head.split(b"\r\n")[0].split(b":")[1])
            found.append(json.loads(rest[:size])["params"])
            rest = rest[size:]
        return found


class Editor:
    """The extension's folder in the home of who uses it, outside the project."""

    def __init__(self, tools):
        self.tools = tools
        self.files = tools.world.home / ".vscode/extensions/ms-python.python-2026.1.0/python_files"
        shutil.copytree(SCRIPTS, self.files, ignore=shutil.ignore_patterns("__pycache__"))
        self.runtime = tools.world.root / "xdg"
        self.runtime.mkdir(mode=0o700)
        self.started, self.pipes = [], []

    def pipe(self, kind):
        self.pipes.append(Results(str(self.runtime / f"python-test-{kind}-{os.urandom(10).hex()}")))
        return self.pipes[-1]

    def ids(self, *names):
        path = Path(self.tools.env["TMPDIR"]) / f"test-ids-{os.urandom(10).hex()}.txt"
        path.write_text("\n".join(names))
        return path

    def env(self, results, ids=None, **more):
        env = {"PYTHONPATH": str(self.files), "TEST_RUN_PIPE": results.path, **more}
        return {**env, "RUN_TEST_IDS_PIPE": str(ids)} if ids else env

    def start(self, *words, env=None, **more):
        """A program of which something is looked at while it runs; it ends with the test."""
        self.started.append(self.tools.popen(*words, env={**self.tools.env, **(env or {})}, **more))
        return self.started[-1]

    def run_ids(self, results, ids, **more):
        script, root = self.files / "results_pytest" / "run_ids.py", f"--rootdir={self.tools.project}"
        return self.start(self.tools.python, script, root, env=self.env(results, ids), stdin=subprocess.DEVNULL, **more)

    def close(self):
        for results in self.pipes:
            results.ended.set()
            results.thread.join()
        for process in self.started:
            process.kill()
            process.wait()
            for pipe in filter(None, (process.stdin, process.stdout)):
                pipe.close()


@pytest.fixture
def editor(tools):
    made = Editor(tools)
    yield made
    made.close()


def marked(text):
    return json.loads(text.partition(">>>OUTPUT\n")[2].partition("<<<OUTPUT")[0])


# ---- probes


def test_interpreter_info(tools, way, editor):
    done = tools.shim("-I", editor.files / "marked.py", editor.files / "info.py", cwd="/")
    facts = marked(done.stdout)
    assert facts["node"] == "a"
    assert facts["is64"]
    # What is said of itself is opened here next: it must be a program of here that is the same interpreter.
    again = tools.run(facts["executable"], "-I", editor.files / "info.py")
    assert json.loads(again.stdout) == facts
    assert done.stderr == again.stderr == ""


def test_short_probes(tools, way, editor):
    said = tools.shim("-c", "import sys;print(sys.executable)").stdout.strip()
    assert os.access(said, os.X_OK)
    code = 'import json, sys; print("a1b2"); print(json.dumps({"version": ".".join(str(n) for n in sys.version_info), "sys_prefix": sys.prefix, "executable": sys.executable, "is64_bit": sys.maxsize > 2**32}))'
    mark, text = tools.shim("-c", code).stdout.splitlines()
    assert (mark, json.loads(text)["executable"]) == ("a1b2", said)
    assert os.path.isdir(json.loads(text)["sys_prefix"])
    assert tools.shim("--version").stdout.startswith("Python 3.")
    assert tools.shim("-c", "import pytest").returncode == 0
    assert tools.shim("-c", "import no_such_module", check=False).returncode == 1
    done = tools.shim("-m", "pip", "list", "--format", "json", "--disable-pip-version-check")
    assert json.loads(done.stdout + done.stderr)


def test_environment_probe(tools, way, editor):
    # Without an activation script VS Code has no reason to take the environment of there for its own processes.
    assert not list((tools.project / ".afield").glob("bin/activate*"))
    done = tools.shim("-I", editor.files / "marked.py", editor.files / "environment.py", env={"OWN_VARIABLE": "1"})
    assert marked(done.stdout)["OWN_VARIABLE"] == "1"


def test_packages_that_lack(tools, way, editor):
    tools.write("requirements.txt", "numpy==1\nno-such-package==2\n")
    done = tools.shim(
        editor.files / "installed.py", tools.project / "requirements.txt", env={"MISSING_SEVERITY": "Hint"}
    )
    assert json.loads(done.stdout) == [{"name": "no-such-package", "severity": "Hint"}]
    assert done.stderr == ""


# ---- prompts


def test_selection_to_run(tools, way, editor):
    asked = json.dumps({"code": "    x = 'é'\n    if x:\n        print(x)\n", "endLine": 3})
    done = tools.shim(editor.files / "selection.py", input=asked)
    assert json.loads(done.stdout)["normalized"] == "x = 'é'\nif x:\n    print(x)\n"


def test_prompt_server(tools, way, editor):
    pipe = subprocess.PIPE
    server = editor.start(tools.python, editor.files / "repl_server.py", stdin=pipe, stdout=pipe)

    def ask(number, code):
        body = json.dumps({"id": number, "method": "execute", "params": [code]}).encode()
        server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        server.stdin.flush()
        size = int(server.stdout.readline().split(b":")[1])
        server.stdout.readline()
        answer = json.loads(server.stdout.read(size))
        assert answer["id"] == number
        return answer["result"]

    assert ask(1, "x = 6") == {"status": True, "output": ""}
    assert ask(2, "import os; print(x * 7, os.uname().nodename)") == {"status": True, "output": "42 a\n"}
    assert "ZeroDivisionError" in ask(3, "1 / 0")["output"]
    server.stdin.close()
    assert server.wait(10) == 0


def test_prompt_in_the_terminal(tools, way, editor):
    start = tools.world.root / "config/Code/User/globalStorage/ms-python.python/startup.py"
    start.parent.mkdir(parents=True)
    shutil.copy(editor.files / "startup.py", start)
    env = {**tools.env, "PYTHONSTARTUP": str(start), "PYTHON_BASIC_REPL": "1", "TERM": "xterm-256color"}
    with Typist([*tools.world.lab.client, tools.python, "-i"], cwd=tools.project, env=env) as person:
        person.wait_for("far>>> ").type("import os; print('on', os.uname().nodename)\n")
        person.wait_for("on a").wait_for("far>>> ").type("exit(3)\n")
        assert person.finish() == 3


def test_file_that_is_watched(tools, way, editor):
    log = Path(tools.env["TMPDIR"]) / "watched-1.log"
    log.write_text("")
    wait = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)"
    process = editor.start(tools.python, editor.files / "watched.py", "python3", "-c", wait, log)
    wait_for(lambda: log.read_text() == "START\n", what="the beginning")
    tools.write("go", "")
    assert process.wait(20) == 0
    assert log.read_text() == "START\nEND 0\n"


# ---- pytest

CASES = """\
import os
import time

def test_first():
    assert os.uname().nodename == "a"

class TestGroup:
    def test_second(self):
        assert 1 == 2

def test_third():
    end = time.monotonic() + 20
    while not os.path.exists("go"):
        assert time.monotonic() < end
        time.sleep(0.02)
"""


def test_pytest_discovery(tools, way, editor):
    path = tools.write("tests/test_é.py", CASES)
    many = "".join(f"def test_{number}(): pass\n" for number in range(1500))
    tools.write("tests/test_many.py", many)
    results = editor.pipe("discovery")
    words = ["-m", "pytest", "-p", "results_pytest", "--collect-only", f"--rootdir={tools.project}", "tests"]
    done = tools.shim(*words, env=editor.env(results))
    assert done.stderr == ""
    (message,) = results.messages()
    assert message["cwd"] == str(tools.project)
    assert len(message["tests"]) == 1503
    lines = {test["id"]: test["line"] for test in message["tests"]}
    assert lines[f"{path}::TestGroup::test_second"] == 8


def test_pytest_run(tools, way, editor):
    path = tools.write("tests/test_cases.py", CASES)
    results = editor.pipe("results")
    ids = editor.ids(f"{path}::test_first", f"{path}::TestGroup::test_second", f"{path}::test_third")
    process = editor.run_ids(results, ids, stdout=subprocess.PIPE)
    # The first results are shown while the third test waits.
    assert results.wait_for(b"test_second", process)
    tools.write("go", "")
    output = process.communicate(timeout=20)[0].decode()
    assert process.returncode == 1, output
    outcomes = {test: each["outcome"] for message in results.messages() for test, each in message["result"].items()}
    assert outcomes == {
        f"{path}::test_first": "passed",
        f"{path}::TestGroup::test_second": "failed",
        f"{path}::test_third": "passed",
    }
    assert not ids.exists()


def test_pytest_that_is_stopped(tools, way, editor):
    path = tools.write("tests/test_cases.py", CASES)
    results = editor.pipe("results")
    ids = editor.ids(f"{path}::test_first", f"{path}::test_third")
    process = editor.run_ids(results, ids)
    assert results.wait_for(b"test_first", process)
    process.terminate()
    assert process.wait(10) != 0
    (message,) = results.messages()
    assert message["result"][f"{path}::test_first"]["outcome"] == "passed"


# ---- unittest

UNIT = """\
import os
import unittest
import calc

class TestCalc(unittest.TestCase):
    def test_add(self):
        self.assertEqual((calc.add(1, 2), os.uname().nodename), (3, "a"))

    def test_bad(self):
        self.assertEqual(calc.add(1, 2), 4)
"""
CALC = "def add(a, b):\n    if a < 0:\n        return None\n    return a + b\n"
UNIT_WORDS = ("--udiscovery", "-v", "-s", ".", "-p", "*test*.py")


def test_unittest_discovery(tools, way, editor):
    tools.write("calc.py", CALC)
    path = tools.write("test_calc.py", UNIT)
    results = editor.pipe("discovery")
    script = editor.files / "results_unittest" / "discovery.py"
    done = tools.shim(script, *UNIT_WORDS, env=editor.env(results))
    assert done.stderr == ""
    (message,) = results.messages()
    assert message["cwd"] == str(tools.project)
    assert {test["id"]: (test["path"], test["line"]) for test in message["tests"]} == {
        "test_calc.TestCalc.test_add": (str(path), 6),
        "test_calc.TestCalc.test_bad": (str(path), 9),
    }


def test_unittest_run_with_coverage(tools, way, editor):
    code = tools.write("calc.py", CALC)
    path = tools.write("test_calc.py", UNIT)
    results = editor.pipe("results")
    ids = editor.ids("test_calc.TestCalc.test_add", "test_calc.TestCalc.test_bad")
    env = editor.env(results, ids, COVERAGE_ENABLED=str(tools.project))
    done = tools.shim(editor.files / "results_unittest" / "execution.py", *UNIT_WORDS, env=env)
    assert done.stderr == ""
    *ran, covered = results.messages()
    found = {test: each for message in ran for test, each in message["result"].items()}
    assert found["test_calc.TestCalc.test_add"]["outcome"] == "success"
    assert f'File "{path}", line 10' in found["test_calc.TestCalc.test_bad"]["traceback"]
    assert covered["result"][str(code)] == [3]
    assert not ids.exists()
