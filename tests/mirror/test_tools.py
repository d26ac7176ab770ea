"""Real tools on a mirror: mypy finds a package that exists only there, uv and pip cannot write into it, a disk that is full or read-only here."""

import os
import shutil
import subprocess
import sys

import pytest
from far_env import install, make_env
from powerless import as_nobody_special
from wheelhouse import make_wheel

from afield.errors import DiskFull, FilesError, ReadOnly
from afield.mirror import copies

NAME = f"python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def mirrored(place, tmp_path):
    """A mirror with an interpreter that reports it, as the shim does in the twin; the environment itself is gone."""
    python, site = make_env(tmp_path / "there")
    install(site, "alpha", {"alpha/__init__.py": b"def size() -> int: ...\n", "alpha/py.typed": b""})
    (tmp_path / "src" / "edited").mkdir(parents=True)
    (tmp_path / "src" / "edited" / "__init__.py").write_text("def name() -> str: ...\n")
    (tmp_path / "src" / "edited" / "py.typed").write_text("")
    with open(os.path.join(site, "edited.pth"), "w") as file:
        file.write(f"{tmp_path}/src\n")
    place.sync(python)
    shutil.rmtree(tmp_path / "there")
    base = os.path.realpath(sys.executable)
    with open(place.here("pyvenv.cfg"), "w") as file:
        file.write(f"home = {os.path.dirname(base)}\nversion = {sys.version.split()[0]}\n")
    os.makedirs(place.here("bin"))
    os.symlink(base, place.here("bin/python"))
    return place


def test_mypy_finds_a_package_that_is_only_there(mirrored, tmp_path):
    pytest.importorskip("mypy")
    app = tmp_path / "app.py"
    app.write_text("import alpha\nimport edited\nx: str = alpha.size()\ny: int = edited.name()\nimport absent\n")
    argv = [
        sys.executable,
        "-m",
        "mypy",
        "--no-incremental",
        "--python-executable",
        mirrored.here("bin/python"),
        str(app),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert 'expression has type "int", variable has type "str"' in done.stdout
    assert 'expression has type "str", variable has type "int"' in done.stdout
    assert [line for line in done.stdout.splitlines() if "import-not-found" in line] == [
        'app.py:5: error: Cannot find implementation or library stub for module named "absent"  [import-not-found]'
    ]


def test_uv_refuses_to_install_into_it(mirrored, tmp_path):
    # Not a shim of a version manager, which looks for its home.
    uv = next(
        (
            path
            for path in (shutil.which("uv"), os.path.join(os.path.dirname(os.path.realpath(sys.executable)), "uv"))
            if path and os.path.exists(path)
        ),
        None,
    )
    if uv is None:
        pytest.skip("no uv on this machine")
    make_wheel(tmp_path / "wheels", "probe")
    words = ["pip", "install", "--offline", "--no-index", "--find-links", str(tmp_path / "wheels"), "--no-config"]
    words += ["--cache-dir", str(tmp_path / "uv"), "--python", mirrored.here("bin/python"), "probe"]
    done = subprocess.run(as_nobody_special([uv, *words]), capture_output=True, text=True, check=False)
    assert done.returncode != 0, done.stderr
    assert "Permission denied" in done.stderr
    assert "Installed" not in done.stderr
    assert mirrored.do("status")["mirror"]["odd"] == []


@pytest.mark.parametrize(
    "where", ["lib", f"lib/{NAME}", f"lib/{NAME}/site-packages", f"lib/{NAME}/site-packages/alpha", "base/lib", "far"]
)
def test_nobody_can_write_into_any_folder_of_it(mirrored, where):
    code = "import os, sys; open(os.path.join(sys.argv[1], 'x.py'), 'w')"
    argv = as_nobody_special([sys.executable, "-I", "-c", code, mirrored.here(where)])
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "PermissionError" in done.stderr


def test_an_ordinary_user_can_refresh_and_remove_it(mirrored, tmp_path):
    """What seals the folders opens them again, without any power of root."""
    python, site = make_env(tmp_path / "again")
    install(site, "beta", {"beta/__init__.py": b"b = 1\n"})
    helper = os.path.join(os.path.dirname(__file__), "..", "support")
    code = (
        "import sys; sys.path[:0] = sys.argv[4:]\n"
        "from far_env import Place\n"
        "place = Place(sys.argv[1], sys.argv[2])\n"
        "print(place.sync(sys.argv[3])['changed']); print(place.do('remove')['removed'])\n"
    )
    paths = [helper, *[path for path in sys.path if path]]
    argv = [sys.executable, "-c", code, mirrored.base, mirrored.store, python, *paths]
    done = subprocess.run(as_nobody_special(argv), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    changed, removed = map(int, done.stdout.split())
    assert changed > 0
    assert removed > 0
    assert not os.path.exists(mirrored.here("lib"))


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="a read-only file system needs root")
def test_a_read_only_disk_here_is_said_and_nothing_is_harmed(place, tmp_path):
    python, site = make_env(tmp_path / "there")
    install(site, "alpha", {"alpha/__init__.py": b"a = 1\n"})
    place.sync(python)
    install(site, "beta", {"beta/__init__.py": b"b = 1\n"})
    helper = os.path.join(os.path.dirname(__file__), "..", "support")
    code = (
        "import sys; sys.path[:0] = sys.argv[4:]\n"
        "from far_env import Place\n"
        "from afield.errors import AfieldError\n"
        "try:\n    Place(sys.argv[1], sys.argv[2]).sync(sys.argv[3])\n"
        "except AfieldError as error:\n    print(error.code)\n"
        "except OSError as error:\n    print(error.errno)\n"
    )
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    argv = ["unshare", "-m", "sh", "-c", script, "sh", str(tmp_path / "project"), sys.executable, "-c", code]
    argv += [place.base, place.store, python, helper, *[path for path in sys.path if path]]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if "mount:" in done.stderr or "unshare" in done.stderr:
        pytest.skip("no mounts here")
    assert done.stdout.strip() in ("read-only", "30"), done.stderr
    assert place.do("status")["mirror"]["odd"] == []
    assert place.sync(python)["changed"] == 2


@pytest.mark.parametrize(("number", "kind"), [(28, DiskFull), (30, ReadOnly)])
def test_a_disk_that_takes_no_more_is_said_and_the_mirror_stays(place, tmp_path, monkeypatch, number, kind):
    python, site = make_env(tmp_path / "there")
    install(site, "alpha", {"alpha/__init__.py": b"a = 1\n"})
    place.sync(python)
    install(site, "beta", {f"beta/m{n}.py": b"b = %d\n" % n for n in range(30)})
    before = copies.load_record(os.fsencode(place.base))
    real, count = os.link, 0

    def fails(*args, **more):
        nonlocal count
        count += 1
        if count > 10:
            raise OSError(number, os.strerror(number), "x.py")
        return real(*args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", fails)
        with pytest.raises(FilesError) as caught:
            place.sync(python)
    assert isinstance(caught.value, kind)
    assert copies.load_record(os.fsencode(place.base)).files == before.files
    assert not os.path.exists(place.here("mirror.new"))
    assert place.sync(python)["fetched"] == 0
    assert os.path.exists(place.here("lib", NAME, "site-packages/beta/m29.py"))
