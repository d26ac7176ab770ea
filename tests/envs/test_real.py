"""Real environments of every Python of this machine: what files tell is what the interpreters themselves say."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import pythons

import afield
from afield.envs.candidates import Surroundings
from afield.envs.find import find
from afield.envs.versions import version_of

SAYS = "import platform, sys; print(platform.python_version()); print(sys.prefix)"
SOURCES = os.path.dirname(os.path.dirname(afield.__file__))


def says(program):
    done = subprocess.run([program, "-I", "-c", SAYS], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.pythons
@pytest.mark.parametrize("minor", list(pythons.found()))
def test_the_version_of_a_real_interpreter(minor):
    real = os.path.realpath(pythons.found()[minor])
    assert version_of(real) == says(real)[0]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with one venv of each Python, and one by uv where there is a uv."""
    folder = os.path.realpath(tmp_path_factory.mktemp("home"))
    for minor, program in pythons.found().items():
        subprocess.run(
            [program, "-I", "-m", "venv", "--without-pip", f"{folder}/envs/v{minor}"], check=True, timeout=60
        )
    newest = list(pythons.found().values())[-1]
    subprocess.run(
        [newest, "-I", "-m", "venv", "--without-pip", "--copies", f"{folder}/envs/copied"], check=True, timeout=60
    )
    if shutil.which("uv"):
        words = ["uv", "venv", "-q", "--no-config", "--offline", "--python", newest, f"{folder}/app/.venv"]
        subprocess.run(words, check=True, timeout=60)
    return folder


def look(home):
    where = Surroundings(home, {"PATH": "/nonexistent"}, opt=(), binaries=(), etc="/nonexistent", share="/nonexistent")
    return find(where, [])["envs"]


def test_real_environments_are_whole_and_have_their_interpreters_version(home):
    envs = look(home)
    assert len(envs) == len(pythons.found()) + 1 + bool(shutil.which("uv"))
    for env in envs:
        assert env["broken"] is None
        assert says(env["python"]) == [env["version"], os.fsdecode(env["path"])]
        assert env["kind"] == ("uv" if env["name"] == "app" else "venv")


def test_a_real_environment_whose_base_moves_away_is_broken(tmp_path):
    program = list(pythons.found().values())[-1]
    folder = os.path.realpath(tmp_path)
    os.symlink(os.path.dirname(os.path.dirname(os.path.realpath(program))), f"{folder}/base")
    name = os.path.basename(os.path.realpath(program))
    subprocess.run(
        [f"{folder}/base/bin/{name}", "-I", "-m", "venv", "--without-pip", f"{folder}/ml"], check=True, timeout=60
    )
    (before,) = look(folder)
    os.unlink(f"{folder}/base")
    (after,) = look(folder)
    assert before["broken"] is None
    assert "does not exist" in after["broken"]


@pytest.mark.pythons
@pytest.mark.parametrize("minor", list(pythons.found()))
def test_every_python_finds_the_same(home, minor):
    code = (
        "import sys, json; sys.path.insert(0, sys.argv[1])\n"
        "from afield.envs.candidates import Surroundings; from afield.envs.find import find\n"
        "where = Surroundings(sys.argv[2], {'PATH': '/nonexistent'}, opt=(), binaries=(), etc='/nonexistent', share='/nonexistent')\n"
        "print(json.dumps(find(where, [])['envs'], default=lambda raw: raw.decode()))\n"
    )
    argv = [pythons.found()[minor], "-I", "-S", "-B", "-c", code, SOURCES, home]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    mine = json.loads(json.dumps(look(home), default=lambda raw: raw.decode()))
    assert json.loads(done.stdout) == mine


def test_the_finders_import_nothing_slow():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import afield.envs.find\n"
        "print(sorted({'asyncio', 'typing', 're', 'json', 'socket', 'subprocess', 'shutil', 'mmap'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, SOURCES], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
