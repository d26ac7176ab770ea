"""What decides about jobs here, with values alone; and the desktop's end of one."""

import asyncio
import os
import stat
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.daemon import api_jobs, job_views, job_watch, run_wire, sync_back
from afield.errors import NoSuchProcess, ProtocolError, UsageError


def row(number, name, job, project=b"/p"):
    return {"number": number, "name": name, "id": job, "project": project}


ROWS = [
    row(1, "train", "aa000001"),
    row(2, "tune", "ab000002"),
    row(3, "train", "ac000003"),
    row(4, "other", "ad000004", b"/q"),
    row(5, "2", "ae000005", b"/q"),
]


@pytest.mark.parametrize(
    ("word", "number"),
    [("1", 1), ("train", 3), ("tune", 2), ("tu", 2), ("aa", 1), ("ad000004", 4), ("other", 4), ("2", 2), ("tr", 3)],
)
def test_a_word_means_a_job(word, number):
    assert api_jobs.pick(ROWS, word, b"/p")["number"] == number


def test_a_word_that_means_several_or_none_is_refused():
    with pytest.raises(UsageError, match="train or tune"):
        api_jobs.pick(ROWS, "t", b"/p")
    with pytest.raises(NoSuchProcess):
        api_jobs.pick(ROWS, "none", b"/p")


def request(*argv, flags=""):
    return run_wire.RunRequest("job", b"", b"/p", "", b"/p", flags, 24, 80, b"xterm", argv, {})


def test_the_words_of_a_view_become_its_header():
    header = job_views.header_of(request(b"0123abcd", b"follow", b"lines=24"))
    assert header == {"do": "job", "job": "0123abcd", "follow": True, "lines": 24}
    assert job_views.header_of(request(b"0123abcd", b"times"))["times"] == (time.localtime().tm_gmtoff or 0) // 60
    for words in (
        (),
        (b"0123",),
        (b"../../..",),
        (b"0123abcd", b"lines=x"),
        (b"0123abcd", b"other"),
        (b"0123abcd", b"follow=1"),
    ):
        with pytest.raises(ProtocolError):
            job_views.header_of(request(*words))


@given(flags=st.sets(st.sampled_from(["follow", "input", "only_err", "result"])), start=st.integers(0, 2**63 - 1))
def test_a_run_id_holds_the_view(flags, start):
    header = {"do": "job", "job": "0123abcd", **dict.fromkeys(flags, True)}
    number = job_views.run_id(header, start)
    resume = run_wire.ResumeRequest(number, run_wire.WINDOW + 5, 7, 9, b"/p", "")
    assert job_views.resumed(resume) == {**header, "start": start, "out": 7, "err": 9, "in": 5}


def test_the_id_of_a_program_is_no_view():
    assert job_views.resumed(run_wire.ResumeRequest(b"x" * 16, 0, 0, 0, b"", "")) is None


@given(st.lists(st.sampled_from([b"\x1c", b"a", b"bc"]), max_size=12))
def test_only_two_in_a_row_detach(pieces):
    keys, passed, left = job_views.Keys(), b"", False
    for piece in pieces:
        out, left = keys.feed(piece)
        passed += out
        if left:
            break
    typed = b"".join(pieces)
    assert left == (b"\x1c\x1c" in typed)
    kept = typed.partition(b"\x1c\x1c")[0] if left else typed
    assert passed in (kept, kept.removesuffix(b"\x1c"))


def test_a_result_goes_where_nothing_of_the_user_is_lost(tmp_path):
    path = os.fsencode(tmp_path / "m.csv")
    there = [b"m.csv", "f", False, 3, 5_000_000_000_000]
    assert sync_back.target_of(path, there, {}, "7") == path
    (tmp_path / "m.csv").write_text("old")
    os.utime(path, ns=(there[4], there[4]))
    assert sync_back.target_of(path, there, {}, "7") is None
    (tmp_path / "m.csv").write_text("edited here")
    assert sync_back.target_of(path, there, {}, "7") == os.fsencode(tmp_path / "m.job-7.csv")
    info = os.stat(path)
    known = {os.fsdecode(path): [info.st_size, info.st_mtime_ns]}
    assert sync_back.target_of(path, there, known, "7") == path
    (tmp_path / "m.job-7.csv").write_text("old")
    os.utime(tmp_path / "m.job-7.csv", ns=(there[4], there[4]))
    assert sync_back.target_of(path, there, {}, "7") is None
    assert sync_back.target_of(os.fsencode(tmp_path / ".hidden"), there, {}, "7").endswith(b"/.hidden")


def test_what_is_remembered_of_fetches_survives_damage(tmp_path):
    path = str(tmp_path / "known.json")
    sync_back.save_known(path, {"/a": [1, 2]})
    assert sync_back.load_known(path) == {"/a": [1, 2]}
    with open(path, "w") as file:
        file.write("[")
    assert sync_back.load_known(path) == {}


def ended(**more):
    base = {"desktop": True, "sync_back": ["x"], "marks": [], "state": "exited", "exit": {"exit": 0}, "why": ""}
    return {**base, "name": "n", "host": "h", **more}


def test_what_a_job_still_wants():
    assert job_watch.wants(ended()) == ["told", "fetched"]
    assert job_watch.wants(ended(marks=["told"])) == ["fetched"]
    assert job_watch.wants(ended(state="skipped")) == ["told"]
    assert job_watch.wants(ended(desktop=False, sync_back=[])) == []


def test_an_end_in_words():
    assert job_watch.end_text(ended()) == "succeeded"
    assert job_watch.end_text(ended(exit={"exit": 2})) == "failed with exit status 2"
    assert job_watch.end_text(ended(exit={"killed": 9})) == "was killed by signal 9"
    assert job_watch.end_text(ended(exit=None, state="lost in a reboot")) == "lost in a reboot"


def test_the_desktop_is_told(tmp_path, monkeypatch):
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/told\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    asyncio.run(job_watch.notify(ended(exit={"exit": 4})))
    assert (tmp_path / "told").read_text() == "--app-name=afield\nafield: n failed with exit status 4\non h\n"
