"""The folder looks like a virtual environment, and environments made on it start what they are named for."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from afield.shim import install

FAR = install.Far("3.13.1", "ml", "one")


def put(shim, far=FAR):
    install.install(shim.project, shim.socket_path, "gpu", cli_argv=[shim.script], client=shim.kind, far=far)


def started_as(daemon, *words, **options):
    """The argv0 and arguments that the daemon is told."""
    options.setdefault("env", {"PATH": os.environ["PATH"]})
    process = subprocess.Popen(list(words), stdin=subprocess.DEVNULL, **options)
    connection = daemon.accept()
    request = connection.request()
    connection.start()
    connection.exit(0)
    assert process.wait(20) == 0
    return request["argv0"], request["argv"]


def make_venv(shim, folder, name="python"):
    os.makedirs(os.path.join(folder, "bin"))
    with open(os.path.join(folder, "pyvenv.cfg"), "w") as file:
        file.write("home = x\n")
    os.symlink(os.path.join(shim.project, ".afield/base/bin/python3.13"), os.path.join(folder, "bin", "python3.13"))
    os.symlink("python3.13", os.path.join(folder, "bin", "python"))
    return os.path.join(folder, "bin", name)


def test_the_folder_is_a_virtual_environment_of_the_version_there(shim):
    put(shim)
    folder = os.path.join(shim.project, ".afield")
    lines = dict(line.split(" = ") for line in Path(folder, "pyvenv.cfg").read_text().splitlines())
    assert (lines["version"], lines["prompt"]) == ("3.13.1", "ml")
    assert lines["home"] == f"{folder}/base/bin"
    assert "uv" not in lines
    assert "activate" not in os.listdir(os.path.join(folder, "bin"))
    assert sorted(os.listdir(os.path.join(folder, "base/bin"))) == ["python", "python3", "python3.13"]
    assert os.path.samefile(os.path.join(folder, "base/bin/python3.13"), os.path.join(folder, "bin/python"))


def test_an_installer_that_writes_here_finds_a_closed_folder(shim):
    for _ in range(2):
        put(shim)
        lib = Path(shim.project, ".afield", "lib")
        assert lib.stat().st_mode & 0o777 == 0o555
        assert lib.with_name("lib64").samefile(lib)


def test_what_is_known_of_the_environment_stays_until_more_is_known(shim):
    put(shim)
    put(shim, far=None)
    folder = os.path.join(shim.project, ".afield")
    assert os.path.exists(os.path.join(folder, "bin", "python3.13"))
    put(shim, far=install.Far("3.9.2", "old", "two"))
    assert not os.path.lexists(os.path.join(folder, "base/bin/python3.13"))
    assert os.path.exists(os.path.join(folder, "base/bin/python3.9"))


def test_the_time_of_the_shim_changes_with_the_environment_and_only_then(shim):
    put(shim)
    path = os.path.join(shim.bin, "python")
    os.utime(path, (1, 1))
    put(shim)
    assert os.stat(path).st_mtime == 1
    put(shim, far=FAR._replace(stamp="another"))
    assert os.stat(path).st_mtime != 1
    assert os.stat(os.path.join(shim.bin, "python3")).st_mtime != 1


def test_uninstall_takes_the_whole_environment_away(shim):
    put(shim)
    install.uninstall(shim.project)
    assert os.listdir(os.path.join(shim.project, ".afield")) == []


@pytest.mark.parametrize("name", ["python", "python3.13"])
def test_an_environment_in_the_project_starts_under_its_own_name(shim, daemon, name):
    put(shim)
    path = make_venv(shim, os.path.join(shim.project, "a", ".venv"), name)
    assert started_as(daemon, path, "-c", "pass") == (path, [b"-c", b"pass"])


def test_a_link_to_an_environment_and_a_name_in_path_mean_that_environment(shim, daemon, folder):
    put(shim)
    path = make_venv(shim, os.path.join(shim.project, ".venv"))
    os.symlink(path, os.path.join(folder, "mine"))
    assert started_as(daemon, os.path.join(folder, "mine"))[0] in (path, os.path.dirname(path) + "/python")
    env = {"PATH": f"{os.path.dirname(path)}:{os.environ['PATH']}"}
    assert started_as(daemon, "python", env=env)[0] == path
    assert started_as(daemon, ".venv/bin/python", cwd=shim.project)[0] == path


def test_an_environment_outside_the_project_is_told_as_it_is(shim, daemon, folder):
    put(shim)
    path = make_venv(shim, os.path.join(folder, "elsewhere"))
    assert started_as(daemon, path)[0] == path


@pytest.mark.parametrize("name", ["base/bin/python3.13", "base/bin/python", "bin/python3.13"])
def test_the_names_of_the_shim_itself_are_no_environment_of_their_own(shim, daemon, name):
    put(shim)
    argv0, _ = started_as(daemon, os.path.join(shim.project, ".afield", name))
    assert os.path.dirname(argv0) == shim.bin


def test_another_argument_0_is_believed_only_when_it_leads_here(shim, daemon, folder):
    put(shim)
    path = make_venv(shim, os.path.join(folder, "venv"))
    os.unlink(path)
    os.symlink("/bin/true", path)
    if shim.kind == "c":
        assert started_as(daemon, path, executable=shim.path)[0] == shim.path


def test_a_copy_of_the_shim_in_an_environment_finds_its_project(shim, daemon):
    if shim.kind == "python":
        return  # a script is linked, never copied
    put(shim)
    path = make_venv(shim, os.path.join(shim.project, "deep", "er", "venv"))
    os.unlink(path)
    shutil.copy(shim.path, path)
    assert started_as(daemon, path)[0] == path
