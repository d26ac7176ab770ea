"""What a side cannot hold: names that are one name there never meet, whatever comes and goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.sync.limits import key_of, normal, possible
from afield.tree.entries import FOLDER, Node
from afield.tree.paths import fold
from afield.tree.reconcile import Change

FILE = Node("f", False, b"x" * 32)
FOLDS = {"case_sensitive": False, "unicode_exact": False}
NORMALISES = {"case_sensitive": True, "unicode_exact": False}
names = st.sampled_from([b"a", b"A", b"b", "é".encode(), "e\u0301".encode(), "É".encode(), b"caf\xe9"])
some = st.lists(names, min_size=1, max_size=2).map(b"/".join)


def test_a_file_system_that_tells_all_names_apart_holds_all():
    changes = [Change(b"a", None, FILE), Change(b"A", None, FILE)]
    assert possible(changes, {}, {}) == (changes, [])
    assert key_of({"case_sensitive": True, "unicode_exact": True}) is None
    assert key_of(FOLDS) is fold


@pytest.mark.parametrize(("one", "other", "same"), [("é", "e\u0301", True), ("É", "é", False), ("a", "A", False)])
def test_the_form_of_a_letter_is_no_difference_where_it_is_normalised(one, other, same):
    changes = [Change(one.encode(), None, FILE), Change(other.encode(), None, FILE)]
    good, refused = possible(changes, NORMALISES, {})
    assert len(refused) == same
    assert len(good) == 2 - same
    assert (normal(one.encode()) == normal(other.encode())) == same


def test_a_name_waits_until_the_other_one_is_gone():
    changes = [Change(b"a", FILE, None), Change(b"A", None, FILE)]
    good, refused = possible(changes, FOLDS, {b"a": FILE})
    assert good == changes[:1]
    assert [item.path for item in refused] == [b"A"]
    assert possible(changes[1:], FOLDS, {}) == (changes[1:], [])


@given(st.sets(some, max_size=4), st.sets(some, max_size=6), st.sampled_from([FOLDS, NORMALISES]))
def test_what_may_be_done_never_makes_two_of_one_name(there, coming, probe):
    key = key_of(probe)
    there = {key(path): path for path in there}.values()
    tree = dict.fromkeys(there, FILE)
    changes = [Change(path, tree.get(path), FOLDER if b"/" not in path else FILE) for path in sorted(coming)]
    good, refused = possible(changes, probe, tree)
    assert {change.path for change in good} | {item.path for item in refused} == coming
    after = set(tree) | {change.path for change in good}
    assert len({key(path) for path in after}) == len(after)
    assert all(item.code == "case-clash" for item in refused)
