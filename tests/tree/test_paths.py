"""Paths: what may stand below a root, and what a careless file system takes for one."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import BadPath
from afield.tree import paths

parts = st.binary(min_size=1, max_size=6).filter(lambda part: part not in (b".", b"..") and not {0, 0x2F} & set(part))
good = st.lists(parts, min_size=1, max_size=5).map(b"/".join)


@given(good)
def test_any_bytes_but_slash_and_nul_make_a_name(path):
    assert paths.check(path) == path


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (b"", "empty"),
        (b"/a", "absolute"),
        (b"a/", "empty part"),
        (b"a//b", "empty part"),
        (b".", "empty part, . or .."),
        (b"a/./b", "empty part, . or .."),
        (b"../a", "empty part, . or .."),
        (b"a/..", "empty part, . or .."),
        (b"a\0b", "NUL"),
        (b"x" * 256, "255"),
        (b"a/" + b"x" * 256 + b"/b", "255"),
        (b"/".join([b"x" * 100] * 41), "4096"),
        ("a", "bytes"),
        (bytearray(b"a"), "bytes"),
        (None, "bytes"),
    ],
)
def test_what_cannot_stand_below_a_root_is_refused_with_the_reason(path, why):
    with pytest.raises(BadPath, match=why):
        paths.check(path)
    if path != b"":
        with pytest.raises(BadPath):
            paths.check_or_root(path)


def test_the_longest_names_are_taken():
    assert paths.check(b"x" * 255)
    assert paths.check(b"/".join([b"x" * 255] * 16))
    assert paths.check_or_root(b"") == b""


@given(st.binary(max_size=40))
def test_check_says_yes_or_bad_path_and_nothing_else(path):
    try:
        paths.check(path)
    except BadPath:
        return
    assert all(part not in (b"", b".", b"..") for part in path.split(b"/"))


@given(good)
def test_the_parts_put_together_again_are_the_path(path):
    assert paths.join(paths.parent(path), paths.name(path)) == path
    above = list(paths.parents(path))
    assert [paths.is_below(path, each) for each in above] == [True] * len(above)
    assert above == [path.rsplit(b"/", count)[0] for count in range(1, path.count(b"/") + 1)]
    assert paths.is_below(path, b"")
    assert not paths.is_below(path, path)


def test_a_name_that_only_starts_like_a_folder_is_not_below_it():
    assert not paths.is_below(b"ab/c", b"a")
    assert paths.is_below(b"a/b", b"a")
    assert paths.join(b"a", b"") == b"a"


@pytest.mark.parametrize(
    ("one", "other"),
    [("README", "readme"), ("Straße", "STRASSE"), ("é", unicodedata.normalize("NFD", "É")), ("ﬁ", "FI"), ("Σ", "ς")],
)
def test_names_that_a_careless_file_system_takes_for_one_have_one_key(one, other):
    assert paths.fold(one.encode()) == paths.fold(other.encode())


def test_names_that_differ_have_different_keys():
    assert len({paths.fold(name) for name in (b"a", b"b", b"\xff", b"\xfe", b"a\xff", "é".encode(), b"e")}) == 7


@given(
    st.one_of(
        good, st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1).map(str.encode)
    )
)
def test_a_key_is_its_own_key(path):
    assert paths.fold(paths.fold(path)) == paths.fold(path)
