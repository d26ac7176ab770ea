"""Questions about environments to a real agent, under every Python that may carry one."""

import os
import subprocess

import pytest
import pythons


@pytest.fixture
def place(home):
    """A home with one real environment of afield's and one of somebody else's."""
    program = list(pythons.found().values())[-1]
    made = os.path.join(home, "afield/.local/share/afield/envs/ml")
    other = os.path.join(home, "user/code/app/.venv")
    for path in (made, other):
        subprocess.run([program, "-I", "-m", "venv", "--without-pip", path], check=True)
    env = {
        "HOME": os.path.join(home, "user"),
        "PATH": "/usr/bin:/bin",
        "PYENV_ROOT": "",
        "VIRTUAL_ENV": "",
        "CONDA_PREFIX": "",
    }
    return made, other, {"env": {**env, "AFIELD_HOME": os.path.join(home, "afield")}}


@pytest.mark.pythons
def test_every_python_lists_what_is_there(start, place, any_python):
    made, other, options = place
    agent = start(python=any_python, **options)
    told = agent.call("envs", roots=[b"~/code"])
    found = {env["path"]: env for env in told["envs"]}
    assert {os.fsencode(made), os.fsencode(other)} <= set(found)
    assert found[os.fsencode(made)]["made"]
    assert not found[os.fsencode(other)]["made"]
    assert (found[os.fsencode(other)]["name"], found[os.fsencode(other)]["here"]) == ("app", True)
    assert found[os.fsencode(made)]["broken"] is None
    assert told["made"] == os.fsencode(os.path.dirname(made))
    assert told["system"]["machine"] == os.uname().machine
    assert told["complete"]


def test_packages_are_listed(start, place):
    made, _, options = place
    site = os.path.join(made, f"lib/python3.{list(pythons.found())[-1]}/site-packages")
    os.mkdir(os.path.join(site, "numpy-2.1.0.dist-info"))
    assert start(**options).call("env-packages", prefix=os.fsencode(made)) == [["numpy", "2.1.0", ""]]


def test_only_what_may_go_goes(start, place):
    made, other, options = place
    agent = start(**options)
    refused = agent.call("env-remove", prefix=os.fsencode(other))
    assert refused == {"removed": False, "why": "afield did not make it"}
    home = os.fsencode(options["env"]["HOME"])
    assert not agent.call("env-remove", prefix=home, foreign=True)["removed"]
    assert agent.call("env-remove", prefix=os.fsencode(made))["removed"]
    assert not os.path.exists(made)
    assert agent.call("env-remove", prefix=os.fsencode(other), foreign=True)["removed"]


def test_folders_come_before_path_also_for_finding_the_program(start, home):
    folder = os.path.join(home, "bin")
    os.mkdir(folder)
    with open(os.path.join(folder, "only-here"), "w") as file:
        file.write("#!/bin/sh\necho $PATH\n")
    os.chmod(os.path.join(folder, "only-here"), 0o755)
    agent = start(env={"PATH": "/usr/bin:/bin"})
    stream = agent.process_stream("only-here", path=[os.fsencode(folder), b"/second"])
    stream.wait_closed()
    assert bytes(stream.out).decode() == f"{folder}:/second:/usr/bin:/bin\n"
