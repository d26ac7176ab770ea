"""Tools that make environments on the project's interpreter, inside the project, and run in them."""

import json

CODE = "import sys, os; print(sys.prefix, os.uname().nodename)"


def test_virtualenv(tools, way):
    tools.tool("virtualenv", "-q", "-p", tools.python, "--no-download", tools.project / ".venv")
    done = tools.run(tools.project / ".venv/bin/python", "-c", CODE)
    assert done.stdout == f"{tools.project}/.venv a\n"


def test_uv_venv(tools, way):
    tools.tool("uv", "venv", "-q", "--python", tools.python, tools.project / ".venv")
    done = tools.run(tools.project / ".venv/bin/python", "-c", CODE)
    assert done.stdout == f"{tools.project}/.venv a\n"


def test_uv_run(tools, way):
    done = tools.tool(
        "uv",
        "run",
        "--no-project",
        "--python",
        tools.python,
        "python",
        "-c",
        "import numpy, os; print(os.uname().nodename)",
    )
    assert done.stdout == "a\n"


def test_uv_pip_list(tools, mirror, way):
    done = tools.tool("uv", "pip", "list", "--python", tools.python, "--format", "json")
    assert "numpy" in {row["name"] for row in json.loads(done.stdout)}


def test_tox(tools, way):
    tools.write(
        "tox.ini",
        "[tox]\nskipsdist = true\nenv_list = a\n[testenv]\nskip_install = true\ncommands = python -c \"import os; print('ran on ' + os.uname().nodename)\"\n",
    )
    done = tools.tool("tox", "run", "-q", "-x", f"testenv.base_python={tools.python}")
    assert "ran on a" in done.stdout


def test_nox(tools, way):
    text = f"import nox\n@nox.session(python={tools.python!r})\ndef t(session):\n    session.run('python', '-c', \"import os; print('ran on ' + os.uname().nodename)\")\n"
    tools.write("noxfile.py", text)
    done = tools.tool("nox")
    assert "ran on a" in done.stdout + done.stderr


def test_poetry_env_use(tools, way):
    tools.write(
        "pyproject.toml",
        '[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.10"\n[tool.poetry]\npackage-mode = false\n',
    )
    env = {"POETRY_VIRTUALENVS_IN_PROJECT": "true", "POETRY_CACHE_DIR": str(tools.world.root / "poetry")}
    tools.tool("poetry", "env", "use", tools.python, env=env)
    done = tools.tool("poetry", "run", "python", "-c", CODE, env=env)
    assert done.stdout == f"{tools.project}/.venv a\n"


def test_pdm_use(tools, way):
    tools.write("pyproject.toml", '[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.10"\n')
    env = {"PDM_CHECK_UPDATE": "0", "PDM_IGNORE_SAVED_PYTHON": "0"}
    tools.tool("pdm", "use", "-f", tools.python, env=env)
    done = tools.tool("pdm", "run", "python", "-c", "import os; print(os.uname().nodename)", env=env)
    assert done.stdout == "a\n"


def test_hatch(tools, way):
    tools.write(
        "pyproject.toml",
        '[project]\nname = "p"\nversion = "1"\n[tool.hatch.envs.default]\nskip-install = true\npath = ".hatch"\n',
    )
    env = {"HATCH_PYTHON": tools.python, "HATCH_ENV_TYPE_VIRTUAL_PATH": str(tools.project / ".hatch")}
    done = tools.tool("hatch", "run", "python", "-c", CODE, env=env)
    assert done.stdout.endswith(f"{tools.project}/.hatch a\n")
