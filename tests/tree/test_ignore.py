"""Ignore rules beyond git's own: levels, the built-in list, explanations, odd names, hostile patterns."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.tree import noise, patterns
from afield.tree.ignore import Ignore


def rules(**files):
    ignore = Ignore()
    for source, text in files.items():
        folder, _, name = source.replace("__", "/").rpartition("/")
        path = {"git": ".gitignore", "own": ".afieldignore", "settings": "afield.toml"}[name]
        ignore.add_rules(folder.encode(), text, folder + "/" + path if folder else path)
    return ignore


def is_out(ignore, path, is_dir=False):
    return ignore.decide(path, is_dir).ignored


@pytest.mark.parametrize(
    ("path", "is_dir"),
    [
        (b"__pycache__", True),
        (b"src/pkg/__pycache__", True),
        (b"src/pkg/module.pyc", False),
        (b"module.pyo", False),
        (b".venv", True),
        (b"venv", True),
        (b"src/pkg.egg-info", True),
        (b"web/node_modules", True),
        (b".ipynb_checkpoints", True),
        (b".main.py.swp", False),
        (b".main.py.swo", False),
        (b"notes.swp", False),
        (b".#main.py", False),
        (b"data/.DS_Store", False),
        (b".nfs00000001", False),
        (b".git", True),
        (b"module/.git", False),
        (b".afield", True),
    ],
)
def test_noise_is_left_out_with_a_reason(path, is_dir):
    decision = Ignore().decide(path, is_dir)
    assert decision.ignored
    assert decision.source.startswith("built-in: ")


@pytest.mark.parametrize(
    ("path", "is_dir"),
    [
        (b"main.py", False),
        (b"src/venv", True),
        (b"__pycache__", False),
        (b"extension.pyd", False),
        (b"data.swap", False),
        (b"build", True),
        (b".gitignore", False),
        (b".github", True),
        (b".env", False),
        (b"4913", False),
        (b"egg-info", True),
    ],
)
def test_what_a_person_may_have_written_is_not_noise(path, is_dir):
    assert not is_out(Ignore(), path, is_dir)


def test_every_built_in_rule_has_a_reason_and_can_be_read():
    for text, reason in (*noise.BUILT_IN, *noise.LOCKED):
        assert reason
        assert patterns.parse(text) is not None


def test_later_levels_win_over_earlier_ones():
    assert not is_out(rules(git=b"!*.pyc\n"), b"a.pyc")
    assert is_out(rules(git=b"!*.log\n", own=b"*.log\n"), b"a.log")
    assert not is_out(rules(git=b"*.log\n", own=b"!*.log\n"), b"a.log")
    assert is_out(rules(git=b"!x\n", own=b"!x\n", settings=b"x\n"), b"x")
    # The outer .afieldignore comes after the inner .gitignore.
    assert not is_out(rules(a__git=b"*.log\n", own=b"!*.log\n"), b"a/b.log")


def test_inner_files_win_over_outer_ones_of_the_same_name():
    ignore = rules(git=b"*.log\n", a__git=b"!*.log\n", a__b__git=b"keep.log\n")
    assert is_out(ignore, b"x.log")
    assert not is_out(ignore, b"a/x.log")
    assert is_out(ignore, b"a/b/keep.log")
    assert is_out(ignore, b"b/x.log")


def test_nothing_below_a_folder_that_is_out_comes_back():
    decision = rules(git=b"build/\n!build/keep\n").decide(b"build/keep", False)
    assert decision.ignored
    assert (decision.rule, decision.at, decision.line) == (b"build/", b"build", 1)


def test_nothing_takes_back_what_is_locked():
    ignore = rules(git=b"!.git\n!.afield/\n", own=b"!.git\n", settings=b"!.git\n!.afield\n")
    assert is_out(ignore, b".git", True)
    assert is_out(ignore, b"sub/.afield", True)
    bare = Ignore(built_in=False)
    assert is_out(bare, b".git", True)
    assert not is_out(bare, b"__pycache__", True)


def test_a_decision_names_rule_source_line_and_place():
    ignore = rules(git=b"# logs\n\n*.log\n!keep.log\n", a__git=b"/x/*.txt\n")
    assert ignore.decide(b"d/a.log", False) == (True, b"*.log", ".gitignore", 3, b"d/a.log")
    assert ignore.decide(b"keep.log", False) == (False, b"!keep.log", ".gitignore", 4, b"keep.log")
    assert ignore.decide(b"a/x/t.txt", False) == (True, b"/x/*.txt", "a/.gitignore", 1, b"a/x/t.txt")
    assert ignore.decide(b"other", False) == (False, None, None, 0, b"other")


def test_the_view_of_a_folder_agrees_with_the_decision():
    ignore = rules(git=b"*.log\n/src/gen*\n!src/general\nsrc/one\nd*/\n", src__git=b"x?\n")
    for name in (b"a.log", b"gen1", b"general", b"one", b"xy", b"plain", b"docs"):
        for is_dir in (False, True):
            assert ignore.folder(b"src").ignored(name, is_dir) == is_out(ignore, b"src/" + name, is_dir)


def test_rules_that_come_after_the_first_question_count():
    ignore = Ignore()
    assert not is_out(ignore, b"a/b/x.log")
    ignore.add_rules(b"a", b"*.log", "a/.gitignore")
    assert is_out(ignore, b"a/b/x.log")
    assert not is_out(ignore, b"x.log")
    ignore.add_rules(b"", b"x.log", "settings")
    assert is_out(ignore, b"x.log")


def test_a_level_can_be_given_in_words():
    ignore = Ignore()
    ignore.add_rules(b"", b"x", "my settings", level="git")
    ignore.add_rules(b"", b"!x", ".afieldignore")
    assert not is_out(ignore, b"x")


def test_a_path_of_two_thousand_folders_is_decided():
    assert is_out(rules(git=b"*.log\n"), b"a/" * 2000 + b"x.log")


@given(st.binary(min_size=1, max_size=30).filter(lambda name: not {0, 0x2F} & set(name)))
def test_any_name_can_be_left_out_by_writing_it_with_backslashes(name):
    text = b"".join(b"\\" + bytes([byte]) for byte in name)
    # A newline ends the line and a carriage return before it goes with it: git has no way to write these either.
    if b"\n" in name or name.endswith(b"\r"):
        return
    ignore = Ignore(built_in=False)
    ignore.add_rules(b"", text, ".gitignore")
    assert is_out(ignore, name)
    assert is_out(ignore, b"d/" + name)
    assert is_out(ignore, name + b"x") == (name + b"x" in (b".git", b".afield"))


@given(
    st.lists(st.binary(max_size=20), max_size=6),
    st.lists(st.sampled_from([b"a", b"b\n", b"\xff", b"[", b"*"]), min_size=1, max_size=3),
)
def test_no_text_makes_it_fail(lines, parts):
    ignore = Ignore()
    ignore.add_rules(b"", b"\n".join(lines), ".gitignore")
    assert isinstance(is_out(ignore, b"/".join(parts)), bool)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        (b"*a" * 40 + b"b", b"a" * 255),
        (b"/" + b"*a" * 40 + b"b", b"a" * 255),
        (b"**/a/" * 30 + b"b", b"a/" * 1000 + b"c"),
        (b"**/*a*/" * 20 + b"b", b"aa/" * 1000 + b"c"),
        (b"/x" + b"/**/[ab]*" * 20, b"x/" + b"ab/" * 1000 + b"c"),
        (b"*?" * 40 + b"[!a]", b"a" * 255),
    ],
)
def test_no_pattern_takes_long_on_any_path(pattern, path):
    folder, _, name = path.rpartition(b"/")
    ignore = Ignore(built_in=False)
    ignore.add_rules(b"", pattern, ".gitignore")
    view = ignore.folder(folder)
    before = time.process_time()
    assert not view.ignored(name, False)
    # Trying all ways would take longer than the age of the world; git itself gives up early in some of these.
    assert time.process_time() - before < 2
