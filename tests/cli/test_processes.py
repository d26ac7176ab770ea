"""`afield processes`: what is shown, and how one of them is named."""

import argparse

import pytest

from afield.cli.commands.processes import find, signal_number
from afield.cli.render import processes_text
from afield.errors import NoSuchProcess, UsageError


def row(number, pid, *, state="running", end=None):
    return {"id": number, "pid": pid, "state": state, "started": 0, "argv": [b"python3", b"a.py"], "exit": end}


ROWS = [row("abc1" + "0" * 28, 10), row("abd2" + "0" * 28, 11), row("ff" * 16, 10, state="exited", end={"exit": 3})]


@pytest.mark.parametrize(("word", "index"), [("abc", 0), ("ABD2", 1), ("10", 0), ("ff", 2)])
def test_a_process_is_named_by_the_beginning_of_its_id_or_by_its_pid(word, index):
    assert find(ROWS, word) == ROWS[index]["id"]


def test_nothing_and_too_much_are_errors_with_a_hint():
    with pytest.raises(NoSuchProcess) as caught:
        find(ROWS, "99")
    assert caught.value.hint
    with pytest.raises(UsageError, match="2 ids"):
        find(ROWS, "ab")


@pytest.mark.parametrize(("text", "number"), [("9", 9), ("TERM", 15), ("sigint", 2)])
def test_signals_have_numbers_and_names(text, number):
    assert signal_number(text) == number


@pytest.mark.parametrize("text", ["NOSUCH", "0", "99", "-1"])
def test_an_unknown_signal_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match=text):
        signal_number(text)


def test_the_list_says_how_a_program_ended_and_how_many_are_hidden():
    text = processes_text([ROWS[2], row("aa" * 16, 12, state="exited", end={"killed": 9})])
    assert "exited 3" in text
    assert "killed by 9" in text
    assert processes_text([], hidden=4) == "nothing runs there (4 ended: --all)"
    assert processes_text([]) == "nothing runs there"
