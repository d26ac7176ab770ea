"""What `install` puts into a project, that it repairs it, that `uninstall` takes only that away; how the C client is built."""

import os
import shutil
import stat
import subprocess
import sys
import threading

import pytest

from afield.errors import ConfigError, FileFailed
from afield.shim import build, install


@pytest.fixture(params=["c", "python"])
def kind(request):
    if request.param == "c":
        request.getfixturevalue("c_client")
    return request.param


def put(project, kind, **options):
    options = {"python_versions": ["3.12", "3"], "cli_argv": ["/bin/true"], **options}
    return install.install(str(project), "/nonexistent/daemon.sock", "gpu", client=kind, **options)


def listing(project):
    return sorted(os.listdir(project / ".afield" / "bin"))


def test_all_names_are_there_and_are_programs(tmp_path, kind):
    assert put(tmp_path, kind) == kind
    assert listing(tmp_path) == ["pip", "pip3", "python", "python3", "python3.12"]
    for name in listing(tmp_path):
        path = tmp_path / ".afield" / "bin" / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o755
        assert subprocess.run([path, "-c", "pass"], check=False).returncode == 0  # the fallback, /bin/true
    assert stat.S_IMODE((tmp_path / ".afield" / "shim.conf").stat().st_mode) == 0o600


def test_best_is_c_where_it_can_be_had(tmp_path, c_client):
    assert put(tmp_path, "best") == "c"


def test_a_second_install_changes_nothing(tmp_path, kind):
    def marks():
        found = [(tmp_path / ".afield" / "bin" / name).stat() for name in listing(tmp_path)]
        return [(one.st_ino, one.st_ctime_ns, one.st_nlink) for one in found]

    put(tmp_path, kind)
    before = marks()
    put(tmp_path, kind)
    assert marks() == before


def test_what_was_damaged_is_repaired(tmp_path, kind):
    put(tmp_path, kind)
    path = tmp_path / ".afield" / "bin" / "python"
    good = path.read_bytes()
    path.unlink()
    path.write_bytes(b"broken")
    (tmp_path / ".afield" / "bin" / "pip").unlink()
    put(tmp_path, kind)
    for name in listing(tmp_path):
        assert (tmp_path / ".afield" / "bin" / name).read_bytes() == good
    assert listing(tmp_path) == ["pip", "pip3", "python", "python3", "python3.12"]


def test_names_of_another_version_go(tmp_path, kind):
    put(tmp_path, kind)
    put(tmp_path, kind, python_versions=["3.13"])
    assert listing(tmp_path) == ["pip", "pip3", "python", "python3", "python3.13"]


def test_a_running_shim_may_be_replaced(tmp_path, c_client):
    put(tmp_path, "python")
    put(tmp_path, "c")
    with subprocess.Popen([tmp_path / ".afield" / "bin" / "python"], stdin=subprocess.DEVNULL) as process:
        put(tmp_path, "python")
        assert process.wait(20) == 0


def test_uninstall_takes_away_what_install_made(tmp_path, kind):
    put(tmp_path, kind)
    own = tmp_path / ".afield" / "bin" / "mine"
    own.write_text("keep")
    install.uninstall(str(tmp_path))
    assert listing(tmp_path) == ["mine"]
    assert sorted(os.listdir(tmp_path / ".afield")) == ["bin"]
    own.unlink()
    install.uninstall(str(tmp_path))
    assert os.listdir(tmp_path / ".afield") == []


@pytest.mark.parametrize("bad", [["a\nb"], ["a\tb"], ["a"] * 51, ["a" * 16000]])
def test_values_that_the_file_cannot_hold_are_refused(tmp_path, bad):
    with pytest.raises(ConfigError):
        put(tmp_path, "python", cli_argv=bad)
    assert not (tmp_path / ".afield").exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / ".afield").write_text("in the way")
    with pytest.raises(FileFailed, match="cannot make the shims"):
        put(tmp_path, "python")


@pytest.mark.parametrize("name", ["with space", "x" * 130, "quote'd"])
def test_an_interpreter_with_an_awkward_path_works(tmp_path, monkeypatch, name):
    folder = tmp_path / name
    folder.mkdir()
    python = folder / "python"
    real = os.path.realpath(sys.executable)
    python.write_text(f'#!/bin/sh\nexec {real} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    project = tmp_path / "p"
    put(project, "python", cli_argv=["/bin/echo", "reached"])
    done = subprocess.run([project / ".afield" / "bin" / "python", "a b"], capture_output=True, text=True, check=False)
    assert done.stdout == f"reached shim-run {project}/.afield/bin/python {project} gpu a b\n"


def test_the_compiled_client_is_kept_and_checked(tmp_path, monkeypatch, c_client):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "HERE", sources(tmp_path / "sources"))
    first = build.c_client()
    assert first.startswith(str(tmp_path / "afield"))
    inode = os.stat(first).st_ino
    assert build.c_client() == first
    assert os.stat(first).st_ino == inode
    with open(first, "ab") as file:
        file.write(b"tampered")
    assert build.c_client() == first
    assert build.verified(first)
    assert os.stat(first).st_ino != inode


def sources(folder):
    """The sources alone, as in a pure wheel."""
    folder.mkdir()
    for name in build.SOURCES + build.HEADERS:
        shutil.copy(os.path.join(build.HERE, name), folder)
    return str(folder)


def test_a_shipped_client_is_used_only_when_its_hash_fits(tmp_path, monkeypatch, c_client):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = sources(tmp_path / "sources")
    monkeypatch.setattr(build, "HERE", folder)
    shipped = os.path.join(folder, "client")
    shutil.copy(c_client, shipped)
    assert build.c_client() != shipped
    with open(shipped + ".sha256", "w", encoding="ascii") as file, open(shipped, "rb") as client:
        file.write(build.digest(client.read()) + "\n")
    assert build.c_client() == shipped


def test_two_at_once_do_not_harm_each_other(tmp_path, monkeypatch, c_client):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "HERE", sources(tmp_path / "sources"))
    found = []
    threads = [threading.Thread(target=lambda: found.append(build.c_client())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] is not None
    assert found[0] == found[1]
    assert build.verified(found[0])


def test_without_a_compiler_there_is_python(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "HERE", sources(tmp_path / "sources"))
    monkeypatch.setattr(build, "compiler", lambda: None)
    assert build.c_client() is None


@pytest.mark.parametrize("compiler", ["/bin/false", "/nonexistent/cc", "/bin/true"])
def test_a_compiler_that_fails_is_no_error(tmp_path, monkeypatch, compiler):
    monkeypatch.setattr(build, "compiler", lambda: compiler)
    assert not build.compile_client(str(tmp_path / "x" / "client"))
    assert os.listdir(tmp_path / "x") == []


def test_the_sources_give_no_warning(tmp_path, c_client):
    command = [
        build.compiler(),
        "-std=c99",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Wshadow",
        "-Wconversion",
        "-Werror",
        "-o",
        str(tmp_path / "c"),
    ]
    done = subprocess.run(
        [*command, *(os.path.join(build.HERE, name) for name in build.SOURCES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_python_client_starts_with_built_in_modules_only():
    code = (
        "import sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1]); import shim.start;"
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith('shim')))"
    )
    parent = os.path.dirname(build.HERE)
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, parent], capture_output=True, text=True, check=True)
    assert set(eval(done.stdout)) <= {"_signal", "_socket", "_stat", "select", "time", "posix"}
