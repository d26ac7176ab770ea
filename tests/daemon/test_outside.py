"""Which paths outside the project a command names, what has to travel for them, and which variables go along."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.daemon import arguments, closure, mapping, outside, variables
from afield.daemon.run_wire import RunRequest

HERE, THERE = b"/home/me/proj", b"/data/proj"
PATHS = mapping.PathMap((HERE,), THERE)


def named(*argv, cwd=HERE, env=None):
    request = RunRequest("python", b"x", HERE, "", cwd, "", 0, 0, b"", tuple(argv), env or {})
    return [(each.path, each.role) for each in outside.named(request, PATHS)]


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        ([b"/x/a.py"], [(b"/x/a.py", "script")]),
        ([HERE + b"/a.py", b"rel/b", b"12"], []),
        ([b"-m", b"m", b"--out=/x/r.xml"], [(b"/x/r.xml", "argument")]),
        ([b"-m", b"m", b"--cov-report=xml:/x/c.xml"], [(b"/x/c.xml", "argument")]),
        (
            [b"a.py", b"/x/a:/y/b", b"/z/t.py::test"],
            [(b"/x/a", "argument"), (b"/y/b", "argument"), (b"/z/t.py", "argument")],
        ),
        ([b"-", b"file:///x/y"], [(b"/x/y", "argument")]),
        ([b"-Ic", b'import sys; sys.path[:0] = [b"/tmp/.tmpX"]'], [(b"/tmp/.tmpX", "code")]),
        ([b"-c", b"print(1 / 2)", b"https://host/p"], []),
        ([b"-W", b"/x/y", b"-X", b"/z", b"-c", b"pass"], []),
        ([b"/x/adapter/../launcher", b"1"], [(b"/x/launcher", "script")]),
        ([b"-m", b"m", b"/"], []),
    ],
)
def test_paths_are_found_in_every_form(argv, found):
    assert named(*argv) == found


def test_a_script_named_from_a_folder_outside_counts():
    assert named(b"a.py", cwd=b"/home/me") == [(b"/home/me/a.py", "script")]


def test_of_the_environment_only_what_tools_use_is_looked_at():
    env = {
        b"PYTHONPATH": b"/x/lib:rel:" + HERE + b"/lib",
        b"TEST_RUN_PIPE": b"/tmp/p",
        b"GOOGLE_APPLICATION_CREDENTIALS": b"/home/me/key.json",
        b"KUBECONFIG": b"/home/me/.kube/config",
        b"JUPYTER_CONFIG_DIR": b"/home/me/.jupyter",
    }
    assert named(b"-c", b"pass", env=env) == [(b"/x/lib", "search"), (b"/tmp/p", "variable")]


@given(st.lists(st.binary(max_size=12), max_size=6))
def test_any_arguments_are_taken_apart_without_a_fault(words):
    words = [word.replace(b"\0", b"") for word in words]
    script, program = arguments.split_python(words)
    assert 0 <= script <= program <= len(words)
    code = arguments.code_of(words)
    assert code is None or (code[0] < len(words) and script == program)
    assert arguments.map_code(words, lambda path: None) == words


@given(st.text(alphabet="ab'\"/ .\n", max_size=40).map(str.encode))
def test_code_changes_only_where_a_known_path_is_quoted(code):
    mapped = arguments.map_code([b"-c", code], lambda path: b"/N" if path == b"/a" else None)[1]
    if b"'/a" not in code and b'"/a' not in code:
        assert mapped == code


# ---- what travels


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    for name in ("tmp", "home/me/.ssh"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path / "home" / "me"


def put(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def close(home, *found):
    return closure.close([outside.Named(os.fsencode(path), role) for path, role in found], os.fsencode(home))


def names(paths, base):
    return sorted(os.path.relpath(os.fsdecode(path), base) for path in paths)


def test_a_script_brings_what_it_imports_and_nothing_beside(home):
    put(
        home,
        {
            "s/a.py": "import b, json\nfrom c import d\n",
            "s/b.py": "import e\n",
            "s/e.py": "",
            "s/c/d.py": "",
            "s/secret": "",
            "s/f.py": "",
        },
    )
    assert names(close(home, (home / "s/a.py", "script")).helpers, home / "s") == ["a.py", "b.py", "c/d.py", "e.py"]


def test_a_tools_folder_comes_whole(home):
    put(home, {".vscode/extensions/x/python_files/a.py": "", ".vscode/extensions/x/python_files/lib/data.json": "{}"})
    found = close(home, (home / ".vscode/extensions/x/python_files/a.py", "script"))
    assert len(found.helpers) == 2


def test_from_site_packages_come_the_packages_that_are_needed(home):
    site = home / "lib/python3/site-packages"
    put(
        site,
        {
            "mypy/pyinfo.py": "import sys\n",
            "mypy/big.py": "",
            "jedi/inference/__main__.py": "import sys\nfrom jedi.api import x\n",
            "jedi/api.py": "",
            "parso/__init__.py": "",
            "other/__init__.py": "",
            "jedi-1.dist-info/METADATA": "Requires-Dist: parso>=0.8\nRequires-Dist: other; extra == 'qa'\n",
            "jedi-1.dist-info/RECORD": "jedi/api.py,,\njedi/inference/__main__.py,,\n",
            "parso-1.dist-info/METADATA": "Name: parso\n",
            "parso-1.dist-info/RECORD": "parso/__init__.py,,\n",
            "pip/__pip-runner__.py": "import runpy\nrunpy.run_module('pip')\n",
            "pip/__main__.py": "",
        },
    )
    assert names(close(home, (site / "mypy/pyinfo.py", "script")).helpers, site) == ["mypy/pyinfo.py"]
    found = names(close(home, (site / "jedi/inference/__main__.py", "script"), (site, "argument")).helpers, site)
    assert "parso/__init__.py" in found
    assert "jedi/api.py" in found
    assert not [name for name in found if name.startswith(("other", "mypy", "pip"))]
    assert names(close(home, (site / "pip/__pip-runner__.py", "script")).helpers, site)[-1] == "pip/__pip-runner__.py"
    assert "pip/__main__.py" in names(close(home, (site / "pip/__pip-runner__.py", "script")).helpers, site)


@pytest.mark.parametrize("role", ["argument", "search", "code"])
def test_what_holds_everything_never_travels(home, tmp_path, role):
    put(home, {"a.txt": "x"})
    for path in ("/", "/tmp", home, home.parent, tmp_path / "tmp"):
        assert not close(home, (path, role)).helpers | close(home, (path, role)).files


def test_keys_and_passwords_never_travel(home):
    put(home, {".ssh/id": "k", ".aws/credentials": "k", ".netrc": "k"})
    found = close(home, *((home / name, "argument") for name in (".ssh/id", ".aws/credentials", ".netrc", ".ssh")))
    assert not found.files | found.names | found.helpers


@pytest.mark.parametrize("named", ["key", "keys/id", "through/id"])
def test_keys_and_passwords_do_not_travel_by_another_name(home, tmp_path, named):
    put(home, {".ssh/id": "k"})
    (tmp_path / "key").symlink_to(home / ".ssh/id")
    (tmp_path / "keys").symlink_to(home / ".ssh")
    # The home is a link, as where homes lie on another disk, and the key is named by where it really is.
    (tmp_path / "link").symlink_to(home)
    path, house = (home / ".ssh/id", tmp_path / "link") if named == "through/id" else (tmp_path / named, home)
    found = close(house, (path, "argument"), (path, "script"))
    assert not found.files | found.names | found.helpers


def test_a_plain_file_travels_and_a_missing_one_is_an_output(home):
    put(home, {"in.txt": "x"})
    found = close(home, (home / "in.txt", "argument"), (home / "out.txt", "argument"), (home / "no/way", "argument"))
    assert names(found.files, home) == ["in.txt"]
    assert names(found.outputs, home) == ["out.txt"]


def test_a_folder_of_data_stays_here(home, monkeypatch):
    monkeypatch.setattr(closure, "FEW_FILES", 3)
    put(home, {f"data/{number}": "x" for number in range(5)})
    assert close(home, (home / "data", "argument")) == closure.Closure(*[frozenset()] * 6)


@pytest.mark.parametrize(
    ("name", "value", "goes"),
    [
        ("MY_SETTING", b"1", True),
        ("PYTHONSAFEPATH", b"1", True),
        ("CUDA_VISIBLE_DEVICES", b"1", True),
        ("PATH", b"/bin", False),
        ("VIRTUAL_ENV", b"/x", False),
        ("JPY_PARENT_PID", b"1", False),
        ("GITHUB_TOKEN", b"x", False),
        ("AWS_PROFILE", b"x", False),
        ("OPENAI_API_KEY", b"x", False),
        ("GOOGLE_APPLICATION_CREDENTIALS", b"/k", False),
        ("KUBECONFIG", b"/k", False),
        ("DB_PASS", b"x", False),
        ("SSHPASS", b"x", False),
        ("MYSQL_PWD", b"x", False),
        ("LDAP_PW", b"x", False),
        ("DEPLOY_CREDS", b"x", False),
        ("SIGNING_KEYS", b"x", False),
        ("JWT", b"x", False),
        ("STORE_CONNECTION_STRING", b"x", False),
        ("BYPASS", b"1", True),
        ("KEYBOARD", b"us", True),
        ("PIP_INDEX_URL", b"https://t0ken@host/simple", False),
        ("GIT_REMOTE", b"ssh://git@host/x", True),
        ("DATABASE_URL", b"postgres://me:pw@db/x", False),
        ("DATABASE_URL", b"postgres://db/x", True),
    ],
)
def test_a_python_gets_the_environment_without_what_is_of_here_or_secret(name, value, goes):
    assert variables.goes(name, value, (), everything=True) == goes
    assert not variables.goes(name, value, (), everything=False) or name.startswith("PYTHON")
