"""The guard: accidents are refused with what is strange and what to do, daily work is not."""

import pytest

from afield.tree.guard import FINE, check_plan

SIDES = {"target": "there", "source": "here"}


@pytest.mark.parametrize(("removed", "held"), [(0, 0), (0, 1000), (1, 1), (20, 20), (21, 100), (500, 1000), (20, 21)])
def test_daily_removals_are_fine(removed, held):
    assert check_plan(removed=removed, held=held, **SIDES) == FINE


@pytest.mark.parametrize(("removed", "held"), [(21, 41), (21, 21), (501, 1000)])
def test_more_than_half_of_many_files_is_refused(removed, held):
    verdict = check_plan(removed=removed, held=held, **SIDES)
    assert not verdict.ok
    assert verdict.code == "many-removals"
    assert f"{removed} of {held} files would be removed there" in verdict.text
    assert check_plan(removed=removed, held=held, allowed=["many-removals"], **SIDES).ok


def test_an_empty_root_is_refused_even_when_it_held_little():
    verdict = check_plan(removed=3, held=3, source_empty=True, **SIDES)
    assert (verdict.ok, verdict.code) == (False, "root-empty")
    assert "mounted" in verdict.hint
    assert "afield sync --yes" in verdict.hint
    assert check_plan(removed=3, held=3, source_empty=True, allowed={"root-empty"}, **SIDES).ok
    # Removing the only file there is leaves an empty folder, too.
    assert check_plan(removed=1, held=1, source_empty=True, **SIDES).ok


def test_allowing_one_accident_does_not_allow_another():
    verdict = check_plan(removed=100, held=100, source_empty=True, allowed={"many-removals"}, **SIDES)
    assert verdict.code == "root-empty"
    verdict = check_plan(removed=100, held=100, source_empty=True, allowed={"root-empty"}, **SIDES)
    assert verdict.code == "many-removals"
