"""When a changed path is due: pure, with a clock of numbers."""

from hypothesis import given
from hypothesis import strategies as st

from afield.files.pending import BURST, LONGEST, LONGEST_STEP, NEW_FILE, QUIET, REMOVED, STEP, Pending


def test_a_closed_file_is_due_at_once():
    pending = Pending()
    pending.written(b"a", 10.0)
    assert pending.take(10.0) == []
    pending.closed(b"a", 10.001)
    assert pending.take(10.001) == [b"a"]


def test_a_file_that_is_written_and_not_closed_is_due_after_quiet():
    pending = Pending()
    pending.written(b"a", 10.0)
    pending.written(b"a", 10.04)
    assert pending.take(10.0 + QUIET) == []
    assert pending.deadline() == 10.04 + QUIET
    assert pending.take(10.04 + QUIET) == [b"a"]


def test_a_file_that_is_written_all_the_time_is_reported_once_a_second():
    pending = Pending()
    now = 10.0
    while now < 10.0 + LONGEST:
        pending.written(b"log", now)
        assert pending.take(now) == []
        now += 0.02
    pending.written(b"log", now)
    assert pending.take(now) == [b"log"]


def test_a_new_file_waits_a_moment_for_its_rename():
    pending = Pending()
    pending.created(b"file.tmp", 10.0)
    pending.closed(b"file.tmp", 10.0)
    assert pending.take(10.0) == []
    pending.removed(b"file.tmp", 10.0)
    pending.came(b"file", 10.0)
    assert pending.take(10.0 + NEW_FILE) == [b"file"]


def test_a_removal_is_held_back_until_the_new_file_had_time_to_come():
    pending = Pending()
    pending.removed(b"file", 10.0)
    assert pending.take(10.0 + REMOVED / 2) == []
    pending.came(b"file", 10.0 + REMOVED / 2)
    assert pending.take(10.0 + REMOVED / 2) == [b"file"]
    assert not pending


def test_a_renamed_folder_is_due_at_once_under_both_names():
    pending = Pending()
    pending.removed(b"old", 10.0)
    pending.moved(b"old", b"new", 10.0, folder=True)
    assert pending.take(10.0) == [b"new", b"old"]


def test_a_renamed_file_is_due_under_both_names_when_a_removal_would_be():
    pending = Pending()
    pending.moved(b"old", b"new", 10.0, folder=False)
    assert pending.take(10.0) == []
    assert pending.take(10.0 + REMOVED) == [b"new", b"old"]


def test_a_file_that_was_made_just_now_is_saved_by_a_rename_and_due_at_once():
    pending = Pending()
    pending.created(b"tmp", 10.0)
    pending.moved(b"tmp", b"file", 10.001, folder=False)
    assert pending.take(10.001) == [b"file"]
    assert pending.take(10.001 + REMOVED) == [b"tmp"]


def test_a_touch_while_somebody_writes_says_nothing():
    pending = Pending()
    pending.written(b"a", 10.0)
    pending.touched(b"a", 10.0)
    assert pending.take(10.0 + NEW_FILE) == []
    pending.closed(b"a", 10.001)
    pending.take(10.001)
    pending.touched(b"a", 10.01)
    assert pending.take(10.01 + NEW_FILE) == [b"a"]


def test_everything_does_not_wait():
    pending = Pending()
    pending.removed(b"b", 10.0)
    pending.created(b"a", 10.0)
    assert pending.take(10.0, everything=True) == [b"a", b"b"]
    assert pending.deadline() == float("inf")


def test_a_burst_goes_out_at_once_at_first_and_then_one_record_a_step():
    pending = Pending()
    taken = []
    for place in range(200):
        now = 10.0 + place * 0.0001
        pending.came(b"%d" % place, now)
        if pending.take(now):
            taken.append(now)
    assert taken[:BURST] == [10.0 + place * 0.0001 for place in range(BURST)]
    assert len(taken) <= BURST + 1 + (200 * 0.0001) / STEP
    last = pending.deadline()
    assert 10.0 < last <= 10.02 + LONGEST_STEP
    assert pending.take(last + 1e-9)
    assert not pending


moves = st.lists(
    st.tuples(
        st.sampled_from(["created", "written", "closed", "touched", "came", "removed"]),
        st.sampled_from([b"a", b"b", b"c"]),
        st.floats(0.0, 0.1),
    )
)


@given(moves)
def test_every_path_with_an_event_is_given_out_at_last(events):
    pending = Pending()
    now, owed = 10.0, set()
    for name, path, pause in events:
        now += pause
        getattr(pending, name)(path, now)
        owed.add(path)
        owed -= set(pending.take(now))
        assert owed == set(pending.due)
    rounds = 0
    while pending:
        now = max(now, pending.deadline()) + 1e-6
        owed -= set(pending.take(now))
        rounds += 1
        assert rounds < 20
    assert not owed
