"""The commands about conflicts, history, reasons and files as a person types them: real daemon, real place."""

import contextlib
import hashlib
import json
import os
import sqlite3

import pytest

from afield.cli.main import main

BASE = "one\ntwo\nthree\nfour\nfive\n"


@pytest.fixture
def box(sandbox, monkeypatch, capsys, wait):
    sandbox.here = sandbox.project()
    sandbox.there = os.path.join(sandbox.place, "work", "proj")
    for name in ("EDITOR", "VISUAL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.chdir(sandbox.here)

    def write(side, name, text):
        path = os.path.join(getattr(sandbox, side), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def read(side, name):
        with open(os.path.join(getattr(sandbox, side), name), encoding="utf-8") as file:
            return file.read()

    def call(*words):
        """Run a command; gives (exit status, stdout, stderr)."""
        capsys.readouterr()
        status = main(list(words))
        told = capsys.readouterr()
        return status, told.out, told.err

    def ok(*words):
        status, out, err = call(*words)
        assert status == 0, (words, out, err)
        return out

    sandbox.write, sandbox.read, sandbox.call, sandbox.ok, sandbox.wait = write, read, call, ok, wait
    return sandbox


def kept_texts(box):
    folder = box.state + "/sync"
    found = set()
    for name in os.listdir(folder):
        if name.endswith(".texts"):
            with (
                contextlib.suppress(sqlite3.OperationalError),
                contextlib.closing(sqlite3.connect(f"{folder}/{name}")) as db,
            ):
                found |= {row[0] for row in db.execute("SELECT digest FROM texts")}
    return found


def conflict(box, **names):
    """Bring the project up with conflicts: name -> (here, there), each of which came of BASE."""
    for name in names:
        box.write("here", name, BASE)
    box.ok("up")
    # Agreed texts are kept behind the sync.
    box.wait(lambda: kept_texts(box) >= {hashlib.sha256(BASE.encode()).digest()}, "the agreed text")
    box.ok("down")
    for name, (here, there) in names.items():
        box.write("here", name, here)
        box.write("there", name, there)
    box.ok("up")


def test_a_conflict_is_listed_shown_merged_and_brought_back(box):
    here, there = BASE.replace("one", "ONE"), BASE.replace("five", "FIVE")
    conflict(box, x=(here, there))
    status, out, _ = box.call("conflicts")
    assert status == 1
    assert "both sides changed it" in out
    status, out, _ = box.call("diff")
    assert status == 1
    assert "-ONE\n" in out
    assert "+FIVE\n" in out
    (told,) = json.loads(box.call("conflicts", "--json")[1])
    assert (told["path"], told["kind"], told["here"]["size"]) == ("x", "edit", len(here))
    assert "settled x" in box.ok("resolve", "--all", "--merge")
    merged = BASE.replace("one", "ONE").replace("five", "FIVE")
    assert box.read("here", "x") == box.read("there", "x") == merged
    assert box.call("diff", "x")[0] == 0
    assert box.ok("conflicts") == "no conflicts\n"
    events = json.loads(box.ok("history", "--json"))
    assert {(event["side"], event["path"]) for event in events} == {("here", "x"), ("there", "x")}
    mine = next(event for event in events if event["side"] == "here")
    assert "restored x (here)" in box.ok("undo", "--event", mine["id"])
    box.ok("sync")
    assert box.read("there", "x") == here


def test_both_sides_and_a_side_can_be_chosen_below_a_folder(box):
    conflict(box, **{"d/a.txt": ("1", "2"), "d/b": ("1", "2"), "c": ("1", "2")})
    out = box.ok("resolve", "--both", "d")
    assert "settled d/a.txt (the other version is d/a.there.txt)" in out
    assert (box.read("here", "d/a.txt"), box.read("here", "d/a.there.txt")) == ("1", "2")
    assert "settled c" in box.ok("resolve", "c", "--there")
    assert box.read("here", "c") == "2"
    assert box.ok("conflicts", "--json") == "[]\n"


def test_what_cannot_be_merged_stays_open_and_says_why(box):
    conflict(box, x=(BASE.replace("two", "2"), BASE.replace("two", "zwei")))
    status, out, _ = box.call("resolve", "--merge", "x")
    assert status == 1
    assert out.startswith("open    x: a place that both sides changed")
    assert "(with conflict markers: edit it)" in box.ok("resolve", "--merge", "--markers", "x")
    assert "<<<<<<< here\n2\n=======\nzwei\n>>>>>>> there\n" in box.read("there", "x")


def test_wrong_words_are_usage_errors(box):
    box.ok("up")
    for words in (
        ["resolve", "x"],
        ["resolve", "--here"],
        ["resolve", "--here", "--all", "x"],
        ["resolve", "--here", "--markers", "x"],
        ["undo", "--last", "x"],
        ["why", "."],
    ):
        assert box.call(*words)[0] == 2, words
    for words in (["resolve", "--here", "x"], ["undo"], ["diff", "nothing"], ["compare", "nothing"], ["diff", "/etc"]):
        status, _, err = box.call(*words)
        assert status == 1, words
        assert "hint:" in err


def test_a_removed_folder_comes_back_with_one_word(box):
    for number in range(5):
        box.write("here", f"d/{number}", str(number))
        box.write("here", f"keep{number}", "x")
    box.ok("up")
    for number in range(5):
        os.unlink(f"{box.here}/d/{number}")
    os.rmdir(box.here + "/d")
    box.ok("sync")
    assert not os.path.exists(box.there + "/d")
    assert box.ok("undo", "d").count("restored d/") == 5
    box.ok("sync")
    assert box.read("here", "d/3") == "3"
    assert "took away again d/" in box.ok("undo", "--last")
    box.ok("sync")
    assert not os.path.exists(box.here + "/d")


def test_reasons_are_told_with_rule_file_and_line(box):
    box.write("here", ".gitignore", "\n*.log\n")
    box.write("here", "sub/a.log", "x" * 100)
    box.write("here", "sub/a.py", "x")
    assert box.ok("ignored", "sub/a.log") == "sub/a.log is left out: *.log (line 2 of .gitignore)\n"
    assert box.call("ignored", "sub/a.py")[:2] == (1, "sub/a.py is not left out\n")
    (row,) = json.loads(box.ok("ignored", "--json"))["rows"]
    assert (row["path"], row["bytes"], row["source"], row["line"]) == ("sub/a.log", 100, ".gitignore", 2)
    assert "sub/a.log" in box.ok("ignored")
    box.ok("up")
    assert "left out of the sync: *.log (line 2 of .gitignore)" in box.ok("why", "sub/a.log")
    assert box.ok("why", "sub/a.py").startswith("sub/a.py: the same on both sides\n")
    assert json.loads(box.ok("why", "sub/a.py", "--json"))["state"] == "same"
    assert "never was" in box.ok("why", "nothing")


def test_paths_are_seen_from_the_working_folder_as_git_sees_them(box, monkeypatch):
    box.write("here", "sub/a.py", "x")
    box.write("here", "top.py", "x")
    box.ok("up")
    monkeypatch.chdir(box.here + "/sub")
    for words, path in ((["a.py"], "sub/a.py"), (["sub/a.py"], "sub/a.py"), (["../top.py"], "top.py")):
        assert box.ok("why", *words).startswith(path + ":")
    assert box.call("why", "../../x")[0] == 1


def test_compare_needs_no_sync_and_leaves_none_behind(box):
    box.write("here", "same", "x")
    box.write("there", "same", "x")
    box.write("here", "mine", "x")
    box.write("there", "d/theirs", "x")
    box.write("here", "other", "1")
    box.write("there", "other", "2")
    status, out, _ = box.call("compare")
    assert status == 1
    found = {row["path"]: row["how"] for row in json.loads(box.call("compare", "--json")[1])["rows"]}
    expected = {"mine": "only-here", "d": "only-there", "d/theirs": "only-there", "other": "content"}
    assert found == {**expected, "afield.toml": "only-here"}
    assert "d/" in out
    assert "with 1 entry" in out
    assert not os.path.exists(box.state + "/sync")
    assert box.read("there", "other") == "2"
    assert not os.path.exists(box.there + "/mine")
    assert box.call("compare", "same")[0] == 0


def test_a_dry_run_lists_every_step(box):
    box.write("here", "d/a", "x")
    box.write("there", "b", "xy")
    plan = json.loads(box.ok("sync", "--dry-run", "--json"))["plan"]
    steps = {(step["side"], step["action"], step["path"], step["bytes"]) for step in plan}
    assert {("there", "dir", "d", 0), ("there", "put", "d/a", 1), ("here", "put", "b", 2)} <= steps
    assert not os.path.exists(box.there + "/d")


def test_looking_makes_no_folder_there(box):
    box.write("here", "d/a", "x")
    os.rmdir(box.there) if os.path.isdir(box.there) else None
    plan = json.loads(box.ok("sync", "--dry-run", "--json"))["plan"]
    assert ("there", "put", "d/a") in {(step["side"], step["action"], step["path"]) for step in plan}
    assert box.call("compare")[0] == 1
    assert not os.path.exists(box.there)
    box.ok("up")
    assert box.read("there", "d/a") == "x"


def test_looking_leaves_nothing_in_a_folder_that_was_never_synced(box):
    box.write("here", "same", "x")
    box.write("there", "same", "x")
    box.write("there", "d/theirs", "x")
    before = os.listdir(box.there)
    mine = os.listdir(box.here)
    plan = json.loads(box.ok("sync", "--dry-run", "--json"))["plan"]
    assert ("here", "put", "d/theirs") in {(step["side"], step["action"], step["path"]) for step in plan}
    assert box.call("compare")[0] == 1
    assert box.call("compare", "same")[0] == 0
    assert (os.listdir(box.there), os.listdir(box.here)) == (before, mine)
    box.ok("up")
    assert box.read("here", "d/theirs") == "x"
    box.ok("down")
    assert box.call("compare")[0] == 0


def test_long_answers_come_whole(box):
    os.makedirs(box.there + "/many")
    for number in range(2500):
        with open(f"{box.there}/many/{number}", "w"):
            pass
    found = json.loads(box.ok("ls", "many", "--json"))
    assert {entry["name"] for entry in found} == {str(number) for number in range(2500)}
    assert len(json.loads(box.ok("sync", "--dry-run", "--json"))["plan"]) >= 2500
    assert "2,500 files" in box.ok("tree", "many")


def test_several_files_and_patterns_go_and_come(box):
    for name in ("a.txt", "b.txt", "c.md"):
        box.write("here", name, name)
    out = box.ok("put", "*.txt", "c.md", "up/")
    assert "3 files" in out
    assert sorted(os.listdir(box.there + "/up")) == ["a.txt", "b.txt", "c.md"]
    assert "2 files" in box.ok("get", "up/*.txt", "back")
    assert sorted(os.listdir(box.here + "/back")) == ["a.txt", "b.txt"]
    box.ok("get", "up/a.txt", "up/c.md", "two")
    assert sorted(os.listdir(box.here + "/two")) == ["a.txt", "c.md"]
    assert box.call("put", "*.none", "up/")[0] == 1
    assert box.call("get", "*.none", "x")[0] == 1
    assert not os.path.exists(box.here + "/x")


def test_a_folder_there_takes_a_file_by_a_dot_and_by_a_slash(box):
    box.write("here", "a.txt", "a")
    os.makedirs(box.there + "/runs")
    status, _, err = box.call("put", "a.txt", "runs")
    assert status == 1
    assert "afield put a.txt runs/" in err
    box.ok("put", "a.txt", "runs/")
    box.ok("put", "a.txt", "runs/.")
    box.ok("put", "a.txt", ".")
    assert os.listdir(box.there + "/runs") == ["a.txt"]
    assert box.read("there", "a.txt") == "a"


def test_a_get_into_a_folder_that_is_not_here_names_the_file_and_not_its_part(box):
    os.makedirs(box.there + "/up")
    with open(box.there + "/up/x", "w") as file:
        file.write("x")
    status, _, err = box.call("get", "up/x", "absent/y")
    assert status == 1
    assert "absent/y cannot be written" in err
    assert "afield-part" not in err


def editor(box, monkeypatch, *lines):
    """Make an editor of shell lines; $1 is the file."""
    path = os.path.join(box.folder, "editor")
    with open(path, "w") as file:
        file.write("#!/bin/sh\n" + "\n".join(lines) + "\n")
    os.chmod(path, 0o755)
    monkeypatch.setenv("VISUAL", path)


def test_a_file_that_is_here_is_opened_as_it_is(box, monkeypatch):
    box.write("here", "a", "x")
    editor(box, monkeypatch, 'echo more >> "$1"', "exit 3")
    assert box.call("open", "a")[0] == 3
    assert box.read("here", "a") == "xmore\n"


def test_a_file_that_is_only_there_is_fetched_and_put_back(box, monkeypatch):
    box.write("there", "run.sh", "x\n")
    os.chmod(box.there + "/run.sh", 0o755)
    editor(box, monkeypatch, 'echo more >> "$1"')
    _, _, err = box.call("open", "run.sh")
    assert "put back" in err
    assert box.read("there", "run.sh") == "x\nmore\n"
    assert os.access(box.there + "/run.sh", os.X_OK)
    editor(box, monkeypatch, "true")
    assert box.call("open", "run.sh") == (0, "", "")
    assert box.call("open", box.there + "/run.sh") == (0, "", "")
    assert box.call("open", "absent")[0] == 1


def test_what_changed_there_meanwhile_is_not_overwritten_and_the_copy_stays(box, monkeypatch):
    box.write("there", "a", "x")
    editor(box, monkeypatch, f'echo mine > "$1"; echo theirs > {box.there}/a')
    status, _, err = box.call("open", "a")
    assert status == 1
    assert box.read("there", "a") == "theirs\n"
    copy = err.split("your version is ")[1].split(";")[0]
    with open(copy) as file:
        assert file.read() == "mine\n"
    os.unlink(copy)
    os.rmdir(os.path.dirname(copy))


def test_without_an_editor_that_runs_the_variable_is_named(box, monkeypatch):
    box.write("here", "a", "x")
    monkeypatch.setenv("VISUAL", "/no/such/editor")
    status, _, err = box.call("open", "a")
    assert status != 0
    assert "VISUAL" in err


def test_conflicts_of_further_folders_are_shown_and_settled_with_the_rest(box):
    common = os.path.join(box.folder, "common")
    os.makedirs(common)
    with open(box.here + "/afield.toml", "a", encoding="utf-8") as file:
        file.write(f'[folders.common]\nhere = "{common}"\nthere = "{box.place}/common"\n')
    box.write("here", "own", "mine")
    box.write("there", "own", "theirs")
    for path, text in ((common, "mine too"), (box.place + "/common", "theirs too")):
        os.makedirs(path, exist_ok=True)
        with open(path + "/x", "w") as file:
            file.write(text)
    box.ok("up")
    status, out, _ = box.call("conflicts")
    assert status == 1
    assert "common: x" in out
    status, out, _ = box.call("diff")
    assert status == 1
    assert "-mine too" in out
    assert "in the folder common:" in out
    assert "settled common: x" in box.ok("resolve", "--all", "--there")
    with open(common + "/x") as file:
        assert file.read() == "theirs too"
    assert box.read("here", "own") == "theirs"
    assert box.ok("conflicts") == "no conflicts\n"


def test_a_daemon_that_is_in_use_says_how_it_is_stopped_all_the_same(box):
    box.ok("up")
    status, out, err = box.call("daemon", "stop")
    assert status == 1
    assert "still in use" in out
    assert "hint: afield daemon stop --force" in err


def test_settings_that_wait_for_down_and_up_are_told_by_who_would_use_them(box):
    box.ok("up")
    box.write("here", "afield.toml", box.read("here", "afield.toml") + '\n[sync]\nmode = "push"\n')
    for word in ("sync", "up"):
        status, _, err = box.call(word)
        assert status == 0
        assert "mode changed in afield.toml: `afield down` and `afield up` make it so" in err


def test_a_signal_for_what_has_ended_is_an_error(box):
    box.ok("up")
    assert box.call("run", "true")[0] == 0
    row = json.loads(box.ok("processes", "--all", "--json"))[-1]
    status, out, err = box.call("processes", "--kill", row["id"])
    assert (status, out) == (1, "")
    assert "has ended already" in err


def test_a_sync_that_carried_nothing_does_not_tell_of_the_one_before(box):
    box.write("here", "notes.md", "old\n")
    box.ok("up")
    box.write("here", "notes.md", "new\n")
    box.wait(lambda: box.read("there", "notes.md") == "new\n", "the live sync")
    # Looked at again, and found to be the same.
    os.utime(os.path.join(box.here, "notes.md"))
    assert box.ok("sync") == "both sides agree\n"
