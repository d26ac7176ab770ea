"""Mirrors end to end over local://: made, kept fresh by itself, asked for single files, taken away."""

import json
import os
import sys

import pytest
from far_env import install, make_env

from afield.errors import AfieldError

NAME = f"python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def linked(sandbox, monkeypatch, tmp_path):
    """A project whose environment is a venv in its folder there; it and its store lie in the test's own home."""
    for name in ("VIRTUAL_ENV", "PYENV_ROOT", "CONDA_PREFIX", "WORKON_HOME"):
        monkeypatch.delenv(name, raising=False)
    sandbox.there = os.path.join(sandbox.place, "work", "proj")
    sandbox.python, sandbox.site = make_env(os.path.join(sandbox.there, ".venv"))
    install(sandbox.site, "alpha", {"alpha/__init__.py": b"a = 1\n"})
    sandbox.here = sandbox.project(extra='env = ".venv"\n')
    sandbox.copy = lambda *parts: os.path.join(sandbox.here, ".afield/lib", NAME, "site-packages", *parts)
    with sandbox.connect() as client:
        sandbox.ask = lambda verb, **args: client.request(verb, {"project": sandbox.here, **args}, timeout=100)
        sandbox.ask("connect")
        yield sandbox
        sandbox.ask("mirror-remove")  # nobody but root can remove what nobody may write to


def test_it_is_made_told_of_and_taken_away(linked):
    assert linked.ask("mirror-status")["mirror"] is None
    done = linked.ask("mirror-sync")
    assert (done["env"], done["missing"]) == ("proj", 0)
    assert os.path.exists(linked.copy("alpha/__init__.py"))
    told = linked.ask("mirror-status")
    assert told["mirror"]["files"] == done["files"]
    assert told["store"]["folder"].startswith(linked.home)
    again = linked.ask("mirror-sync")
    assert (again["changed"], again["fetched"]) == (0, 0)
    gone = linked.ask("mirror-remove")
    assert gone["removed"] >= done["files"]
    assert gone["freed_files"] == told["store"]["files"]
    assert not os.path.exists(os.path.join(linked.here, ".afield/lib"))


def test_the_project_itself_is_mapped_to_here(linked):
    with open(os.path.join(linked.site, "me.pth"), "w") as file:
        file.write(os.path.join(linked.there, "src") + "\n")
    os.makedirs(os.path.join(linked.there, "src"))
    linked.ask("mirror-sync")
    assert not os.path.exists(os.path.join(linked.here, ".afield/far"))
    with open(linked.copy("me.pth")) as file:
        assert file.read() == os.path.join(linked.here, "src") + "\n"


def test_once_made_it_is_kept_fresh_when_the_project_goes_up(linked, wait):
    assert linked.ask("mirror-refresh") == {"begun": False}
    linked.ask("mirror-sync")
    install(linked.site, "beta", {"beta.py": b"b = 2\n"})
    linked.ask("up")
    wait(lambda: os.path.exists(linked.copy("beta.py")), "the refreshed mirror")


def test_it_is_left_alone_when_the_settings_say_so(linked):
    linked.ask("mirror-sync")
    linked.project(extra='env = ".venv"\n[machines.m.mirror]\nauto = false\n')
    assert linked.ask("mirror-refresh") == {"begun": False}
    assert linked.ask("mirror-status")["auto"] is False


def test_the_shim_looks_new_when_the_mirror_changed(linked):
    folder = os.path.join(linked.here, ".afield/bin")
    os.makedirs(folder)
    shim = os.path.join(folder, "python")
    with open(shim, "w"):
        pass
    os.utime(shim, (1, 1))
    linked.ask("mirror-sync")
    assert os.stat(shim).st_mtime > 1
    os.utime(shim, (1, 1))
    linked.ask("mirror-sync")
    assert os.stat(shim).st_mtime == 1


def test_one_file_on_demand(linked):
    far = os.path.join(linked.place, "notes.c")
    with open(far, "w") as file:
        file.write("int x;\n")
    path = linked.ask("mirror-get", path=far)["path"]
    assert path == os.path.join(linked.here, ".afield/far") + far
    with open(path) as file:
        assert file.read() == "int x;\n"
    with pytest.raises(AfieldError) as caught:
        linked.ask("mirror-get", path="/absent/file.py")
    assert caught.value.code == "no-such-file"


def test_a_request_that_is_given_up_leaves_no_process(linked, wait):
    def workers():
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open(f"/proc/{name}/cmdline", "rb") as file:
                        data = file.read()
                except OSError:
                    continue
                if b"afield.mirror.worker" in data and os.fsencode(linked.here) in data:
                    found.append(name)
        return found

    with linked.connect() as client:
        line = json.dumps({"id": 1, "v": 1, "do": "mirror-sync", "args": {"project": linked.here}})
        client._sock.sendall(line.encode() + b"\n")
        wait(workers, "the worker to start")
    wait(lambda: not workers(), "the worker to end")


def test_an_environment_that_is_not_there_is_refused(linked):
    with pytest.raises(AfieldError) as caught:
        linked.ask("mirror-sync", env="absent")
    assert caught.value.code == "no-such-env"
