"""The state: numbered changes, copies, and a whole that fits the changes."""

from hypothesis import given
from hypothesis import strategies as st

from afield.daemon.state import KEPT, SECTIONS, State

STEPS = st.lists(
    st.tuples(st.sampled_from(SECTIONS[1:]), st.sampled_from("abc"), st.none() | st.integers(0, 2)), max_size=40
)


@given(STEPS)
def test_the_changes_replayed_give_the_snapshot(steps):
    state, heard = State(), []
    state.subscribe(heard.append)
    for section, key, value in steps:
        if value is None:
            state.drop(section, key)
        else:
            state.put(section, key, {"x": value})
    replayed = {section: {} for section in SECTIONS[1:]}
    for change in heard:
        if change["value"] is None:
            del replayed[change["section"]][change["key"]]
        else:
            replayed[change["section"]][change["key"]] = change["value"]
    whole = state.snapshot()
    assert {section: whole[section] for section in SECTIONS[1:]} == replayed
    assert [change["n"] for change in heard] == list(range(1, len(heard) + 1))
    assert whole["n"] == len(heard)
    assert state.changes_after(0) == heard


def test_the_same_value_again_is_no_change():
    state = State()
    state.put("runs", "a", {"x": 1})
    state.put("runs", "a", {"x": 1})
    state.drop("runs", "b")
    assert state.number == 1


def test_readers_cannot_change_the_state():
    state = State()
    state.put("places", "a", {"x": [1]})
    state.snapshot()["places"]["a"]["x"].append(2)
    state.get("places", "a")["x"].append(3)
    assert state.get("places", "a") == {"x": [1]}


def test_changes_that_are_no_longer_kept_are_told_apart():
    state = State()
    for number in range(KEPT + 5):
        state.put("runs", "a", {"x": number})
    assert state.changes_after(2) is None
    assert len(state.changes_after(5)) == KEPT
    assert state.changes_after(state.number + 1) is None
    assert state.changes_after(state.number) == []


def test_one_project_sees_its_own_and_its_place():
    state = State()
    state.put("projects", "/a#m", {"project": "/a", "place_key": "p"})
    state.put("projects", "/b#m", {"project": "/b", "place_key": "q"})
    state.put("places", "p", {"state": "idle"})
    state.put("places", "q", {"state": "idle"})
    state.put("runs", "1", {"project": "/b"})
    whole = state.snapshot("/a")
    assert list(whole["projects"]) == ["/a#m"]
    assert list(whole["places"]) == ["p"]
    assert whole["runs"] == {}
