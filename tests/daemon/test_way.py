"""The way a run takes: the twin where the place allows it, else translation; a view that is gone is made anew."""

import json
import os
import subprocess
import sys

import pytest

WHO = "import json, os, sys; print(json.dumps([os.getcwd(), sys.executable, sys.prefix, sys.argv[1:]]))"


def add(folder, text):
    with open(os.path.join(folder, "afield.toml"), "a", encoding="utf-8") as file:
        file.write(text)


@pytest.fixture
def linked(sandbox):
    folder = sandbox.folder_here = sandbox.project()
    with sandbox.connect() as client:
        client.request("connect", {"project": folder}, timeout=60)
    return sandbox


def run(sandbox, argv, stdin=b"", mode="python", **more):
    with sandbox.raw() as client:
        client.request(sandbox.folder_here, argv, flags="n", mode=mode, **more)
        if stdin:
            client.send(b"i", stdin)
        client.send(b"I")
        return client.finish(), client.out, client.err


def state(sandbox):
    with sandbox.connect() as client:
        found = client.request("status", {"project": sandbox.folder_here})["projects"]
    return next(iter(found.values()))


def test_paths_are_the_same_on_both_sides(linked):
    here = linked.folder_here
    status, out, err = run(linked, ["-c", WHO, here + "/data.csv"])
    assert (status, err) == (0, b"")
    assert json.loads(out) == [here, here + "/.afield/bin/python", here + "/.afield", [here + "/data.csv"]]
    assert state(linked)["way"] == "twin"
    status, out, err = run(linked, ["python3", "-c", WHO], mode="run")
    assert json.loads(out)[:2] == [here, here + "/.afield/bin/python3"], err
    assert run(linked, ["sh", "-c", "touch made"], mode="run")[0] == 0
    assert os.path.exists(os.path.join(linked.place, "work", "proj", "made"))
    assert not os.path.exists(os.path.join(here, "made"))


def test_named_way_is_taken_or_refused(linked):
    add(linked.folder_here, 'way = "translated"\n')
    there = os.path.join(linked.place, "work", "proj")
    _, out, _ = run(linked, ["-c", WHO, linked.folder_here + "/x"])
    assert (json.loads(out)[0], json.loads(out)[3]) == (there, [there + "/x"])
    assert state(linked)["way"] == "translated"
    with open(os.path.join(linked.folder_here, "afield.toml"), encoding="utf-8") as file:
        text = file.read()
    with open(os.path.join(linked.folder_here, "afield.toml"), "w", encoding="utf-8") as file:
        file.write(text.replace("translated", "same"))
    with linked.raw() as client:
        client.request(linked.folder_here, ["-c", "pass"], flags="n", mode="python")
        _, payload = client.until(b"E")
    assert b"way = 'same'" in payload
    assert b"afield doctor" in payload


def environment(folder):
    """Make a virtual environment at the place, with a command of its own."""
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", folder], check=True)
    tool = os.path.join(folder, "bin", "tool")
    with open(tool, "w", encoding="utf-8") as file:
        file.write(f"#!{folder}/bin/python\n{WHO}\n")
    os.chmod(tool, 0o755)


def start_job(sandbox, client, argv, mode="python"):
    """Run a job in the environment ``other``; gives what it printed."""
    there = os.path.join(sandbox.place, "work", "proj")
    out = os.path.join(there, "out")
    args = {"project": sandbox.folder_here, "cwd": sandbox.folder_here, "sync": False, "environment": "other"}
    job = client.request("job-start", {**args, "mode": mode, "argv": argv}, timeout=60)["job"]
    (ended,) = client.request("job-wait", {"project": sandbox.folder_here, "jobs": [job["id"]]}, timeout=60)
    assert ended["exit"] == {"exit": 0}, ended
    with open(out, encoding="utf-8") as file:
        return json.load(file)


@pytest.mark.parametrize("way", ["twin", "translated"])
def test_a_job_with_another_environment_runs_in_a_twin_with_it(linked, way):
    here, there = linked.folder_here, os.path.join(linked.place, "work", "proj")
    os.makedirs(there, exist_ok=True)
    environment(os.path.join(there, "other"))
    add(here, f'way = "{way}"\n')
    code = "import sys; sys.stdout = open('out', 'w'); " + WHO
    with linked.connect() as client:
        found = start_job(linked, client, ["-c", code, here + "/x"])
        tool = start_job(linked, client, ["sh", "-c", "tool > out"], mode="run")
    at = here if way == "twin" else there
    prefix = here + "/.afield" if way == "twin" else there + "/other"
    assert found == [at, prefix + "/bin/python", prefix, [at + "/x"]]
    assert tool[0] == at
    assert tool[2] == prefix
    if way == "twin":  # the project's own is as it was
        assert run(linked, ["-c", "import sys; print(sys.base_prefix)"])[0] == 0
        assert state(linked)["env"]["name"] is None


def test_view_that_is_gone_is_made_anew_and_loses_no_input(linked):
    there = os.path.join(linked.place, "work", "proj")
    count = "import sys, os; print(len(sys.stdin.buffer.read()), os.listdir('.').count('marker'))"
    assert run(linked, ["-c", count], stdin=b"x" * 1000)[1] == b"1000 0\n"
    os.rename(there, there + "-old")
    os.mkdir(there)
    with open(os.path.join(there, "marker"), "w"):
        pass
    assert run(linked, ["-c", count], stdin=b"x" * 70000)[1] == b"70000 1\n"


def test_new_agent_gets_a_new_view(linked):
    assert run(linked, ["-c", "pass"])[0] == 0
    with linked.connect() as client:
        client.request("disconnect", {"project": linked.folder_here, "stop_agent": True})
        client.request("connect", {"project": linked.folder_here}, timeout=60)
    _, out, _ = run(linked, ["-c", WHO])
    assert json.loads(out)[0] == linked.folder_here


def test_shell_stays_outside_unless_asked(linked, monkeypatch):
    there = os.path.join(linked.place, "work", "proj")
    for flags, folder in (("n", there), ("nv", linked.folder_here)):
        with linked.raw() as client:
            client.request(linked.folder_here, [], flags=flags, mode="shell")
            client.send(b"i", b"pwd\nexit\n")
            client.send(b"I")
            assert client.finish() == 0
            assert folder.encode() in client.out


def test_interpreter_that_cannot_stand_in_leaves_translation(linked):
    program = os.path.join(linked.folder, "odd-python")
    with open(program, "w", encoding="utf-8") as file:
        file.write('#!/bin/sh\nexec env -u X python3 "$@"\n')
    os.chmod(program, 0o755)
    add(linked.folder_here, f'python = "{program}"\n')
    status, out, err = run(linked, ["-c", "print(1)"])
    assert (status, out) == (0, b"1\n"), err


def test_doctor_names_way_and_fails_for_what_cannot_work(linked):
    def doctor():
        with linked.connect() as client:
            found = client.request("doctor", {"project": linked.folder_here}, timeout=60)
        return found, {row["name"]: row["state"] for row in found["rows"]}

    found, states = doctor()
    assert (found["ok"], found["way"]) == (True, "twin")
    assert {"link", "login", "python", "paths", "env", "disk", "clock", "sync", "git", "afield"} <= set(states)
    add(linked.folder_here, 'env = "no-such-env"\n')
    found, states = doctor()
    assert (found["ok"], states["env"], states["link"]) == (False, "fail", "ok")


@pytest.mark.parametrize(("place", "row"), [("ssh://nobody@127.0.0.1:1", "link"), ("local:///proc/no/such", "paths")])
def test_doctor_tells_of_a_place_that_does_not_work(sandbox, place, row):
    folder = sandbox.project(place=place)
    with sandbox.connect() as client:
        found = client.request("doctor", {"project": folder}, timeout=60)
    assert found["ok"] is False
    assert [each["name"] for each in found["rows"] if each["state"] == "fail"] == [row]
    assert all(each["text"] for each in found["rows"])
