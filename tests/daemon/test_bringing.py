"""What may be written here after a run: only what it made or changed, whole, and never over what changed here meanwhile."""

import os

import pytest

from afield.daemon.bringing import Bringer
from afield.daemon.courier import digest_of


@pytest.fixture
def place(tmp_path):
    return os.fsencode(tmp_path)


def write(path, text):
    with open(path, "w") as file:
        file.write(text)
    return digest_of(path)[0]


def read(path):
    with open(path) as file:
        return file.read()


def test_a_changed_file_is_replaced_by_a_rename_and_keeps_its_mode(place):
    path = place + b"/a"
    digest = write(path, "old")
    os.chmod(path, 0o640)
    before = os.stat(path).st_ino
    assert Bringer({path: digest}, frozenset()).finish([(path, b"new", 0o777)], []) == []
    assert read(path) == "new"
    assert os.stat(path).st_mode & 0o777 == 0o640
    assert os.stat(path).st_ino != before
    assert os.listdir(place) == [b"a"]


def test_what_changed_here_meanwhile_is_left_alone(place):
    path = place + b"/a"
    digest = write(path, "old")
    write(path, "mine")
    bringer = Bringer({path: digest}, frozenset())
    assert bringer.finish([(path, b"new", 0o600)], [path]) == [path]
    assert read(path) == "mine"


def test_a_new_file_and_a_removed_one(place):
    new, old = place + b"/new", place + b"/old"
    digest = write(old, "x")
    Bringer({new: None, old: digest}, frozenset()).finish([(new, b"1", 0o755)], [old])
    assert read(new) == "1"
    assert not os.path.exists(old)


@pytest.mark.parametrize("name", [b"lib/site-packages/x.py", b"__pycache__/a.pyc", b"a.pyc"])
def test_installed_packages_and_compiled_code_are_never_written(place, name):
    path = place + b"/" + name
    Bringer({path: None}, frozenset({place})).finish([(path, b"1", 0o600)], [])
    assert os.listdir(place) == []


def test_what_was_not_part_of_the_run_is_never_written(place):
    path = place + b"/x"
    Bringer({place + b"/y": None}, frozenset({place + b"/z"})).finish([(path, b"1", 0o600)], [])
    assert os.listdir(place) == []


def test_a_folder_that_was_named_gets_what_is_new_in_it(place):
    os.mkdir(place + b"/d")
    Bringer({}, frozenset({place + b"/d"})).finish([(place + b"/d/e/f", b"1", 0o600)], [])
    assert read(place + b"/d/e/f") == "1"


def test_a_followed_file_grows_in_place_and_is_completed_at_the_end(place):
    path = place + b"/log"
    bringer = Bringer({path: None}, frozenset())
    bringer.append(path, 0, b"one\n")
    inode = os.stat(path).st_ino
    bringer.append(path, 4, b"two\n")
    bringer.append(path, 99, b"lost")
    assert read(path) == "one\ntwo\n"
    bringer.finish([(path, b"one\ntwo\nthree\n", 0o600)], [])
    assert read(path) == "one\ntwo\nthree\n"
    assert os.stat(path).st_ino == inode


def test_a_file_that_somebody_else_made_meanwhile_is_not_followed(place):
    path = place + b"/log"
    bringer = Bringer({path: None}, frozenset())
    write(path, "theirs")
    bringer.append(path, 0, b"one\n")
    assert bringer.finish([(path, b"one\n", 0o600)], []) == [path]
    assert read(path) == "theirs"


def test_a_symlink_is_not_followed_when_appending(place):
    write(place + b"/target", "")
    os.symlink(place + b"/target", place + b"/log")
    Bringer({place + b"/log": None}, frozenset()).append(place + b"/log", 0, b"x")
    assert read(place + b"/target") == ""
