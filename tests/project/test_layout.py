"""What must hold for the files of the project: length, portability, no word that ties them to one machine, one version, the wheel."""

import importlib.metadata
import os
import re
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest
import pythons

import afield
from afield.shim import build

ROOT = Path(__file__).parents[2]
PACKAGE = Path(afield.__file__).parent
LIMIT = 400  # lines; one idea per file
CATALOGS = ("src/afield/errors.py",)  # one table from end to end: a second file would only hide half of it
TEST_LIMIT = 500  # a table of cases is long and still one idea
PORTABLE = ("errorbase.py", "errors.py", "__init__.py", "wire", "tree", "files", "envs", "agent")
# In pieces, so that this file does not hold them itself.
FORBIDDEN = [
    "py" + "pi.org",
    "python" + "hosted",
    "npm" + "js",
    "crates" + ".io",
    "/wo" + "rk/main",
    "/wo" + "rk/shared",
    "/ro" + "ot/.",
    "/opt/" + "wheels",
]


def tracked():
    """Every file that a commit would hold."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / os.fsdecode(name) for name in done.stdout.split(b"\0") if name]
    return [path for path in paths if path.is_file()]


def portable_sources():
    for name in PORTABLE:
        path = PACKAGE / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def test_no_source_is_longer_than_a_reader_holds():
    long = {}
    for path in tracked():
        if path.suffix in (".py", ".c", ".h", ".sh") and str(path.relative_to(ROOT)) not in CATALOGS:
            with open(path, "rb") as file:
                count = sum(1 for _ in file)
            if count > (TEST_LIMIT if path.is_relative_to(ROOT / "tests") else LIMIT):
                long[str(path.relative_to(ROOT))] = count
    assert not long


def test_every_source_says_what_it_is():
    silent = []
    for path in tracked():
        if path.suffix == ".py" and path.stat().st_size:
            first = path.read_text(encoding="utf-8").lstrip()
            if not re.match(r'(#!.*\n)?r?"""', first):
                silent.append(str(path.relative_to(ROOT)))
    assert not silent


def test_what_travels_compiles_under_the_oldest_python():
    found = pythons.found()
    oldest = next(iter(found.values()))
    code = (
        "import sys\n"
        "for path in sys.argv[1:]:\n"
        "    with open(path, 'rb') as file: compile(file.read(), path, 'exec')\n"
        "print(sys.version_info[1])"
    )
    paths = [str(path) for path in portable_sources()]
    assert len(paths) > 10
    done = subprocess.run([oldest, "-I", "-S", "-c", code, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == min(found)


def test_what_travels_imports_no_typing_at_run_time():
    """`typing` costs more than the whole agent's core."""
    guilty = []
    for path in portable_sources():
        lines = path.read_text(encoding="utf-8").splitlines()
        slow = re.compile(r"(from|import) (typing|dataclasses|asyncio|subprocess|json|logging|socket)\b")
        guilty += [f"{path.relative_to(PACKAGE)}: {line}" for line in lines if slow.match(line)]
    assert not guilty


def test_no_file_names_a_registry_or_a_folder_of_one_machine():
    guilty = []
    for path in tracked():
        if path.name == "LICENSE" or path.suffix in (".png", ".gif", ".ico"):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        guilty += [f"{path.relative_to(ROOT)}: {word}" for word in FORBIDDEN if word in text]
    assert not guilty


def test_the_version_stands_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/afield/__init__.py"
    assert importlib.metadata.version("afield") == afield.__version__


def test_everything_from_an_index_is_pinned_by_hash():
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
        assert lines
        for line in lines:
            assert re.match(r"[\w.-]+==[\w.+!-]+ ", line), line
            assert "--hash=sha256:" in line, line


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    reasons = (ROOT / "docs" / "development" / "dependencies.md").read_text(encoding="utf-8").lower()
    groups = [*project["dependency-groups"].values(), project["project"]["dependencies"]]
    names = {re.match(r"[\w-]+", word)[0].lower() for group in groups for word in group if isinstance(word, str)}
    assert {name for name in names if name not in reasons} == set()


@pytest.fixture(scope="module")
def wheel():
    found = sorted((ROOT / "dist").glob("*.whl"))
    if not found:
        pytest.skip("no wheel in dist: make wheel")
    with zipfile.ZipFile(found[-1]) as file:
        yield file


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"afield", f"afield-{afield.__version__}.dist-info"}
    assert not [name for name in wheel.namelist() if "__pycache__" in name or "/tests/" in name]
    assert {f"afield/shim/{name}" for name in build.SOURCES + build.HEADERS} <= set(wheel.namelist())


def test_the_wheel_has_a_client_that_fits_its_hash_or_is_pure(wheel):
    names = wheel.namelist()
    (tag,) = re.findall(r"Tag: (.*)", wheel.read(f"afield-{afield.__version__}.dist-info/WHEEL").decode())
    if build.compiler() is None:
        assert tag == "py3-none-any"
        return
    assert tag.startswith("py3-none-")
    assert tag != "py3-none-any"
    assert "afield/shim/client" in names
    assert build.digest(wheel.read("afield/shim/client")) == wheel.read("afield/shim/client.sha256").decode().strip()
