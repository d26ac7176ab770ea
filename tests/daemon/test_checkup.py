"""The rows of `afield doctor`, made of values alone."""

import pytest

from afield.daemon import checkup


def states(rows):
    return [row.state for row in rows]


def test_every_way_is_costed_and_a_twin_costs_nothing():
    assert states(checkup.way("twin", "auto", {}, None)) == ["ok"]
    for name, state in (("same", "ok"), ("translated", "warn")):
        rows = checkup.way(name, "auto", {"twin": "a user namespace: no"}, None)
        assert set(states(rows)) == {state}
        assert [row.text for row in rows if row.name == "lost"] == list(checkup.COSTS[name])
        assert "no twin: a user namespace: no" in rows[0].text
    (paths, lost) = checkup.way("same", "auto", {"stand-in": "X belongs to something else there"}, None)
    assert (paths.state, lost.state) == ("ok", "warn")
    assert "X belongs to something else there" in lost.text
    assert states(checkup.way(None, "twin", {}, "cannot")) == ["fail"]


@pytest.mark.parametrize(
    ("why", "hint"),
    [
        ("Permission denied (kernel.apparmor_restrict_unprivileged_userns = 1)", "apparmor_restrict"),
        ("(kernel.unprivileged_userns_clone = 0)", "unprivileged_userns_clone=1"),
        ("(user.max_user_namespaces = 0)", "max_user_namespaces=10000"),
        ("(a container's seccomp filter or a chroot does that)", "--security-opt"),
        ("/x is no folder there", "project folder"),
    ],
)
def test_each_reason_has_its_hint(why, hint):
    assert hint in str(checkup.way("translated", "auto", {"twin": why}, None)[0].hint)


def test_without_a_mirror_it_is_said_who_sees_no_packages():
    assert checkup.mirror(True).hint is None
    assert "uv pip list" in checkup.mirror(False).text
    assert "afield mirror sync" in str(checkup.mirror(False).hint)


@pytest.mark.parametrize(("free", "state"), [(10**12, "ok"), (10**9, "warn"), (10**6, "fail")])
def test_room_on_the_disk(free, state):
    facts = {"disks": [{"path": b"/home", "free": free, "fs": "ext4"}], "quota": None}
    assert states(checkup.disks(facts)) == [state]


@pytest.mark.parametrize(("used", "state"), [(10, "ok"), (96, "warn"), (100, "fail")])
def test_quota(used, state):
    assert states(checkup.disks({"quota": {"used": used, "soft": None, "hard": 100}})) == [state]


@pytest.mark.parametrize(
    ("skew", "state", "word"), [(0.4, "ok", "apart"), (90.0, "warn", "ahead"), (-5.0, "warn", "behind")]
)
def test_clock(skew, state, word):
    row = checkup.clock(skew)
    assert row.state == state
    assert word in row.text


def test_watch_that_has_no_room_is_told_with_its_limit():
    entry = {"state": "live", "watch": {"here": "inotify", "there": "polling"}, "unwatched": {"here": 7}}
    rows = checkup.sync(entry)
    assert states(rows) == ["ok", "warn", "warn"]
    assert "max_user_watches" in str(rows[1].hint)
    assert states(checkup.sync({"state": "live", "conflicts_total": 2})) == ["warn"]


def test_a_sync_that_is_stopped_is_no_tick():
    guard = checkup.sync({"state": "guard", "why": "21 files would go", "hint": "afield sync --yes"})
    assert [(row.state, row.text, row.hint) for row in guard] == [
        ("fail", "guard: 21 files would go", "afield sync --yes")
    ]
    assert states(checkup.sync({"state": "waiting", "why": "the link was lost"})) == ["warn"]
    assert [(row.state, row.text) for row in checkup.sync(None, "mode changed in afield.toml")] == [
        ("warn", "mode changed in afield.toml")
    ]
    assert states(checkup.sync({"state": "live"}, "mode changed")) == ["warn", "ok"]


def test_a_sync_that_begins_is_no_fault():
    rows = checkup.sync({"state": "first", "watch": {"here": "", "there": None}})
    assert [(row.state, row.text) for row in rows] == [
        ("ok", "the first sync is under way"), ("ok", "here: starting"), ("ok", "there: starting"),
    ]  # fmt: skip


def test_environment_without_kernel_and_debugger_is_told():
    env = {"name": "ml", "kind": "venv", "version": "3.12.1", "packages": 3, "ipykernel": "7.0", "debugpy": None}
    assert [(row.name, row.state) for row in checkup.environment(env, "ml", None)] == [
        ("env", "ok"), ("ipykernel", "ok"), ("debugpy", "warn"),
    ]  # fmt: skip
    assert states(checkup.environment(None, "ml", "gone")) == ["fail"]


def test_git_matters_when_it_is_wanted():
    assert checkup.git(True, True, True).state == "ok"
    assert checkup.git(True, False, False).state == "warn"
    assert checkup.git(True, False, True).state == "fail"


def test_a_watched_network_disk_is_well_and_says_what_comes_late():
    rows = checkup.sync({"state": "live", "watch": {"here": "inotify", "there": "both"}})
    assert states(rows) == ["ok", "ok", "ok"]
    assert "what other machines write" in rows[2].text
