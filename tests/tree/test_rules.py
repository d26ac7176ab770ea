"""Modes by path: which list holds, and what each mode may never do in a tree that mixes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import UsageError
from afield.tree import paths as P
from afield.tree.entries import FOLDER, Node, same
from afield.tree.modes import MODES
from afield.tree.reconcile import reconcile
from afield.tree.rules import ModeRules

A, B, C = (bytes([letter]) * 32 for letter in b"ABC")


def rules(mode="two-way-safe", **lists):
    return ModeRules(mode, {name.replace("_", "-"): patterns for name, patterns in lists.items()})


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        (b"runs/1/log", "pull"),
        (b"runs", "two-way-safe"),
        (b"runs/config/a.toml", "push"),
        (b"src/a.py", "push"),
        (b"src/deep/b.ipynb", "push"),
        (b"notes/src/a", "two-way-safe"),
        (b"x.log", "pull"),
        (b"src/x.log", "pull"),
        (b"keep.log", "two-way-safe"),
        (b"logs.d/sub/file", "pull"),
    ],
)
def test_the_first_list_that_holds_decides(path, mode):
    made = rules(pull=["runs/**", "!runs/config/**", "*.log", "!/keep.log", "logs.d/"], push=["/src/", "runs/config/"])
    assert made(path) == mode
    assert made.explain(path)[0] == mode


def test_it_says_which_pattern_decides():
    made = rules(mode="push", pull=["runs/**"], two_way=["*.ipynb"])
    assert made.explain(b"runs/1/log") == ("pull", b"runs/**", "sync.pull")
    assert made.explain(b"a/b.ipynb") == ("two-way-safe", b"*.ipynb", "sync.two-way")
    assert made.explain(b"a.py") == ("push", None, "")
    assert bool(made)
    assert not rules(mode="push")


def test_an_unknown_mode_is_refused():
    with pytest.raises(UsageError, match="sideways"):
        rules(mode="sideways")


def test_a_very_deep_path_has_a_mode():
    made = rules(pull=["a/"])
    assert made(b"/".join([b"a"] * 2000)) == "pull"
    assert made(b"/".join([b"b"] * 2000)) == "two-way-safe"


words = st.sampled_from([b"a", b"b", b"c", b"runs"])
any_path = st.lists(words, min_size=1, max_size=4).map(b"/".join)
patterns = st.lists(
    st.sampled_from(["a", "a/", "/a/**", "b/**", "!a/b", "!b/**", "runs/**", "*", "**/c", "!/a/b/c", "c/"]), max_size=4
)


@given(any_path, patterns, patterns)
def test_remembered_folders_say_the_same_as_fresh_rules(path, first, second):
    made = rules(pull=first, push=second)
    for above in P.parents(path):
        made(above)
    assert made(path) == rules(pull=first, push=second)(path) == made.explain(path)[0]


@given(any_path, patterns)
def test_what_holds_for_a_folder_holds_below_it_unless_taken_back(path, lines):
    kept = [line for line in lines if not line.startswith("!")]
    made = rules(pull=kept)
    if any(made(above) == "pull" for above in P.parents(path)):
        assert made(path) == "pull"


# -- what a mode may never do, in trees that mix them -----------------------------------------------------------------

leaves = st.one_of(
    st.builds(Node, st.just("f"), st.booleans(), st.sampled_from([A, B, C])),
    st.builds(Node, st.just("l"), st.just(False), st.sampled_from([b"x", b"y"])),
)
edits = st.lists(st.tuples(any_path, st.one_of(st.none(), st.just(FOLDER), leaves, leaves)), max_size=6)


def edited(tree, changes):
    tree = dict(tree)
    for path, node in changes:
        for gone in [each for each in tree if each == path or P.is_below(each, path)]:
            if node != FOLDER or tree[path] != FOLDER:
                del tree[gone]
        if node is None:
            continue
        for above in P.parents(path):
            if tree.get(above, FOLDER) != FOLDER:
                del tree[above]
            tree[above] = FOLDER
        tree[path] = node
    return tree


@st.composite
def trees(draw):
    base = edited({}, draw(edits))
    return base, edited(base, draw(edits)), edited(base, draw(edits))


mixed = st.builds(
    lambda mode, pull, push, two_way: rules(mode=mode, pull=pull, push=push, two_way=two_way),
    st.sampled_from(list(MODES)),
    patterns,
    patterns,
    patterns,
)


@given(trees(), mixed)
def test_what_is_pulled_never_changes_there_and_what_is_pushed_never_here(three, mode):
    outcome = reconcile(*three, mode)
    for path, old, new in outcome.to_there:
        # A folder may have to be made for something else in it.
        assert mode(path) != "pull" or (old is None and new == FOLDER), path
    for path, old, new in outcome.to_here:
        assert not mode(path).startswith("push") or (old is None and new == FOLDER), path


@given(trees(), mixed)
def test_push_and_pull_remove_only_what_was_agreed_on(three, mode):
    base, here, there = three
    outcome = reconcile(base, here, there, mode)
    for changes, name in ((outcome.to_there, "push"), (outcome.to_here, "pull")):
        for path, old, new in changes:
            if mode(path) == name and new is None:
                assert same(base.get(path), old), path


@given(trees(), mixed)
def test_two_way_safe_replaces_only_what_was_agreed_on(three, mode):
    base, here, there = three
    outcome = reconcile(base, here, there, mode)
    for changes in (outcome.to_here, outcome.to_there):
        for path, old, new in changes:
            if mode(path) != "two-way-safe" or old is None:
                continue
            known = base.get(path)
            content_stays = new is not None and new.kind == old.kind and new.content == old.content
            content_was_agreed = known is not None and known.kind == old.kind and known.content == old.content
            assert same(known, old) or content_stays or content_was_agreed, path


@given(trees(), mixed)
def test_a_second_look_finds_nothing_to_do(three, mode):
    base, here, there = three
    outcome = reconcile(base, here, there, mode)
    base, here, there = dict(base), dict(here), dict(there)
    for tree, changes in ((here, outcome.to_here), (there, outcome.to_there)):
        for path, _, new in changes:
            for each in (base, tree):
                if new is None:
                    each.pop(path, None)
                else:
                    each[path] = new
    for path, node in outcome.agreed:
        base.pop(path, None) if node is None else base.update({path: node})
    again = reconcile(base, here, there, mode)
    assert (again.to_here, again.to_there) == ([], [])


def test_a_path_of_ones_own_goes_there_whatever_the_lists_say():
    rules = ModeRules("pull", {"pull": ["*.toml"]}, own=[b"afield.toml"])
    assert [rules(path) for path in (b"afield.toml", b"x/afield.toml", b"y.toml")] == ["push", "pull", "pull"]
    assert rules.explain(b"afield.toml")[0] == "push"
    assert rules.listed == [["pull", "*.toml"]]
    alone = ModeRules("two-way-safe", {}, own=[b"afield.toml"])
    assert bool(alone)
    assert (alone.plain, rules.plain) == ("two-way-safe", None)
    here, there = ({name: Node("f", False, side) for name in (b"a", b"afield.toml")} for side in (b"h", b"t"))
    plan = reconcile({}, here, there, alone)
    assert [conflict.path for conflict in plan.conflicts] == [b"a"]
    assert [op.path for op in plan.to_there] == [b"afield.toml"]
    assert not plan.to_here
    assert (alone(b"afield.toml"), alone(b"a")) == ("push", "two-way-safe")
