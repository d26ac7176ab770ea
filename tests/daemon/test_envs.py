"""Environments end to end over local://: listed, made, filled without a network, run in, removed."""

import os
import shutil
import subprocess
import sys

import pytest
import pythons
from wheelhouse import make_wheel

from afield.errors import AfieldError
from afield.wheels.download import bundled_pips

NEWEST = os.path.realpath(list(pythons.found().values())[-1])
# The environment's name, as the interpreter's own settings tell it.
SETTINGS = "import sys; print([*open(sys.prefix + '/pyvenv.cfg')][-1].strip())"


@pytest.fixture
def linked(sandbox, monkeypatch):
    """A project with its link up; the newest Python of this machine is in PATH there."""
    monkeypatch.setenv("PATH", f"{os.path.dirname(NEWEST)}:{os.environ['PATH']}")
    for name in ("VIRTUAL_ENV", "PYENV_ROOT", "CONDA_PREFIX", "WORKON_HOME"):
        monkeypatch.delenv(name, raising=False)
    sandbox.here = sandbox.project()
    sandbox.there = os.path.join(sandbox.place, "work", "proj")
    with sandbox.connect() as client:
        sandbox.ask = lambda verb, **args: client.request(verb, {"project": sandbox.here, **args}, timeout=100)
        sandbox.ask("connect")
        yield sandbox


def settings(sandbox, extra):
    sandbox.project(extra=extra)


def run(sandbox, argv, mode="python"):
    """Run to the end; gives (status, stdout) or the text of the refusal."""
    with sandbox.raw() as client:
        client.request(sandbox.here, argv, mode=mode, flags="n", env={})
        client.send(b"I")
        kind, payload = client.until(b"x", b"E")
        if kind == b"E":
            return payload[1:].decode()
        return int.from_bytes(payload, "little", signed=True), client.out.decode()


def code_of(sandbox, verb, **args):
    with pytest.raises(AfieldError) as caught:
        sandbox.ask(verb, **args)
    return caught.value.code


def test_a_made_environment_is_run_in_when_the_settings_name_it(linked):
    made = linked.ask("env-create", name="ml", python=NEWEST)["env"]
    assert (made["kind"], made["made"], made["broken"]) == ("venv", True, None)
    settings(linked, 'env = "ml"\n')
    code = "import sys, os; print(sys.prefix, os.environ['VIRTUAL_ENV'], os.environ['PATH'].split(':')[0])"
    status, out = run(linked, ["-c", code])
    assert status == 0
    # In the twin it stands at the project's interpreter.
    seen = linked.here + "/.afield"
    assert out.split() == [seen, seen, seen + "/bin"]
    assert run(linked, ["-c", SETTINGS]) == (0, "prompt = ml\n")
    assert linked.ask("env-list")["use"] == made["path"]
    status, out = run(linked, ["sh", "-c", "command -v python"], mode="run")
    assert out.strip() == seen + "/bin/python"


def test_a_made_environment_is_run_in_where_there_is_no_twin(linked):
    made = linked.ask("env-create", name="ml", python=NEWEST)["env"]
    settings(linked, 'env = "ml"\nway = "translated"\n')
    code = "import sys, os; print(sys.prefix, os.environ['VIRTUAL_ENV'], os.environ['PATH'].split(':')[0])"
    status, out = run(linked, ["-c", code])
    assert (status, out.split()) == (0, [made["path"], made["path"], made["path"] + "/bin"])
    status, out = run(linked, ["sh", "-c", "command -v python"], mode="run")
    assert out.strip() == made["path"] + "/bin/python"


def test_a_made_environment_goes_and_then_runs_say_what_is_missing(linked):
    made = linked.ask("env-create", name="ml", python=NEWEST)["env"]
    settings(linked, 'env = "ml"\n')
    assert run(linked, ["-c", "print(1)"]) == (0, "1\n")
    linked.ask("env-list")
    (project,) = linked.ask("status")["projects"].values()
    assert project["env"] == {"name": "ml", "python": made["path"] + "/bin/python"}
    assert linked.ask("env-remove", env="ml") == {"removed": made["path"]}
    assert not os.path.exists(made["path"])
    assert "no environment there is named 'ml'" in run(linked, ["-c", "print(1)"])
    settings(linked, "")
    assert run(linked, ["-c", "print(1)"]) == (0, "1\n")


def test_an_environment_that_went_behind_our_back_is_noticed_at_the_second_run(linked):
    made = linked.ask("env-create", name="ml", python=NEWEST)["env"]
    settings(linked, 'env = "ml"\n')
    assert run(linked, ["-c", "print(1)"]) == (0, "1\n")
    shutil.rmtree(made["path"])
    assert "no such command there" in run(linked, ["-c", "print(1)"])
    assert "no environment there is named 'ml'" in run(linked, ["-c", "print(1)"])


def test_a_venv_of_the_project_there_is_used_by_its_folder(linked):
    subprocess.run([NEWEST, "-I", "-m", "venv", "--without-pip", f"{linked.there}/.venv"], check=True)
    settings(linked, 'env = ".venv"\n')
    assert run(linked, ["-c", SETTINGS]) == (0, "prompt = .venv\n")


def test_setup_lines_hold_for_python_and_run(linked):
    linked.ask("env-create", name="ml", python=NEWEST)
    settings(
        linked,
        'env = "ml"\n[machines.m.envs.ml]\nsetup = ["export OF_ENV=1", "echo noise"]\n[machines.m.run]\nsetup = ["export OF_PROJECT=2"]\n',
    )
    assert run(linked, ["-c", "import os; print(os.environ['OF_ENV'] + os.environ['OF_PROJECT'])"]) == (0, "12\n")
    assert run(linked, ["sh", "-c", "echo $OF_ENV$OF_PROJECT"], mode="run") == (0, "12\n")
    settings(linked, '[machines.m.run]\nsetup = ["false"]\n')
    assert run(linked, ["-c", "print(1)"]) == (78, "")


def test_a_broken_environment_is_refused_with_its_reason(linked):
    made = linked.ask("env-create", name="ml", python=NEWEST)["env"]
    os.unlink(made["path"] + "/bin/python")
    os.symlink("/nonexistent/python", made["path"] + "/bin/python")
    settings(linked, 'env = "ml"\n')
    assert "bin/python leads to /nonexistent/python" in run(linked, ["-c", "print(1)"])
    assert code_of(linked, "env-packages", env="ml") == "env-broken"
    assert linked.ask("env-remove", env="ml")["removed"] == made["path"]


def test_errors_have_their_codes(linked):
    linked.ask("env-create", name="ml", python=NEWEST)
    assert code_of(linked, "env-create", name="ml", python=NEWEST) == "env-clash"
    assert code_of(linked, "env-create", name="x", python="3.1") == "no-such-env"
    assert code_of(linked, "env-create", name="../x") == "usage"
    assert code_of(linked, "env-create", name="x", **{"with": "magic"}) == "usage"
    assert code_of(linked, "env-create", name="x", **{"with": "conda"}) == "env-failed"
    assert code_of(linked, "env-packages") == "no-such-env"
    assert code_of(linked, "env-packages", env="mll") == "no-such-env"


def test_what_afield_did_not_make_is_removed_only_when_it_is_said(linked):
    path = f"{linked.place}/envs/other"
    subprocess.run([NEWEST, "-I", "-m", "venv", "--without-pip", path], check=True)
    assert code_of(linked, "env-remove", env="other") == "env-failed"
    assert os.path.exists(path)
    assert linked.ask("env-remove", env="other", foreign=True) == {"removed": path}


@pytest.mark.skipif(not bundled_pips(), reason="this Python brings no pip to carry")
def test_wheels_that_were_carried_are_installed_by_a_pip_that_was_carried(linked):
    env = linked.ask("env-create", name="ml", python=NEWEST)["env"]
    told = linked.ask("env-packages", env="ml")
    assert (told["packages"], told["refused"]) == ([], None)
    house = os.path.join(linked.folder, "house")
    make_wheel(house, "small", "1.5", requires=["dep"])
    make_wheel(house, "dep", "2.0")
    pip = os.path.basename(shutil.copy(bundled_pips()[-1], house))
    linked.ask("put", path=told["stage"], **{"from": house})
    done = linked.ask(
        "env-install", env="ml", wheels=told["stage"], requirements=["small==1.5"], pip=f"{told['stage']}/{pip}/pip"
    )
    assert [row[:2] for row in done["installed"]] == [["dep", "2.0"], ["small", "1.5"]]
    assert not os.path.exists(told["stage"])
    settings(linked, 'env = "ml"\n')
    assert run(linked, ["-c", "import small, dep; print(small.version, dep.version)"]) == (0, "1.5 2.0\n")
    assert [row[:2] for row in linked.ask("env-packages")["packages"]] == [["dep", "2.0"], ["small", "1.5"]]
    assert env["path"].startswith(linked.place)


def test_pip_that_fails_there_is_told_with_its_last_words(linked):
    linked.ask("env-create", name="ml", python=NEWEST)
    with pytest.raises(AfieldError, match="No module named pip"):
        linked.ask("env-install", env="ml", requirements=["x"])


def test_a_python_without_venv_makes_one_by_hand(linked):
    program = os.path.join(linked.folder, "bare", "bin", os.path.basename(NEWEST))
    os.makedirs(os.path.dirname(program))
    lib = f"lib/python3.{list(pythons.found())[-1]}"
    os.makedirs(os.path.join(linked.folder, "bare", lib))
    prefix = os.path.dirname(os.path.dirname(NEWEST))
    for name in os.listdir(f"{prefix}/{lib}"):
        if name not in ("venv", "ensurepip"):
            os.symlink(f"{prefix}/{lib}/{name}", os.path.join(linked.folder, "bare", lib, name))
    shutil.copy(NEWEST, program)
    env = {"LD_LIBRARY_PATH": f"{prefix}/lib", "PATH": ""}
    if subprocess.run([program, "-I", "-c", "pass"], capture_output=True, env=env, check=False).returncode:
        pytest.skip("this Python does not run from another folder")
    os.makedirs(f"{linked.place}/.pyenv/versions")
    shutil.move(os.path.join(linked.folder, "bare"), f"{linked.place}/.pyenv/versions/bare")
    made = linked.ask("env-create", name="ml", python=f"{linked.place}/.pyenv/versions/bare")["env"]
    assert made["broken"] is None
    settings(linked, 'env = "ml"\n')
    assert run(linked, ["-c", SETTINGS]) == (0, "prompt = ml\n")


def test_a_conda_there_is_asked_to_make_one(linked):
    root = f"{linked.place}/miniconda3"
    os.makedirs(f"{root}/conda-meta")
    os.makedirs(f"{root}/bin")
    open(f"{root}/conda-meta/history", "w").close()
    os.symlink(NEWEST, f"{root}/bin/python")
    with open(f"{root}/bin/conda", "w") as file:
        file.write(
            '#!/bin/sh\necho "asked: $*"\nmkdir -p "$4/conda-meta" "$4/bin"; : > "$4/conda-meta/history"\n'
            f'ln -s {sys.executable} "$4/bin/python"; echo "{{}}" > "$4/conda-meta/python-3.12.4-h_0.json"\n'
        )
    os.chmod(f"{root}/bin/conda", 0o755)
    made = linked.ask("env-create", name="sci", python="3.12", **{"with": "conda"})["env"]
    assert (made["kind"], made["version"], made["made"]) == ("conda", "3.12.4", True)
    settings(linked, 'env = "sci"\n')
    assert run(linked, ["sh", "-c", "echo $CONDA_PREFIX"], mode="run") == (0, made["path"] + "\n")
