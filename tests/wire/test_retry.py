"""When to try again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.wire.retry import Retry


def test_pauses_grow_to_the_limit_and_start_anew():
    retry = Retry(1, 2, 5, 0)
    assert [retry.next(0.5) for _ in range(5)] == [1, 2, 4, 5, 5]
    assert retry.count == 5
    retry.reset()
    assert (retry.count, retry.next(0)) == (0, 1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_chance_only_shortens_and_by_its_share_at_most(chances):
    plain, shaken = Retry(0.2, 1.5, 15, 0), Retry(0.2, 1.5, 15, 0.3)
    for chance in chances:
        full = plain.next(chance)
        assert full * 0.7 - 1e-9 <= shaken.next(chance) <= full <= 15


@pytest.mark.parametrize("bad", [(0, 2, 5, 0), (6, 2, 5, 0), (1, 0.5, 5, 0), (1, 2, 5, 1.5)])
def test_settings_that_make_no_sense_are_refused(bad):
    with pytest.raises(ValueError, match="first"):
        Retry(*bad)
