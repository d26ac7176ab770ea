"""The tally of removals: adds up within its window, and what is made again does not count."""

from hypothesis import given
from hypothesis import strategies as st

from afield.sync.guarding import WINDOW, Tally

steps = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.floats(0, WINDOW)), max_size=20)


def test_only_the_last_seconds_count():
    tally = Tally()
    tally.add(10, 0, 0.0)
    tally.add(5, 0, WINDOW / 2)
    assert tally.count(WINDOW / 2) == 15
    assert tally.count(WINDOW + 0.1) == 5
    tally.clear()
    assert tally.count(WINDOW + 0.1) == 0


def test_switching_to_and_fro_removes_nothing():
    tally = Tally()
    for _ in range(10):
        tally.add(40, 0, 1.0)
        tally.add(0, 40, 1.0)
    assert tally.count(1.0) == 0


def test_what_was_made_before_does_not_excuse_a_removal():
    tally = Tally()
    tally.add(0, 1000, 1.0)
    tally.add(30, 0, 1.0)
    assert tally.count(1.0) == 30


@given(steps)
def test_it_is_never_less_than_the_net_of_any_tail_nor_more_than_what_was_removed(steps):
    tally = Tally()
    for removed, made, _ in steps:
        tally.add(removed, made, 0.0)
    tails = [sum(r - m for r, m, _ in steps[start:]) for start in range(len(steps) + 1)]
    assert max(tails) <= tally.count(0.0) <= sum(r for r, _, _ in steps)
