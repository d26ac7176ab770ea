"""A program puts another file in place in the very moment between the worker's look and its rename: that file stays."""

import os

import pytest

from afield.testing.files import FilesWorker, op

BOOT = """
import os, sys
sys.path.insert(0, %r)
from afield.files import steps
from afield.files.worker import main

def hook(name):
    beside = os.environb[b"BESIDE"]
    if name == os.environ["STEP"] and os.path.exists(beside):
        os.replace(beside, os.environb[b"TARGET"])

steps.hook = hook
main(0, 1)
"""


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def read(path):
    with open(path, "rb") as file:
        return file.read()


@pytest.fixture
def hurried(folder, root, request):
    """A worker beside which a file takes the place of d/f at the step that the test names."""
    os.makedirs(root + b"/d")
    write(root + b"/d/f", b"old")
    env = {"STEP": request.param, "BESIDE": os.fsdecode(folder + b"/beside"), "TARGET": os.fsdecode(root + b"/d/f")}
    with FilesWorker(env=env, boot=BOOT) as found:
        found.open(root)
        yield found


@pytest.mark.parametrize("hurried", ["keep"], indirect=True)
def test_a_removal_does_not_take_what_came_right_now(hurried, folder, root):
    known = hurried.tree()[b"d/f"]
    write(folder + b"/beside", b"new")
    (result,) = hurried.apply([op("remove", b"d/f", known)])
    assert result[0] == "error"
    assert result[1]["code"] == "file-changed"
    assert read(root + b"/d/f") == b"new"
    assert hurried.request("history") == []
    assert [result[0] for result in hurried.apply([op("remove", b"d/f", hurried.tree()[b"d/f"])])] == ["ok"]
    assert [event[2:4] for event in hurried.request("history")] == [[b"d/f", "removed"]]


@pytest.mark.parametrize("hurried", ["move"], indirect=True)
def test_a_rename_does_not_take_what_came_right_now(hurried, folder, root):
    known = hurried.tree()[b"d/f"]
    write(folder + b"/beside", b"new")
    (result,) = hurried.apply([op("move", b"d/f", known, to=b"g")])
    assert result[0] == "error"
    assert result[1]["code"] == "file-changed"
    assert read(root + b"/d/f") == b"new"
    assert not os.path.exists(root + b"/g")
    (result,) = hurried.apply([op("move", b"d/f", hurried.tree()[b"d/f"], to=b"g")])
    assert result[0] == "ok"
    assert read(root + b"/g") == b"new"


@pytest.mark.parametrize("hurried", ["moved"], indirect=True)
def test_a_name_that_is_taken_again_right_now_is_left_alone(hurried, folder, root):
    known = hurried.tree()[b"d/f"]
    write(folder + b"/beside", b"new")
    (result,) = hurried.apply([op("move", b"d/f", known, to=b"g")])
    assert result[0] == "ok"
    assert (read(root + b"/d/f"), read(root + b"/g")) == (b"new", b"old")
