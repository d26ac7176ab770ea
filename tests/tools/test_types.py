"""Tools here that ask the interpreter where its packages are, and read them here."""

import pytest

CODE = "import numpy, json\nx: int = json.dumps({})\nreveal_type(numpy.zeros(3))\n"


def test_mypy(tools, mirror, way):
    tools.write("code.py", "import json\nimport coverage\nx: int = json.dumps({})\n")
    done = tools.tool("mypy", "--python-executable", tools.python, "code.py", check=False)
    assert 'code.py:3: error: Incompatible types in assignment (expression has type "str"' in done.stdout
    assert "import-not-found" not in done.stdout


@pytest.mark.parametrize("name", ["basedpyright"])
def test_pyright(tools, mirror, way, name):
    tools.write("code.py", "import json\nimport coverage\nx: int = json.dumps({})\n")
    done = tools.tool(name, "--pythonpath", tools.python, "code.py", check=False)
    assert 'Type "str" is not assignable to declared type "int"' in done.stdout
    assert "could not be resolved" not in done.stdout


def test_ty(tools, mirror, way):
    tools.write("code.py", "import coverage\nx: int = ''\n")
    done = tools.tool("ty", "check", "--python", tools.python, "code.py", check=False)
    assert "invalid-assignment" in done.stdout
    assert "unresolved-import" not in done.stdout


def test_pyrefly(tools, mirror, way):
    tools.write("code.py", "import coverage\nx = coverage.Coverage()\n")
    done = tools.tool("pyrefly", "check", "--python-interpreter-path", tools.python, "code.py", check=False)
    assert done.returncode == 0
    assert "missing-import" not in done.stdout + done.stderr
