"""A place on this machine lives in its own folder: its home is there, nothing of it lands in the user's, and it goes without a trace."""

import os
import shutil

import pytest


def listing(folder):
    return sorted(os.path.join(where, name) for where, _, names in os.walk(folder) for name in names)


@pytest.fixture
def project(sandbox):
    """A project at local:// whose folder there is the default one."""
    shutil.rmtree(sandbox.place)
    folder = os.path.join(sandbox.folder, "proj")
    os.mkdir(folder)
    with open(os.path.join(folder, "afield.toml"), "w", encoding="utf-8") as file:
        file.write(f'machine = "m"\n[machines.m]\nplace = "local://{sandbox.place}"\n')
    with open(os.path.join(folder, "a.py"), "w", encoding="utf-8") as file:
        file.write("print(1)\n")
    return folder


def output(sandbox, project, argv):
    with sandbox.raw() as client:
        client.request(project, argv)
        client.send(b"I")
        assert client.finish() == 0
        return client.out.decode()


def test_home_is_the_folder_of_the_place(sandbox, project, monkeypatch):
    with open(os.path.join(project, "afield.toml"), "a", encoding="utf-8") as file:
        file.write('way = "translated"\n')
    monkeypatch.setenv("XDG_CACHE_HOME", os.path.join(sandbox.home, "mycache"))
    with sandbox.connect() as client:
        client.request("up", {"project": project}, timeout=60)
        assert output(sandbox, project, ["sh", "-c", "pwd; cd; pwd; echo $XDG_CACHE_HOME"]).splitlines() == [
            f"{sandbox.place}/afield/proj",
            sandbox.place,
            "",
        ]
        assert os.path.exists(f"{sandbox.place}/afield/proj/a.py")
    assert listing(sandbox.home) == []


def test_clean_leaves_no_trace(sandbox, project):
    with sandbox.connect() as client:
        client.request("up", {"project": project}, timeout=60)
        output(sandbox, project, ["true"])
        done = client.request("clean", {"project": project, "files": True}, timeout=60)
        assert "agent" in done["removed"]
    assert not os.path.exists(sandbox.place)
    assert listing(sandbox.home) == []
    assert os.path.exists(os.path.join(project, "a.py"))


def test_clean_leaves_what_is_not_of_afield(sandbox, project):
    with sandbox.connect() as client:
        client.request("up", {"project": project}, timeout=60)
        output(sandbox, project, ["sh", "-c", "echo mine > ~/notes"])
        client.request("clean", {"project": project, "files": True}, timeout=60)
    assert listing(sandbox.place) == [f"{sandbox.place}/notes"]


def test_no_login_question_can_be_asked_from_there(sandbox, project):
    with sandbox.connect(dial=(project, None)) as client:
        client.request("up", {"project": project}, timeout=60)
        assert "ASKPASS" not in output(sandbox, project, ["env"])
