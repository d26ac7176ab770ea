"""The verbs about jobs: their words, their pages, their exit statuses."""

import argparse

import pytest

from afield.cli import jobs
from afield.cli.commands.logs import moment
from afield.cli.commands.runs import parse_own
from afield.cli.render_jobs import ended_lines, jobs_text, rates, top_text
from afield.errors import UsageError


def job(**more):
    base = {"number": 3, "name": "train", "state": "running", "exit": None, "argv": ["python", "train.py"], "gpus": []}
    base |= {"created": 100.0, "started": 100.0, "ended": None, "now": 160.0, "why": "", "lost": 0, "output": 1500}
    return {**base, "alive": True, "lingers": False, "writes": False, "id": "0123abcd", **more}


def test_the_options_of_a_job_stand_before_the_command():
    words = [
        "-d",
        "--name",
        "n",
        "--gpu=2",
        "--after",
        "a",
        "--after",
        "b",
        "--after-any",
        "--sync-back",
        "runs/**",
        "x.py",
        "--name",
        "theirs",
    ]
    own = parse_own("python", words)
    assert own.detach
    assert own.rest == ("x.py", "--name", "theirs")
    assert own.job == {"name": "n", "gpu": "2", "after": ["a", "b"], "after_any": True, "sync_back": ["runs/**"]}


def test_python_keeps_its_own_options():
    own = parse_own("python", ["--", "-d", "x.py"])
    assert not own.detach
    assert own.rest == ("-d", "x.py")


@pytest.mark.parametrize(
    "words", [["--name", "n", "true"], ["-d"], ["-d", "--name"], ["-d", "--bad", "true"], ["--gpu", "1", "true"]]
)
def test_wrong_words_are_refused(words):
    with pytest.raises(UsageError):
        parse_own("run", words)


def test_options_become_arguments():
    fields = jobs.fields_of({"gpu": "2", "env": "ml", "journal": "5 MB", "notify_url": "https://x/y"})
    assert fields == {"gpus": 2, "environment": "ml", "limit": 5_000_000, "notify_url": "https://x/y"}
    for wish in (
        {"gpu": "all"},
        {"gpu": "0"},
        {"notify_url": "file:///etc/passwd"},
        {"after_any": True},
        {"gpu_wait": True},
        {"name": "a\nb"},
        {"sync_back": ["runs/**", "../x"]},
        {"sync_back": ["/etc/passwd"]},
        {"sync_back": ["~/x"]},
    ):
        with pytest.raises(UsageError):
            jobs.fields_of(wish)


@pytest.mark.parametrize(
    ("ended", "status"), [({"exit": 0}, 0), ({"exit": 7}, 7), ({"killed": 15}, 143), (None, jobs.NO_STATUS)]
)
def test_the_status_tells_how_it_ended(ended, status):
    assert jobs.status_of(job(exit=ended)) == status


def test_of_several_the_first_failure_counts():
    rows = [job(exit={"exit": 0}), job(exit={"killed": 2}), job(exit={"exit": 5})]
    assert jobs.worst_of(rows) == 130
    assert jobs.worst_of(rows[:1]) == 0


def test_a_time_is_a_span_or_a_date():
    assert moment("10min", now=1000.0) == 400.0
    assert moment("1.5h", now=10000.0) == 4600.0
    assert moment("2026-11-21T09:30:00+00:00") == 1795253400.0
    for text in ("", "10", "yesterday", "5 years"):
        with pytest.raises(argparse.ArgumentTypeError):
            moment(text)


def test_the_list_says_how_each_stands():
    rows = [
        job(),
        job(number=4, exit={"exit": 2}, state="exited", ended=130.0),
        job(number=5, state="waiting", why="after job train", started=None),
        job(number=6, state="keeper gone", lost=5000, name="odd\x1b[31m"),
    ]
    assert max(map(len, jobs_text(rows, 0.0, width=40).split("\n")[: len(rows) + 1])) <= 40
    text = jobs_text(rows, 0.0)
    assert "running" in text
    assert "exit 2" in text
    assert "5: after job train" in text
    assert "5.0 kB of its output were not kept" in text
    assert "its program still runs" in text
    assert "\x1b" not in text


def test_no_jobs_is_said():
    assert "jobs --all" in jobs_text([], 0.0)
    assert ended_lines([job(exit={"killed": 9}, state="killed")]) == "job 3 (train): signal 9"


def look(time, ticks, busy):
    use = {"ticks": ticks, "memory": 1 << 30, "processes": 2, "gpu_memory": 2 << 30, "gpus": [1]}
    machine = {"busy": busy, "all": busy + 100, "cpus": 4, "memory": {"total": 8e9, "available": 2e9}}
    gpu = {"index": 1, "uuid": "u", "name": "H100", "memory_total": 8e10, "memory_used": 2e10, "utilization": 97}
    base = {"time": time, "hz": 100, "host": "gpu1", "place": "ssh://gpu1", "machine": machine, "gpus": [gpu]}
    return {**base, "jobs": [job(use=use)]}


def test_two_looks_make_rates_and_a_page():
    now = rates(look(10.0, 1000, 500), look(12.0, 1500, 650))
    assert now["jobs"][0]["cpu"] == 250.0
    assert now["machine"]["cpu"] == 100.0
    text = top_text(now, 120)
    assert "250 %" in text
    assert "97 % busy" in text
    assert "2.1 GB" in text
    assert max(map(len, top_text(now, 40).split("\n"))) <= 60


def test_the_first_look_has_no_rates():
    now = rates(look(10.0, 1000, 500), look(10.0, 1000, 500))
    assert now["jobs"][0]["cpu"] is None
    assert "cpu     [....................] ?" in top_text(now)


def test_a_job_whose_end_is_being_told_is_done_and_one_whose_children_write_is_not_quite():
    done = job(state="exited", exit={"exit": 0}, lingers=True)
    assert ended_lines([done]) == "job 3 (train): done"
    assert ended_lines([{**done, "writes": True}]) == "job 3 (train): done, others still write"
