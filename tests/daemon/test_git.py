"""Git through the daemon: asked for, by itself, and what the state says when something must be left alone."""

import os
import subprocess
import sys

import pytest

from afield.daemon.gits import told, unequal
from afield.errors import GitRefused, GuardRefused


def git(folder, *words):
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(text)
    git(folder, "add", name)
    git(folder, "commit", "-q", "-m", name)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def box(sandbox, monkeypatch):
    """A project with a repository of one commit; ``there`` is its folder at the place."""
    for name, value in (("NAME", "Tester"), ("EMAIL", "tester@example.org")):
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    sandbox.here = sandbox.project()
    sandbox.there = os.path.join(sandbox.place, "work", "proj")
    sandbox.args = {"project": sandbox.here}
    git(sandbox.here, "init", "-q", "-b", "main")
    git(sandbox.here, "add", "-A")
    commit(sandbox.here, "a.py", "print('hello')\n")
    return sandbox


def setting(box, text):
    with open(os.path.join(box.here, "afield.toml"), "a", encoding="utf-8") as file:
        file.write(f"\n{text}\n")


def head(folder):
    try:
        return git(folder, "rev-parse", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return None


def test_git_sync_brings_the_files_first_and_both_sides_agree(box):
    with box.connect() as client:
        done = client.request("git-sync", box.args, timeout=60)
        assert done["notes"] == ["made the repository there"]
        assert git(box.there, "log", "--format=%s") == "a.py"
        assert git(box.there, "status", "--porcelain") == ""
        new = commit(box.there, "b.py", "made there\n")
        assert client.request("git-sync", box.args, timeout=60)["here"] == [f"branch main → {new[:10]}"]
        assert git(box.here, "status", "--porcelain") == ""
        assert head(box.here) == new


def test_a_repository_in_use_is_an_error_for_the_face(box):
    with box.connect() as client:
        client.request("git-sync", box.args, timeout=60)
        open(os.path.join(box.there, ".git", "index.lock"), "w").close()
        with pytest.raises(GitRefused, match="there is in use"):
            client.request("git-sync", box.args, timeout=60)


def test_with_the_setting_commits_go_by_themselves_both_ways(box, wait):
    setting(box, "[sync]\ngit = true")
    git(box.here, "commit", "-q", "-a", "-m", "setting")
    with box.connect() as client:
        client.request("up", box.args, timeout=60)
        wait(lambda: head(box.there) == head(box.here), "the repository there")
        new = commit(box.here, "c.py", "c\n")
        wait(lambda: head(box.there) == new, "a commit of here")
        wait(lambda: git(box.there, "status", "--porcelain") == "", "equal files")
        new = commit(box.there, "d.py", "d\n")
        wait(lambda: head(box.here) == new, "a commit made there")
        lock = os.path.join(box.here, ".git", "MERGE_HEAD")
        open(lock, "w").close()
        commit(box.there, "e.py", "e\n")

        def problems():
            (project,) = client.request("status", box.args)["projects"].values()
            return project["problems"]

        wait(lambda: any("a merge is not finished" in text for text in problems()), "the reason in the state")
        client.request("down", box.args, timeout=60)


def test_a_failure_that_was_told_does_not_stay_in_the_status(box):
    with box.connect() as client:
        client.request("up", {**box.args, "confirm": 1 << 30}, timeout=60)
        lock = os.path.join(box.here, ".git", "index.lock")
        open(lock, "w").close()
        with pytest.raises(GitRefused):
            client.request("git-sync", box.args, timeout=60)
        (project,) = client.request("status", box.args)["projects"].values()
        assert project["problems"] == []


def test_the_command_line_says_what_moved(box):
    words = [sys.executable, "-m", "afield.cli", "git", "sync"]
    done = subprocess.run(words, cwd=box.here, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (
        0,
        "there: branch main → " + head(box.here)[:10] + "\nnote: made the repository there\n",
    ), done.stderr
    again = subprocess.run(words, cwd=box.here, capture_output=True, text=True, check=False)
    assert again.stdout == "both sides have the same commits, branches and tags\n"
    commit(box.here, "x.py", "x\n")
    commit(box.there, "y.py", "y\n")
    apart = subprocess.run(words, cwd=box.here, capture_output=True, text=True, check=False)
    assert apart.returncode == 1
    said, _, command = apart.stdout.strip().partition(", then: ")
    assert said == "branch main went apart; to merge, commit what the file sync brought"
    git(box.here, "add", "-A")
    git(box.here, "commit", "-q", "-m", "brought")
    git(box.here, *command.split()[1:], "-m", "merged")
    assert subprocess.run(words, cwd=box.here, capture_output=True, check=False).returncode == 0
    assert head(box.there) == head(box.here)


def test_a_repository_is_cleaned_away_only_when_its_commits_are_here(box):
    with box.connect() as client:
        client.request("up", {**box.args, "confirm": 1 << 30}, timeout=60)
        client.request("git-sync", box.args, timeout=60)
        late = commit(box.there, "late.py", "made there\n")
        client.request("sync", box.args, timeout=60)
        with pytest.raises(GuardRefused, match=r"\.git/"):
            client.request("clean", {**box.args, "files": True}, timeout=60)
        client.request("git-sync", box.args, timeout=60)
        assert head(box.here) == late
        client.request("clean", {**box.args, "files": True}, timeout=60)
    assert not os.path.exists(box.there)


def test_files_that_may_differ_have_a_reason_by_side():
    assert unequal("two-way-safe", 0, 0) == {}
    assert set(unequal("two-way-safe", 1, 0)) == {"here", "there"}
    assert set(unequal("push-exact", 0, 0)) == {"here"}
    assert set(unequal("pull", 0, 0)) == {"there"}


def test_only_what_a_person_has_to_see_to_is_shown():
    assert told({"apart": [], "notes": ["made the repository there", "submodules: …"]}, "gpu1") is None
    assert "git merge refs/afield/gpu1/heads/main" in told({"apart": ["main"], "notes": []}, "gpu1")
