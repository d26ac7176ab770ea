"""Commands of an environment: the same program on both sides, each side with its own interpreter in the first line."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.agent.scripts import Commands, is_python, rewritten

OLD, NEW = b"/home/rem/envs/ml/bin", b"/Users/alice/proj/.afield/bin"


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (b"#!/home/rem/envs/ml/bin/python\n", b"#!/Users/alice/proj/.afield/bin/python\n"),
        (b"#! /home/rem/envs/ml/bin/python3.12 -I\n", b"#!/Users/alice/proj/.afield/bin/python3.12 -I\n"),
        (
            b"#!/bin/sh\n'''exec' \"/home/rem/envs/ml/bin/python\" \"$0\" \"$@\"\n' '''\n",
            b"#!/bin/sh\n'''exec' \"/Users/alice/proj/.afield/bin/python\" \"$0\" \"$@\"\n' '''\n",
        ),
    ],
)
def test_interpreter_of_the_first_lines_is_replaced(first, expected):
    assert rewritten(first + b"print(1)\n", OLD, NEW) == expected + b"print(1)\n"


@pytest.mark.parametrize(
    "data",
    [b"", b"\x7fELF", b"#!/usr/bin/env python\n", b"#!/bin/sh\necho 1\n", b"#!/home/rem/envs/ml/bin2/python\n", b"#!"],
)
def test_what_names_another_interpreter_is_left_alone(data):
    assert rewritten(data, OLD, NEW) is None


def test_long_or_odd_path_goes_through_sh():
    for new in (b"/" + b"x" * 130 + b"/bin", b"/my proj/$HOME/.afield/bin"):
        text = rewritten(b"#!" + OLD + b"/python\nprint(1)\n", OLD, new)
        assert text.startswith(b"#!/bin/sh\n'''exec' ")
        assert rewritten(text.replace(b"\\$", b"$"), new, OLD) is not None


@given(st.binary(max_size=200))
def test_any_file_is_read_without_a_fault(data):
    rewritten(b"#!" + data, OLD, NEW)
    rewritten(b"#!" + OLD + b"/python" + data, OLD, NEW)
    rewritten(b"#!/bin/sh\n'''exec' " + data, OLD, NEW)


def test_names_of_interpreters():
    assert all(map(is_python, (b"python", b"python3", b"python3.11", b"python3.13t", b"python3.6m")))
    assert not any(map(is_python, (b"pip", b"ipython", b"python-config", b"pythonw-tool")))


def test_both_sides_follow_each_other(tmp_path):
    real, shown = tmp_path / "real", tmp_path / "shown"
    real.mkdir()
    shown.mkdir()
    (real / "python").write_text("")
    (real / "pip").write_text(f"#!{real}/python\n1\n")
    (real / "data").write_text("data")
    (real / "pip3").symlink_to("pip")
    commands = Commands(os.fsencode(real), os.fsencode(shown))
    fd = os.open(shown, os.O_RDONLY)
    try:
        commands.fill(fd)
        assert sorted(os.listdir(shown)) == ["data", "pip", "pip3"]
        assert (shown / "pip3").read_text() == f"#!{shown}/python\n1\n"
        assert os.readlink(shown / "data") == str(real / "data")
        (shown / "new").write_text(f"#!{shown}/python3\n2\n")
        (shown / "pip").write_text(f"#!{shown}/python\nchanged\n")
        (shown / "pip3").unlink()
        (real / "other").write_text(f"#!{real}/python\n3\n")
        commands.carry(fd)
        assert (real / "new").read_text() == f"#!{real}/python3\n2\n"
        assert (real / "pip").read_text() == f"#!{real}/python\nchanged\n"
        assert not (real / "pip3").is_symlink()
        assert (shown / "other").read_text() == f"#!{shown}/python\n3\n"
        before = sorted((entry.name, entry.stat().st_mtime_ns) for entry in os.scandir(real))
        commands.carry(fd)
        assert sorted((entry.name, entry.stat().st_mtime_ns) for entry in os.scandir(real)) == before
    finally:
        os.close(fd)
