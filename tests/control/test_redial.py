"""The remembered dial: started again only when nothing that decided it has changed, and then with next to nothing loaded."""

import os
import subprocess
import sys
import tempfile

import pytest

import afield
from afield.control import launch, redial
from afield.control.door import Door
from afield.deploy.bundle import PORTABLE_PACKAGES

SOURCE = os.path.dirname(os.path.dirname(afield.__file__))
ARGV = ["ssh", "-T", "--", "gpu1", "exec 'a b'"]


@pytest.fixture
def run_folder():
    """Short: the path of a socket below it has a limit."""
    with tempfile.TemporaryDirectory(prefix="afield-test-", dir="/tmp") as folder:
        yield folder


@pytest.fixture
def settings(tmp_path, monkeypatch, run_folder):
    """A state folder of its own, and a file of settings that is there and one that is not."""
    monkeypatch.setenv("AFIELD_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("AFIELD_RUN_DIR", run_folder)
    monkeypatch.delenv("AFIELD_SSH", raising=False)
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "afield.toml").write_text('place = "ssh://gpu1"\n')
    return tmp_path / "afield.toml", tmp_path / "user.toml"


def remember(settings, *, machine="gpu1", default=True):
    redial.remember("/project", machine, ARGV, [str(path) for path in settings], default=default)


def test_what_was_remembered_is_recalled_for_that_machine_only(settings):
    assert redial.recall("/project", "gpu1") is None
    remember(settings)
    assert redial.recall("/project", "gpu1") == redial.recall("/project", "") == ARGV
    assert redial.recall("/project", "other") is None
    assert redial.recall("/other", "gpu1") is None
    remember(settings, default=False)
    assert redial.recall("/project", "gpu1") == ARGV
    assert redial.recall("/project", "") is None


def edit_settings(settings, monkeypatch):
    settings[0].write_text('place = "ssh://gpu2"\n')


def make_user_settings(settings, monkeypatch):
    settings[1].write_text("")


def change_variable(settings, monkeypatch):
    monkeypatch.setenv("AFIELD_SSH", "ssh -v")


def open_to_others(settings, monkeypatch):
    os.chmod(redial._path(), 0o640)


def cut(settings, monkeypatch):
    with open(redial._path(), "r+b") as file:
        file.truncate(60)


def other_version(settings, monkeypatch):
    monkeypatch.setattr(redial, "_VERSION", "afield last dial 2")


def link(settings, monkeypatch):
    os.rename(redial._path(), redial._path() + "2")
    os.symlink(redial._path() + "2", redial._path())


@pytest.mark.parametrize(
    "change", [edit_settings, make_user_settings, change_variable, open_to_others, cut, other_version, link]
)
def test_any_change_is_a_no(settings, monkeypatch, change):
    remember(settings)
    change(settings, monkeypatch)
    assert redial.recall("/project", "gpu1") is None


def test_all_that_travels_is_watched():
    assert set(PORTABLE_PACKAGES) < set(redial._PACKAGES)


def test_a_new_source_is_a_change(settings, monkeypatch, tmp_path):
    package = tmp_path / "afield"
    for name in redial._PACKAGES:
        (package / name).mkdir(exist_ok=True)
    (package / "agent" / "boot.py").write_text("1")
    monkeypatch.setattr(afield, "__file__", str(package / "__init__.py"))
    remember(settings)
    assert redial.recall("/project", "gpu1") == ARGV
    (package / "agent" / "more.py").write_text("")
    assert redial.recall("/project", "gpu1") is None


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 9, b"\0".join([b"afield last dial 1", b"/project", b"gpu1", b"", b"99", b"x"])]
)
def test_a_file_that_is_no_memory_is_a_no(settings, data):
    remember(settings)
    with open(redial._path(), "wb") as file:
        file.write(data)
    assert redial.recall("/project", "gpu1") is None


# A starter's way to the dial, stopped where the command would start.
CODE = """
import os, sys
sys.path.insert(0, sys.argv[1])
from afield.control import spawn
def started(name, argv, env, **more):
    os.write(5, (name + " " + env["SSH_ASKPASS_REQUIRE"] + " " + ",".join(name for name in sys.argv[2:] if name in sys.modules)).encode())
    os._exit(0)
os.posix_spawnp = started
from afield.control import launch
launch.close_inherited = lambda keep: None
reader, writer = os.pipe()
os.dup2(writer, 5)
spawn.begin(("/project", "gpu1"))
print(os.read(reader, 1000).decode())
"""
SLOW = [
    "typing",
    "re",
    "enum",
    "signal",
    "socket",
    "dataclasses",
    "tomllib",
    "contextlib",
    "hashlib",
    "json",
    "afield.config.load",
]


def test_a_remembered_dial_begins_with_next_to_nothing_loaded(settings):
    remember(settings)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", CODE, SOURCE, *SLOW], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("ssh force \n", "")


def test_a_door_that_nobody_serves_leaves_nothing(settings, monkeypatch, run_folder):
    def fails(*_args, **_more):
        raise FileNotFoundError(2, "no ssh")

    monkeypatch.setattr(os, "posix_spawnp", fails)
    with pytest.raises(FileNotFoundError):
        redial.begin(ARGV)
    assert os.listdir(os.path.join(run_folder, "ask")) == []


def test_what_is_handed_over_is_what_is_taken_over(run_folder):
    door = Door(run_folder)
    ends = os.pipe()
    process, taken = launch.take_over(launch.hand_over((0, *ends, -1), door))
    assert process == (0, *ends, -1)
    assert (taken.folder, taken.token, taken.env()) == (door.folder, door.token, door.env())
    assert taken.sock.fileno() == door.sock.detach()
    for end in ends:
        os.close(end)
    taken.close()
    assert os.listdir(run_folder) == []
