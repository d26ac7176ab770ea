"""Several machines, several folders, rules by path and guards, as a person types them: real daemon, real places."""

import json
import os
import shlex
import shutil

import pytest

from afield.cli.main import main

TWO = """machine = "one"
{top}
[machines.one]
place = "local://{box.place}"
folder = "{box.place}/one"
[machines.two]
place = "local://{box.place}2"
folder = "{box.place}/two"
{more}
"""


def put(folder, name, text="x"):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def names(folder):
    found = []
    for top, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != ".afield"]
        found += [os.path.relpath(os.path.join(top, name), folder) for name in files]
    return sorted(name for name in found if name != "afield.toml")


def read(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return file.read()


@pytest.fixture
def box(sandbox, monkeypatch, capsys):
    sandbox.here = os.path.join(sandbox.folder, "proj")
    sandbox.one, sandbox.two = os.path.join(sandbox.place, "one"), os.path.join(sandbox.place, "two")
    os.makedirs(sandbox.here)
    os.makedirs(sandbox.place + "2")
    monkeypatch.chdir(sandbox.here)

    def settings(top="", more=""):
        put(sandbox.here, "afield.toml", TWO.format(box=sandbox, top=top, more=more))

    def call(*words):
        capsys.readouterr()
        status = main(list(words))
        told = capsys.readouterr()
        return status, told.out, told.err

    def ok(*words):
        status, out, err = call(*words)
        assert status == 0, (words, out, err)
        return out

    sandbox.settings, sandbox.call, sandbox.ok = settings, call, ok
    return sandbox


# -- several machines


def test_a_project_is_synced_to_several_machines_at_once(box):
    box.settings()
    put(box.here, "a.py")
    out = box.ok("up", "--all")
    assert "proj is up on one" in out
    assert "proj is up on two" in out
    assert names(box.one) == names(box.two) == ["a.py"]
    put(box.one, "result.txt", "made there")
    put(box.two, "other.txt", "made on two")
    told = json.loads(box.ok("sync", "--all", "--json"))["machines"]
    # One call is enough, whichever machine comes first.
    assert names(box.one) == names(box.two) == names(box.here) == ["a.py", "other.txt", "result.txt"]
    assert not any(done["conflicts"] or done["problems"] for done in told.values())
    assert read(box.two, "result.txt") == read(box.here, "result.txt") == "made there"
    text = box.ok("status")
    assert "on one" in text
    assert "on two" in text
    told = json.loads(box.ok("down", "--on", "one", "--on", "two", "--json"))["machines"]
    assert {name: "sync" in done["stopped"] for name, done in told.items()} == {"one": True, "two": True}


def test_a_machine_that_fails_does_not_stop_the_others(box):
    box.settings(more='[machines.bad]\nplace = "ssh://nobody@127.0.0.1:1"\n')
    put(box.here, "a.py")
    status, out, _ = box.call("up", "--on", "bad", "--on", "two")
    assert status == 255
    assert "bad: " in out
    assert "hint: " in out
    assert "proj is up on two" in out
    assert names(box.two) == ["a.py"]
    assert not os.path.exists(box.one)


def test_the_shim_runs_on_the_default_machine(box):
    box.settings()
    box.ok("up", "--on", "two", "--on", "one")
    with open(os.path.join(box.here, ".afield", "shim.conf"), encoding="utf-8", errors="replace") as file:
        assert "one" in file.read()


def test_all_and_names_do_not_go_together(box):
    box.settings()
    status, _, err = box.call("up", "--all", "--on", "one")
    assert status == 2
    assert "--all stands alone" in err


def test_each_machine_has_its_own_mode(box):
    box.settings(more='[machines.two.sync]\nmode = "push"\n')
    put(box.here, "a.py")
    box.ok("up", "--all")
    for folder in (box.one, box.two):
        put(folder, f"from-{os.path.basename(folder)}")
    box.ok("sync", "--all")
    assert names(box.here) == ["a.py", "from-one"]
    state = json.loads(box.ok("status", "--json"))["projects"]
    assert {each["machine"]: each["sync"]["mode"] for each in state.values()} == {"one": "two-way-safe", "two": "push"}


# -- rules by path


def test_each_path_follows_its_rule(box):
    box.settings(
        '[sync]\nmode = "push"\npull = ["runs/**"]\ntwo-way = ["*.ipynb"]\nkeep-there = ["data/**"]\nignore = ["*.tmp"]'
    )
    put(box.here, "src/a.py", "here")
    put(box.here, "data/small.csv", "only here")
    put(box.one, "runs/1/log", "there")
    put(box.one, "data/big.bin", "there")
    put(box.one, "book.ipynb", "there")
    put(box.one, "scratch.txt", "there")
    put(box.one, "src/a.py", "old")
    box.ok("up")
    assert names(box.here) == ["book.ipynb", "data/small.csv", "runs/1/log", "src/a.py"]
    assert names(box.one) == ["book.ipynb", "data/big.bin", "runs/1/log", "scratch.txt", "src/a.py"]
    assert read(box.one, "src/a.py") == "here"
    put(box.here, "runs/1/log", "edited here")
    put(box.here, "runs/2/mine", "here")
    put(box.here, "book.ipynb", "edited here")
    box.ok("sync")
    assert read(box.one, "book.ipynb") == "edited here"
    assert read(box.one, "runs/1/log") == read(box.here, "runs/1/log") == "there"
    assert not os.path.exists(os.path.join(box.one, "runs/2/mine"))
    assert read(box.here, "runs/2/mine") == "here"
    text = box.ok("status")
    assert "push (pull runs/**, two-way *.ipynb)" in text
    assert "data/** (entry 1 of sync.keep-there)" in box.ok("ignored", "data/small.csv")
    assert "data/** (entry 1 of sync.keep-there)" in box.ok("why", "data/small.csv")
    assert "data/** (entry 1 of sync.keep-there)" in box.ok("ignored")
    assert "*.tmp (entry 1 of sync.ignore)" in box.ok("ignored", "x.tmp")
    assert "pull" in box.ok("why", "runs/1/log")


# -- several folders


def with_folders(box, extra=""):
    box.common = os.path.join(box.folder, "common")
    box.settings(
        f'[folders.common]\nhere = "../common"\nthere = "{box.place}/lib"\nmode = "push"\n'
        f'[folders.data]\nhere = "data"\nthere = "{box.place}/big/data"\n{extra}'
    )
    put(box.here, "a.py")
    put(box.here, "data/set.csv", "1,2")
    put(box.common, "util.py", "u = 1")


def test_further_folders_go_to_places_of_their_own(box):
    with_folders(box)
    box.ok("up")
    assert names(box.one) == ["a.py"]
    assert names(f"{box.place}/lib") == ["util.py"]
    assert names(f"{box.place}/big/data") == ["set.csv"]
    put(f"{box.place}/big/data", "more.csv", "3,4")
    put(f"{box.place}/lib", "stays.there")
    put(box.common, "second.py")
    box.ok("sync")
    assert names(box.here) == ["a.py", "data/more.csv", "data/set.csv"]
    assert names(box.common) == ["second.py", "util.py"]
    assert names(f"{box.place}/lib") == ["second.py", "stays.there", "util.py"]
    assert "stays.there" in box.call("compare", "--folder", "common")[1]
    text = box.ok("status")
    assert "common: " in text
    assert "live, push" in text
    assert "/data (it belongs to a further folder of the project)" in box.ok("ignored", "data/set.csv")
    box.ok("down")
    put(box.common, "third.py")
    assert "third.py" in box.ok("sync", "--dry-run")
    assert "third.py" not in names(f"{box.place}/lib")


def test_a_folder_there_inside_the_projects_is_left_out_of_it(box):
    box.common = os.path.join(box.folder, "common")
    box.settings('[folders.common]\nhere = "../common"\nthere = "vendor/common"\n')
    put(box.here, "a.py")
    put(box.common, "util.py")
    box.ok("up")
    assert names(box.one) == ["a.py", "vendor/common/util.py"]
    assert names(box.here) == ["a.py"]
    put(box.one, "vendor/common/new.py")
    box.ok("sync")
    assert names(box.here) == ["a.py"]
    assert names(box.common) == ["new.py", "util.py"]


def test_conflicts_and_history_of_a_folder_are_reached_by_its_name(box):
    with_folders(box)
    box.ok("up")
    box.ok("down")
    put(box.here, "data/set.csv", "here")
    put(f"{box.place}/big/data", "set.csv", "there")
    box.call("up")
    status, out, _ = box.call("conflicts", "--json")
    assert status == 1
    assert [(row["path"], row["folder"]) for row in json.loads(out)] == [("set.csv", "data")]
    box.ok("resolve", "--folder", "data", "--there", "data/set.csv")
    assert read(box.here, "data/set.csv") == "there"
    assert "set.csv" in box.ok("history", "--folder", "data")
    assert "set.csv" not in box.ok("history")
    box.ok("undo", "--folder", "data", "set.csv")
    assert read(box.here, "data/set.csv") == "here"
    status, _, err = box.call("history", "--folder", "nope")
    assert status == 2
    assert "common, data" in err


def test_a_folder_that_is_not_here_yet_is_made(box):
    box.settings(f'[folders.runs]\nhere = "runs"\nthere = "{box.place}/scratch/runs"\nmode = "pull"\n')
    put(f"{box.place}/scratch/runs", "1/log", "done")
    box.ok("up")
    assert read(box.here, "runs/1/log") == "done"


def test_a_first_upload_of_any_folder_asks_before_anything_goes(box):
    with_folders(box, "[sync]\nask-above = 2000\n")
    put(box.common, "big.bin", "x" * 5000)
    status, _, err = box.call("up")
    assert status == 3
    assert "folder common" in err
    assert not os.path.exists(f"{box.place}/lib") or names(f"{box.place}/lib") == []
    assert names(box.one) == []
    box.ok("up", "--yes")
    assert "big.bin" in names(f"{box.place}/lib")


def test_programs_find_what_lies_in_a_further_folder(box):
    with_folders(box)
    put(box.here, "a.py", "import sys; print(open(sys.argv[1]).read(), end='')")
    box.ok("up")
    with box.raw() as client:
        argv = ["a.py", os.path.join(os.path.realpath(box.here), "data", "set.csv")]
        client.request(os.path.realpath(box.here), argv, mode="python")
        client.send(b"I")
        assert (client.finish(), client.out, client.err) == (0, b"1,2", b"")


def test_clean_takes_every_folder_away(box):
    with_folders(box)
    box.ok("up")
    with box.connect() as client:
        args = {"project": os.path.realpath(box.here), "files": True, "force": True}
        client.request("clean", args, timeout=60)
    assert not os.path.exists(box.one)
    assert not os.path.exists(f"{box.place}/lib")
    assert not os.path.exists(f"{box.place}/big/data")
    assert names(box.common) == ["util.py"]


# -- guards, answered on the command line


def test_a_guard_at_the_start_names_the_command_that_answers_it(box):
    box.settings()
    for number in range(30):
        put(box.here, f"f{number}")
    box.ok("up")
    box.ok("down")
    for number in range(30):
        os.unlink(os.path.join(box.one, f"f{number}"))
    status, _, err = box.call("up")
    assert status == 3
    assert "afield sync --yes" in err
    assert len(names(box.here)) == 30
    status, _, _ = box.call("up", "--yes")
    assert status == 3, "agreeing to an upload is not agreeing to removals"
    assert len(names(box.here)) == 30
    box.ok("sync", "--yes")
    assert names(box.here) == []


def test_a_guard_while_live_is_shown_and_answered(box, wait):
    box.settings()
    for number in range(30):
        put(box.here, f"f{number}")
    box.ok("up")
    os.rename(box.one, box.one + "-moved")
    status, _, err = box.call("sync")
    assert status == 3
    assert "afield sync --yes" in err
    assert "afield sync --yes" in box.ok("status")
    assert len(names(box.here)) == 30
    box.ok("sync", "--yes")
    assert len(names(box.one)) == 30


def test_one_yes_is_enough_and_holds_once(box):
    box.settings()
    for number in range(60):
        put(box.here, f"f{number}")
    box.ok("up")
    for number in range(40):
        os.unlink(os.path.join(box.here, f"f{number}"))
    box.ok("sync", "--yes")
    assert len(names(box.one)) == 20
    for number in range(40, 60):
        os.unlink(os.path.join(box.here, f"f{number}"))
    for number in range(30):
        put(box.here, f"g{number}")
    box.ok("sync")
    for number in range(30):
        os.unlink(os.path.join(box.here, f"g{number}"))
    status, _, err = box.call("sync")
    assert status == 3
    assert "afield sync --yes" in err
    assert len(names(box.one)) == 30


def test_a_folder_of_another_project_is_taken_over_in_words(box):
    box.settings()
    put(box.here, "a.py")
    put(box.one, "theirs.txt")
    put(box.one, ".afield/identity", "somebody else\n")
    status, _, err = box.call("up")
    assert status == 1
    assert "afield up --take-over" in err
    assert names(box.one) == ["theirs.txt"]
    box.ok("up", "--take-over")
    assert names(box.one) == names(box.here) == ["a.py", "theirs.txt"]


def test_home_and_root_are_refused_there(box, monkeypatch):
    put(os.environ["HOME"], "precious")
    for folder in ("~", "/", os.path.dirname(os.environ["HOME"])):
        put(
            box.here,
            "afield.toml",
            f'[machines.m]\nplace = "local://"\nfolder = "{folder}"\n[sync]\nmode = "push-exact"\n',
        )
        status, _, err = box.call("up")
        assert (status, "home folder" in err or "got /" in err) == (1, True), err
        assert "hint: " in err
    assert read(os.environ["HOME"], "precious") == "x"
    assert not os.path.exists(os.path.join(os.environ["HOME"], ".afield"))


def test_a_copy_of_the_project_does_not_sync_to_the_same_folder(box, monkeypatch):
    box.settings()
    put(box.here, "a.py")
    box.ok("up")
    copy = os.path.join(box.folder, "copy")
    shutil.copytree(box.here, copy)
    put(copy, "b.py")
    monkeypatch.chdir(copy)
    status, _, err = box.call("up")
    assert status == 3
    assert "is synced with" in err
    assert names(box.one) == ["a.py"]
    command = err.strip().partition("stop the other one: afield ")[2]
    box.ok(*shlex.split(command))
    monkeypatch.chdir(copy)
    box.ok("up")
    assert names(box.one) == ["a.py", "b.py"]
