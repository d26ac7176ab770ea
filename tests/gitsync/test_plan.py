"""What becomes of branches, tags and HEAD, with values alone; and what a look prints is read with care."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import AfieldError, GitRefused, ProtocolError
from afield.gitsync.look import Repository, check_ref, parse
from afield.gitsync.plan import Agreed, Planner, Step, position, settled

# A history as numbers: n comes after n // 2, so 1 is the root, 2 and 3 are its children.
NAMES = ("main", "dev", "x")


def is_ancestor(old, new):
    number = int(new)
    while number > int(old):
        number //= 2
    return number == int(old)


def repository(heads, head=None, at=None, **more):
    at = heads.get((head or "").removeprefix("refs/heads/"), at)
    return Repository(True, head=head, at=at, heads=heads, known=frozenset(heads.values()), **more)


def decide(here, there, agreed=None, **more):
    return Planner(here, there, agreed or Agreed(), is_ancestor=is_ancestor, **more).decide()


SIDE = st.builds(
    lambda heads, head, elsewhere: repository(
        {name: str(number) for name, number in heads.items()},
        head=f"refs/heads/{head}",
        elsewhere=frozenset(elsewhere) - {head},
    ),
    st.dictionaries(st.sampled_from(NAMES), st.integers(1, 15)),
    st.sampled_from(NAMES),
    st.sets(st.sampled_from(NAMES)),
)
AGREED = st.builds(
    lambda heads, head: Agreed({name: str(number) for name, number in heads.items()}, {}, f"refs/heads/{head}"),
    st.dictionaries(st.sampled_from(NAMES), st.integers(1, 15)),
    st.sampled_from(NAMES),
)


def after(sides, plan):
    """The branches when all steps were taken."""
    found = {side: dict(repository.heads) for side, repository in sides.items()}
    for step in plan.steps:
        name = step.ref.removeprefix("refs/heads/")
        if step.kind != "head":
            assert found[step.side].get(name) == step.old
            found[step.side][name] = step.new
    return found


@given(SIDE, SIDE, AGREED)
def test_a_branch_only_goes_forward_and_nothing_is_deleted(here, there, agreed):
    sides = {"here": here, "there": there}
    plan = decide(here, there, agreed)
    found = after(sides, plan)
    for side, before in sides.items():
        for name, old in before.heads.items():
            assert is_ancestor(old, found[side][name])
        for step in plan.steps:
            if step.side == side and step.kind != "head":
                assert step.ref.removeprefix("refs/heads/") not in before.elsewhere
                assert (step.kind == "checkout") == (step.ref == before.head)


@given(SIDE, SIDE, AGREED)
def test_what_is_not_equal_afterwards_was_told(here, there, agreed):
    plan = decide(here, there, agreed)
    found = after({"here": here, "there": there}, plan)
    told = " ".join(plan.notes) + " " + " ".join(f"branch {name} " for name in plan.apart)
    for name in found["here"].keys() | found["there"].keys():
        if found["here"].get(name) != found["there"].get(name):
            assert f"branch {name} " in told


@given(SIDE, SIDE, AGREED)
def test_files_that_may_differ_keep_the_checked_out_branch_and_head(here, there, agreed):
    plan = decide(here, there, agreed, unequal={"here": "no", "there": "no"})
    assert all(step.kind == "ref" for step in plan.steps)


def test_head_follows_the_side_that_moved():
    here = repository({"main": "1", "dev": "2"}, head="refs/heads/dev")
    there = repository({"main": "1"}, head="refs/heads/main")
    agreed = Agreed({"main": "1"}, {}, "refs/heads/main")
    assert decide(here, there, agreed).steps == [
        Step("there", "ref", "refs/heads/dev", None, "2"),
        Step("there", "head", "refs/heads/dev", "1", "2"),
    ]
    assert decide(there, here, agreed).steps[-1].side == "here"


def test_two_heads_that_both_moved_are_left_alone():
    here = repository({"main": "1", "dev": "1", "x": "1"}, head="refs/heads/dev")
    there = repository({"main": "1", "dev": "1", "x": "1"}, head="refs/heads/x")
    plan = decide(here, there, Agreed({}, {}, "refs/heads/main"))
    assert plan.steps == []
    assert plan.notes == ["HEAD is at dev here and at x there: left alone"]


def test_what_both_agree_on_is_remembered_and_what_one_deleted_as_well():
    here, there = repository({"main": "1", "a": "2"}), repository({"main": "1"})
    assert settled(here, there, Agreed({"a": "2", "gone": "1"}, {}, None)).heads == {"main": "1", "a": "2"}
    assert position(repository({}, head="refs/heads/main")) == "refs/heads/main"


OID = "a" * 40
GOOD = f"state repository\nshallow false\nformat sha1\nhead refs/heads/main\nat {OID}\nown /p\nref {OID} refs/heads/main\nend"


def test_a_look_is_read():
    found = parse(GOOD, "there")
    assert (found.head, found.at, found.heads) == ("refs/heads/main", OID, {"main": OID})


@given(st.text(max_size=300), st.integers(0, len(GOOD)))
def test_any_answer_is_a_value_or_an_error_of_ours(text, cut):
    for answer in (text, GOOD[:cut] + text + GOOD[cut:]):
        try:
            found = parse(answer, "there")
        except AfieldError:
            continue
        for ref in (*found.heads, *found.tags):
            check_ref("refs/heads/" + ref)


@pytest.mark.parametrize(
    "name", ["heads/x", "refs/heads/-x", "refs/../x", "refs/heads/a b", "refs/heads/x.lock", "refs/a\n"]
)
def test_a_hostile_name_is_refused(name):
    with pytest.raises(ProtocolError):
        check_ref(name)


def test_gits_own_words_are_passed_on():
    with pytest.raises(GitRefused, match="dubious ownership"):
        parse("state none\nwhy fatal: detected dubious ownership in repository at '/p'", "there")
