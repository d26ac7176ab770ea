"""Patterns for names there mean what they mean in a shell; pathlib and fnmatch are the judges where they apply."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.daemon import globs


@pytest.mark.parametrize(
    ("path", "folder", "parts"),
    [
        (b"/a/b/*.csv", b"/a/b", [b"*.csv"]),
        (b"/a/*/x", b"/a", [b"*", b"x"]),
        (b"/*", b"/", [b"*"]),
        (b"/a/**/x?", b"/a", [b"**", b"x?"]),
    ],
)
def test_the_fixed_folder_ends_at_the_first_pattern(path, folder, parts):
    assert globs.split(path) == (folder, parts)


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        (b"a.csv", b"*.csv", True),
        (b"d/a.csv", b"*.csv", False),
        (b"d/a.csv", b"*/*.csv", True),
        (b"a.csv", b"**/*.csv", True),
        (b"d/e/a.csv", b"**/*.csv", True),
        (b"d/.e/a.csv", b"**/*.csv", False),
        (b".hidden", b"*", False),
        (b".hidden", b".*", True),
        (b"d/e", b"**", True),
        (b"run7", b"run[0-9]", True),
        (b"runx", b"run[!0-9]", True),
        (b"d/e/f", b"d/**/f", True),
        (b"d/f", b"d/**/f", True),
        (b"A", b"a", False),
    ],
)
def test_known_matches(name, pattern, expected):
    assert globs.matches(name, pattern.split(b"/")) is expected


NAMES = st.text("ab.", min_size=1, max_size=3).map(str.encode)


@given(NAMES, st.text("ab*?.", min_size=1, max_size=3).map(str.encode))
def test_one_part_is_fnmatch_but_for_leading_dots(name, pattern):
    expected = fnmatch.fnmatchcase(name, pattern) and (name[:1] != b"." or pattern[:1] == b".")
    if pattern != b"**":
        assert globs.matches(name, [pattern]) == expected


@given(st.lists(st.lists(NAMES, min_size=1, max_size=3).map(b"/".join), unique=True))
def test_of_names_below_each_other_the_topmost_are_left_and_cover_all(names):
    tops = globs.topmost(names)
    for name in names:
        assert sum(name == top or name.startswith(top + b"/") for top in tops) == 1
