"""Conflicts, history, reasons, comparisons, diffs and trees as people see them."""

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.cli import diffing, paths
from afield.cli import render_files as render
from afield.errors import BadPath, NoSuchFile


def version(text=None, **more):
    found = {"kind": "f", "executable": False, "target": None, "size": 0, "mtime": 0.0, "digest": None, "text": None}
    if text is not None:
        found.update(text=base64.b64encode(text).decode(), size=len(text))
    return {**found, **more}


def told(here, there, base=None):
    return {"path": "d/x", "here": here, "there": there, "base": base, "conflict": "edit"}


def lines(found, first="here", second="there"):
    return [line for _, line in diffing.diff(found, first, second)]


# ---- diffs


def test_equal_versions_have_no_diff_whatever_their_times():
    assert lines(told(version(b"a\n"), version(b"a\n", mtime=9.0))) == []
    assert not diffing.differ(version(b"a"), version(b"a", mtime=1.0))
    assert diffing.differ(version(b"a"), version(b"b"))
    assert diffing.differ(version(b"a"), None)


def test_a_diff_has_heads_hunks_and_says_when_the_last_line_has_no_end():
    found = lines(told(version(b"a\nb\nc\n"), version(b"a\nB\nc")))
    assert [line.split("\t")[0] for line in found[:2]] == ["--- here/d/x", "+++ there/d/x"]
    assert found[2:] == ["@@ -1,3 +1,3 @@", " a", "-b", "-c", "+B", "+c", "\\ No newline at end of file"]


def test_what_was_deleted_or_made_is_shown_whole():
    found = lines(told(version(b"a\nb\n"), None))
    assert found[0].startswith("--- here/d/x")
    assert found[1] == "+++ there/d/x\t(nothing)"
    assert found[3:] == ["-a", "-b"]


def test_binaries_links_folders_and_modes_are_told_in_words():
    found = lines(
        told(version(size=7, why="it is binary", digest="1"), version(size=9, why="it is binary", digest="2"))
    )
    assert found[0] == "d/x:"
    assert "7 bytes" in found[1]
    assert "it is binary" in found[2]
    found = lines(told(version(kind="l", target="a", size=None), version(kind="d", size=None, mtime=None)))
    assert "link, to a" in found[1]
    assert found[2] == "  there: folder"
    found = lines(told(version(b"a"), version(b"a", executable=True)))
    assert found[2:] == ["mode: not executable → executable"]


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_diff_of_any_bytes_can_be_shown(one, other):
    found = list(diffing.diff(told(version(one), version(other)), "here", "there"))
    assert bool(found) == (one != other)
    assert all("\n" not in line for _, line in found)


# ---- conflicts, history, reasons


def test_conflicts_say_what_each_side_has():
    found = render.conflicts_text(
        [
            {"path": "a", "kind": "clash", "here": version(b"abc"), "there": {"kind": "d", "size": None}},
            {"path": "b\x1b[31m", "kind": "edit", "here": None, "there": version(b"x")},
        ]
    )
    assert "file, 3 B" in found
    assert "a file against a folder" in found
    assert "deleted" in found
    assert "\x1b" not in found
    assert render.conflicts_text([]) == "no conflicts"


def test_an_undo_of_many_names_the_first_and_counts_the_rest():
    done = {"restored": [{"path": f"d/{n}", "side": "there", "action": "removed"} for n in range(25)]}
    found = render.restored_text(done).splitlines()
    assert found[0] == "restored d/0 (there)"
    assert found[-1] == "and 15 more files"
    assert render.restored_text({"restored": [{"path": "x", "side": "here", "action": "restored"}]}) == (
        "took away again x (here)"
    )


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"rule": "*.log", "source": ".gitignore", "line": 3}, "*.log (line 3 of .gitignore)"),
        ({"rule": "data/", "source": "settings", "line": 2}, "data/ (entry 2 of sync.ignore)"),
        ({"rule": "d/", "source": "sync.keep-there", "line": 1}, "d/ (entry 1 of sync.keep-there)"),
        ({"rule": "/lib", "source": "it belongs to another", "line": 0}, "/lib (it belongs to another)"),
        ({"rule": ".git", "source": "built-in: git carries it", "line": 1}, ".git (built in: git carries it)"),
        ({"rule": None, "source": "a virtual environment", "line": 0}, "a virtual environment"),
    ],
)
def test_rules_are_named_with_their_place(rule, text):
    assert render.rule_text(rule) == text


def why(**more):
    quiet = {"ignored": False, "rule": None, "source": "", "line": 0, "at": "x"}
    return {
        "path": "x",
        "state": "same",
        "changed": None,
        "mode": "two-way-safe",
        "here": version(b"a"),
        "there": version(b"a"),
        "base": version(b"a"),
        "rules": {"here": quiet, "there": quiet},
        "sync": {"state": "live", "why": None},
        "next": [],
        "conflict": None,
        "problems": [],
        "unreadable": [],
        "history": [],
        **more,
    }


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (why(), "x: the same on both sides"),
        (why(state="absent", here=None, there=None, base=None), "never was"),
        (why(state="conflict", conflict="edit"), "both sides changed it; both versions stay until: afield resolve x"),
        (why(state="left", mode="push"), "the mode push leaves it so"),
        (why(state="unreadable", unreadable=["there"]), "cannot be read there"),
        (
            why(state="pending", changed="here", next=[{"side": "there", "action": "replace"}]),
            "changed here at 1970-01-01",
        ),
        (
            why(
                state="pending",
                changed="there",
                next=[{"side": "here", "action": "remove"}],
                there=None,
                sync={"state": "guard", "why": "30 of 31 files would go"},
            ),
            "with the next sync it is removed here (the sync waits: 30 of 31 files would go)",
        ),
        (
            why(
                state="ignored",
                rules={
                    "here": {"ignored": True, "rule": "d/", "source": ".gitignore", "line": 1, "at": "d"},
                    "there": {"ignored": False, "rule": None, "source": "", "line": 0, "at": "x"},
                },
            ),
            "left out of the sync by the rules here: d/ (line 1 of .gitignore), which matches d",
        ),
    ],
)
def test_a_reason_is_a_sentence(told, words, monkeypatch):
    monkeypatch.setattr(render, "moment", lambda seconds: "1970-01-01" if seconds == 0 else "?")
    assert words in render.why_text(told).splitlines()[0]


# ---- comparisons and trees


def row(path, how, kind="f"):
    here = {"kind": kind, "size": 5 if kind == "f" else None, "mtime": 0.0}
    sides = {"here": here if how != "only-there" else None, "there": here if how != "only-here" else None}
    return {"path": path, "how": how, "changed": None, **sides}


def test_a_folder_that_one_side_has_is_one_line_with_what_it_holds():
    rows = [row("d", "only-here", "d"), row("d/a", "only-here"), row("d/b", "only-here"), row("d-x", "content")]
    found = [(each["path"], count, total) for each, count, total in render.folded(rows)]
    assert found == [("d", 2, 10), ("d-x", 0, 0)]
    text = render.compare_text({"rows": rows, "same": 3})
    assert "with 2 entries, 10 B" in text
    assert text.endswith("4 paths differ, 3 files equal")
    assert render.compare_text({"rows": [], "same": 1}) == "no difference among 1 file"


PATHS = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join), unique=True)


@given(PATHS)
def test_folding_loses_no_row(names):
    rows = [row(name, "only-here" if len(name) < 4 else "content", "d" if len(name) < 2 else "f") for name in names]
    found = render.folded(rows)
    assert sum(1 + count for _, count, _ in found) == len(rows)


def test_a_tree_is_drawn_with_its_counts():
    entries = [
        {"name": "a", "kind": "d"},
        {"name": "a/x", "kind": "f"},
        {"name": "a/y\n\x1b", "kind": "f"},
        {"name": "b", "kind": "l", "target": "a/x"},
        {"name": ".h", "kind": "f"},
    ]
    assert render.tree_text("top", entries, hidden=False, only_folders=False).splitlines() == [
        "top",
        "├── a/",
        "│   ├── x",
        "│   └── y\\n\\x1b",
        "└── b -> a/x",
        "",
        "1 folder, 3 files",
    ]
    assert ".h" in render.tree_text("", entries, hidden=True, only_folders=False)
    assert render.tree_text("", entries, hidden=True, only_folders=True).splitlines() == [
        ".",
        "└── a/",
        "",
        "1 folder, 0 files",
    ]


# ---- paths


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = os.path.realpath(tmp_path / "p")
    os.makedirs(folder + "/sub")
    for name in ("top", "sub/inner", "sub/top"):
        with open(f"{folder}/{name}", "w"):
            pass
    os.symlink(folder + "/top", folder + "/link")
    monkeypatch.chdir(folder + "/sub")
    return folder


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("inner", "sub/inner"),
        ("top", "sub/top"),
        ("../top", "top"),
        ("../link", "link"),
        ("sub/inner", "sub/inner"),
        ("gone", "gone"),
        ("./gone", "sub/gone"),
        (".", "sub"),
        ("..", ""),
        ("sub", "sub"),
    ],
)
def test_paths_are_seen_from_the_working_folder_first(project, text, path):
    assert paths.project_path(text, project) == path


def test_absolute_paths_are_below_the_project_or_refused(project):
    assert paths.project_path(project + "/sub/inner", project) == "sub/inner"
    for text in ("/etc/passwd", "../../x", "/"):
        with pytest.raises(BadPath):
            paths.project_path(text, project)


def test_a_quoted_pattern_is_expanded_here_and_folders_come_whole(project):
    assert paths.here_matching("in*") == [project + "/sub/inner"]
    assert paths.here_matching("../s*") == [project + "/sub"]
    assert paths.here_matching("../**/inner") == [project + "/sub/inner"]
    with open("a[1]", "w"):
        pass
    assert paths.here_matching("a[1]") == [project + "/sub/a[1]"]
    for text in ("none", "none*"):
        with pytest.raises(NoSuchFile):
            paths.here_matching(text)
