"""The walk through the states, as values."""

import pytest

from afield import errors
from afield.link import state
from afield.link.heart import PATIENCE, PATIENCE_AFTER_STEP, QUIET, TICK, Heart

ERROR = errors.LinkLost("x")
SAMPLES = {
    state.Idle: state.Idle(),
    state.Dialing: state.Dialing(0.0),
    state.Connected: state.Connected(0.0),
    state.Waiting: state.Waiting(ERROR, 1.0),
    state.Failed: state.Failed(ERROR),
}
EVENTS = ("dial", "up", "lost", "fail", "close")


def test_every_state_is_in_the_table_and_can_be_closed():
    assert set(state.TABLE) == set(SAMPLES)
    assert all(row["close"] is state.Idle for row in state.TABLE.values())


@pytest.mark.parametrize("old", SAMPLES.values(), ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("new", SAMPLES.values(), ids=lambda value: type(value).__name__)
def test_only_what_the_table_says_may_follow(old, event, new):
    if state.TABLE[type(old)].get(event) is type(new):
        assert state.check(old, event, new) is new
    else:
        with pytest.raises(errors.InternalError):
            state.check(old, event, new)


def test_a_link_is_only_up_after_a_dial():
    assert [old for old, row in state.TABLE.items() if "up" in row] == [state.Dialing]


@pytest.mark.parametrize(
    "kind",
    [errors.PermissionDenied, errors.HostKeyChanged, errors.HostKeyUnknown, errors.BadTransport, errors.ProtocolError],
)
def test_a_lasting_cause_ends_the_dials(kind):
    assert state.event_after_failure(kind("x"), first=False) == "fail"


@pytest.mark.parametrize(
    "kind", [errors.Unreachable, errors.UnknownHost, errors.LinkTimeout, errors.LinkLost, errors.AgentBroken]
)
def test_a_passing_cause_is_tried_again_but_not_the_first_time(kind):
    assert state.event_after_failure(kind("x"), first=False) == "lost"
    assert state.event_after_failure(kind("x"), first=True) == "fail"


def ticks(heart, start, count):
    return [heart.tick(start + TICK * n, start + TICK * n) for n in range(1, count + 1)]


def test_a_link_that_speaks_is_left_alone():
    heart = Heart(now=0, clock=0)
    for n in range(1, 20):
        heart.heard(n * TICK)
        assert heart.tick(n * TICK, n * TICK) == "ok"


def test_a_quiet_link_is_asked_once_and_then_given_up():
    verdicts = ticks(Heart(now=0, clock=0), 0, 8)
    assert verdicts.count("ping") == 1
    assert verdicts.index("ping") == int(QUIET / TICK) - 1
    assert verdicts.index("lost") - verdicts.index("ping") == int(PATIENCE / TICK)


def test_an_answer_takes_the_doubt_away():
    heart = Heart(now=0, clock=0)
    assert ticks(heart, 0, 2)[-1] == "ping"
    heart.heard(6)
    assert heart.tick(7.5, 7.5) == "ok"


def test_a_laptop_that_slept_asks_at_once_and_waits_less():
    heart = Heart(now=0, clock=0)
    assert heart.tick(TICK, TICK) == "ok"
    assert heart.tick(2 * TICK, 3600) == "ping"
    assert heart.stepped
    assert heart.tick(3 * TICK, 3600 + TICK) == "ok"
    assert not heart.stepped
    assert heart.tick(2 * TICK + PATIENCE_AFTER_STEP, 3600 + PATIENCE_AFTER_STEP) == "lost"


def test_a_stopped_process_does_not_take_its_own_pause_for_silence():
    heart = Heart(now=0, clock=0)
    assert heart.tick(TICK, TICK) == "ok"
    assert heart.tick(60, 60) == "ping"
    heart.heard(60.1)
    assert heart.tick(62.5, 62.5) == "ok"
