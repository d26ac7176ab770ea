"""What people see of plain values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.cli import render
from afield.cli.commands.demo import demo_text, took
from afield.cli.jobs import started_text
from afield.cli.render_files import ignored_text, restored_text
from afield.cli.render_jobs import ended_lines
from afield.cli.render_status import ago, status_text
from afield.cli.terminal import Terminal, printable


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_500_000, "1.5 MB"),
        (123_456_789, "123 MB"),
        (2.5e12, "2.5 TB"),
        (9e16, "90000 TB"),
    ],
)
def test_sizes(count, text):
    assert render.size(count) == text


@given(st.text())
def test_no_name_can_drive_the_terminal(text):
    shown = printable(text)
    assert not [c for c in shown if ord(c) < 32 and c not in "\n\t"]
    assert "\x1b" not in shown
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (50000, "50000"),
        ("push", "push"),
        (["runs/**", 'a"b'], '["runs/**", "a\\"b"]'),
        ({"ml": ("module load x",)}, '{ ml = ["module load x"] }'),
        ({"A": "1"}, '{ A = "1" }'),
    ],
)
def test_settings_are_shown_as_one_writes_them(value, text):
    assert render.toml_word(value) == text


def test_what_a_renderer_forgot_cannot_drive_the_terminal_either(capsys):
    Terminal().result(None, "removed job a\x1b[2J\x9b\x07 \x1b[31mred\x1b[0m\n\ttwo \x1b[1;31m")
    assert capsys.readouterr().out == ("removed job a\\x1b[2J\\x9b\\x07 \x1b[31mred\x1b[0m\n\ttwo \\x1b[1;31m\n")


def test_a_name_of_several_lines_is_one_line_of_ours():
    job = {"number": 1, "name": "a\nremoved /", "state": "running", "why": "", "gpus": []}
    assert "\n" not in started_text(job)
    assert "\n" not in ended_lines([{**job, "state": "lost"}])
    assert "\n" not in ignored_text({"path": "a\nb", "ignored": False})
    assert len(restored_text({"restored": [{"path": "a\nb", "side": "here"}]}).split("\n")) == 1


@given(st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=4), min_size=1, max_size=6))
def test_a_table_has_one_line_a_row(rows):
    assert len(render.table(rows).split("\n")) == len(rows)


@pytest.mark.parametrize(("seconds", "text"), [(0.0042, "4.2 ms"), (0.5, "500 ms"), (12.34, "12.3 s")])
def test_durations(seconds, text):
    assert took(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (200, "3 min"), (7300, "2 h"), (200000, "2 d")]
)
def test_spans(seconds, text):
    assert ago(seconds) == text


def test_synced_counts_both_ways_and_names_conflicts():
    assert render.synced_text({"there": 1, "here": 0, "conflicts": 0}) == "1 change went there"
    text = render.synced_text({"there": 2, "here": 3, "conflicts": 1, "bytes": 2000})
    assert text == "2 changes went there, 3 changes came here (2.0 kB); 1 conflict: see `afield conflicts`"
    assert render.synced_text({}) == "both sides agree"
    assert render.synced_text({"already": True, "problems": 1}) == "it was up already; 1 problem: see `afield status`"


def test_status_says_why_a_link_is_down_and_when_the_next_try_is():
    state = {
        "daemon": {"pid": 7, "version": "1.2", "since": 100.0, "rss": 20_000_000},
        "places": {
            "k": {
                "place": "ssh://gpu1",
                "state": "waiting",
                "why": "the connection was reset",
                "next_try": 163.0,
                "hint": "is the network up?",
            }
        },
        "projects": {
            "p": {
                "project": "/home/me/train",
                "machine": "gpu1",
                "place_key": "k",
                "folder": "~/afield/train",
                "up": True,
                "env": {"name": "ml", "python": "/opt/ml/bin/python"},
                "sync": {"state": "paused", "conflicts": 2, "unwatched": {"here": 0, "there": 1200}},
            }
        },
        "forwards": {"1": {"local": "127.0.0.1:8000", "remote": "localhost:8000"}},
        "runs": {"r": {"label": "python train.py", "state": "running", "since": 100.0}},
    }
    text = status_text(state, now=160.0)
    for part in (
        "reconnecting",
        "the connection was reset",
        "next try in 3 s",
        "hint: is the network up?",
        "paused",
        "env      ml (/opt/ml/bin/python)",
        "2 in conflict",
        "1,200 folders there have no watch",
        "fs.inotify.max_user_watches there",
        "127.0.0.1:8000 here → localhost:8000",
        "train.py, running, for 60 s",
        "process 7",
    ):
        assert part in text


def test_status_with_nothing_up_says_how_to_start():
    assert "afield up" in status_text({"places": {}, "projects": {}})


def test_the_table_of_the_demo_fits_the_terminal():
    rows = [
        {"ok": True, "step": "conflict", "seconds": 1.3, "what": "edited on both sides: listed, settled with --here"}
    ]
    rows += [{"ok": False, "step": "status", "seconds": 0.02, "what": "failed"}]
    assert demo_text(rows, 46).split("\n") == [
        "   step      took     what happened",
        "✓  conflict  1300 ms  edited on both sides:",
        "                      listed, settled with",
        "                      --here",
        "✗  status    20.0 ms  failed",
    ]
    assert len(demo_text(rows, None).split("\n")) == 3


def test_a_login_shell_has_a_name_in_the_list_of_processes():
    assert "(a login shell)" in render.processes_text([{"id": "ab", "pid": 3, "state": "running", "argv": []}])
