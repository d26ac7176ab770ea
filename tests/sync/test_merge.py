"""Merging texts: what one side changed is taken, what both changed is marked, and no line is ever lost."""

import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afield.sync.merge import LARGEST, by_git, by_lines, is_text, merge

GIT = shutil.which("git")
LINE = st.sampled_from([b"a\n", b"b\n", b"c\n", b"\n", b"d\r\n", b"\xff\n"])
TEXT = st.lists(LINE, max_size=8).map(b"".join)
WAYS = [
    by_lines,
    pytest.param(
        lambda base, here, there: by_git(GIT, base, here, there), marks=pytest.mark.skipif(not GIT, reason="no git")
    ),
]
BASE = b"one\ntwo\nthree\nfour\nfive\n"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("here", "there", "text", "conflicts"),
    [
        (BASE.replace(b"one", b"ONE"), BASE.replace(b"five", b"FIVE"), b"ONE\ntwo\nthree\nfour\nFIVE\n", 0),
        (BASE + b"six\n", b"zero\n" + BASE, b"zero\n" + BASE + b"six\n", 0),
        (BASE.replace(b"two\n", b""), BASE.replace(b"five", b"FIVE"), b"one\nthree\nfour\nFIVE\n", 0),
        (BASE.replace(b"two", b"2"), BASE.replace(b"two", b"2"), b"one\n2\nthree\nfour\nfive\n", 0),
        (
            BASE.replace(b"two", b"2"),
            BASE.replace(b"two", b"zwei"),
            b"one\n<<<<<<< here\n2\n=======\nzwei\n>>>>>>> there\nthree\nfour\nfive\n",
            1,
        ),
        (
            BASE.replace(b"two\n", b""),
            BASE.replace(b"two", b"zwei"),
            b"one\n<<<<<<< here\n=======\nzwei\n>>>>>>> there\nthree\nfour\nfive\n",
            1,
        ),
    ],
)
def test_known_merges(way, here, there, text, conflicts):
    assert way(BASE, here, there) == (text, conflicts)


@pytest.mark.parametrize("way", WAYS)
def test_markers_stand_on_lines_of_their_own(way):
    found = way(b"x\n", b"x\nhere", b"x\nthere")
    assert found.conflicts == 1
    lines = found.text.splitlines()
    assert [line for line in lines if line[:7] in (b"<<<<<<<", b"=======", b">>>>>>>")] == [
        b"<<<<<<< here",
        b"=======",
        b">>>>>>> there",
    ]


@given(base=TEXT, other=TEXT)
def test_a_side_that_changed_nothing_takes_the_other(base, other):
    assert by_lines(base, base, other) == (other, 0)
    assert by_lines(base, other, base) == (other, 0)
    assert by_lines(base, other, other) == (other, 0)


@given(base=TEXT, here=TEXT, there=TEXT)
def test_every_new_line_is_in_the_result(base, here, there):
    found = by_lines(base, here, there)
    old = set(base.splitlines(keepends=True))
    for side in (here, there):
        for line in set(side.splitlines(keepends=True)) - old:
            assert line in found.text


@given(base=TEXT, here=TEXT, there=TEXT)
def test_the_sides_can_be_exchanged(base, here, there):
    one, other = by_lines(base, here, there), by_lines(base, there, here)
    assert one.conflicts == other.conflicts
    if not one.conflicts:
        assert one.text == other.text


@pytest.mark.skipif(not GIT, reason="no git")
@settings(max_examples=40, deadline=None)
@given(head=TEXT, middle=TEXT, tail=TEXT, new=TEXT, more=TEXT)
def test_both_ways_agree_on_changes_that_are_apart(head, middle, tail, new, more):
    wall = b"-- 1 --\n-- 2 --\n-- 3 --\n"
    base = head + wall + middle + wall + tail
    here = new + wall + middle + wall + tail
    there = head + wall + middle + wall + more
    expected = new + wall + middle + wall + more
    assert by_lines(base, here, there) == (expected, 0)
    assert by_git(GIT, base, here, there) == (expected, 0)


def test_without_a_usable_git_the_built_in_merge_does_it():
    assert by_git("/bin/false", b"a\n", b"b\n", b"a\n") is not None  # status 1 is a conflict by its contract
    assert by_git("/nonexistent/git", b"", b"", b"") is None
    assert merge(b"a\n", b"b\n", b"a\n", git="") == (b"b\n", 0)
    assert merge(b"a\n", b"b\n", b"a\n", git="/nonexistent/git") == (b"b\n", 0)


def test_binary_and_huge_contents_are_no_texts():
    assert is_text(b"")
    assert is_text("é\n".encode())
    assert not is_text(b"a\0b")
    assert not is_text(b"a" * (LARGEST + 1))


def test_long_texts_with_few_changes_merge_at_once():
    base = b"".join(b"line %d\n" % n for n in range(20_000))
    here = base.replace(b"line 10\n", b"here\n")
    there = base.replace(b"line 19990\n", b"there\n")
    assert by_lines(base, here, there) == (here.replace(b"line 19990\n", b"there\n"), 0)
