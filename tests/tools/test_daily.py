"""pytest, xdist, coverage, pip, venv: what is run many times a day, by the shim or beside it."""

import json
import os


def add_project(tools):
    tools.write("pkg/__init__.py", "")
    tools.write("pkg/calc.py", "def add(a, b):\n    if a < 0:\n        return None\n    return a + b\n")
    tools.write(
        "tests/test_calc.py",
        "import os\nfrom pkg.calc import add\n\ndef test_add():\n    assert add(1, 2) == 3\n    assert os.uname().nodename == 'a'\n",
    )
    tools.write("pytest.ini", "[pytest]\npythonpath = .\n")


def test_pytest(tools, way):
    add_project(tools)
    done = tools.shim("-m", "pytest", "-q", tools.project / "tests" / "test_calc.py::test_add")
    assert "1 passed" in done.stdout
    tools.write("tests/test_calc.py", "def test_bad():\n    assert 0\n")
    done = tools.shim("-m", "pytest", "-q", check=False)
    assert done.returncode == 1
    assert "tests/test_calc.py:2: AssertionError" in done.stdout


def test_pytest_results_file(tools, way, tmp_path):
    add_project(tools)
    tools.shim("-m", "pytest", "-q", f"--junitxml={tmp_path / 'r.xml'}")
    assert 'tests="1"' in (tmp_path / "r.xml").read_text()


def test_xdist(tools, way):
    add_project(tools)
    assert "1 passed" in tools.shim("-m", "pytest", "-q", "-n", "2").stdout


def test_coverage_there_and_report_here(tools, way):
    add_project(tools)
    tools.shim("-m", "coverage", "run", "--source", tools.project / "pkg", "-m", "pytest", "-q")
    tools.tool("coverage", "json", "-o", "c.json")
    files = json.loads((tools.project / "c.json").read_text())["files"]
    assert files["pkg/calc.py"]["missing_lines"] == [3]


def test_pip_list(tools, way):
    done = tools.run(os.path.dirname(tools.python) + "/pip", "list", "--format", "json", "--disable-pip-version-check")
    assert "pytest" in {row["name"] for row in json.loads(done.stdout)}
    assert done.stderr == ""


def test_pip_for_another_interpreter(tools, way):
    done = tools.tool("pip", "--python", tools.python, "list", "--format", "json", "--disable-pip-version-check")
    assert "pytest-xdist" in {row["name"] for row in json.loads(done.stdout)}


def test_venv_module(tools, way):
    tools.shim("-m", "venv", "--without-pip", tools.project / "made")
    done = tools.run(tools.project / "made/bin/python", "-c", "import sys, os; print(sys.prefix, os.uname().nodename)")
    assert done.stdout == f"{tools.project}/made a\n"
