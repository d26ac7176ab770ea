"""What travels: paths inside the project in every form, nothing else; Python's own options; the environment."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.daemon import arguments, mapping, variables
from afield.daemon.run_wire import RunRequest
from afield.errors import CommandNotFound

HERE, THERE = b"/home/me/proj", b"/data/proj"
TARGET = mapping.Target((HERE,), THERE, None, {}, ())


def request(argv=(), *, mode="python", cwd=HERE, flags="", env=None, argv0=HERE + b"/.afield/bin/python"):
    return RunRequest(mode, argv0, HERE, "", cwd, flags, 24, 80, b"xterm", tuple(argv), env or {})


def argv_of(*argv, **more):
    return mapping.plan(request(argv, **more), TARGET).argv[1:]


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (HERE, THERE),
        (HERE + b"/a.py", THERE + b"/a.py"),
        (HERE + b"/", THERE + b"/"),
        (HERE + b"/a/../b.py", THERE + b"/b.py"),
        (b"--out=" + HERE + b"/x", b"--out=" + THERE + b"/x"),
        (HERE + b"/t.py::test_a[b]", THERE + b"/t.py::test_a[b]"),
        (HERE + b"/a:" + HERE + b"/b:/usr/lib", THERE + b"/a:" + THERE + b"/b:/usr/lib"),
        (b"file://" + HERE + b"/a.py", b"file://" + THERE + b"/a.py"),
        (b"--cov-report=xml:" + HERE + b"/c.xml", b"--cov-report=xml:" + THERE + b"/c.xml"),
        (b"x=1," + HERE + b"/a," + HERE + b"/b", b"x=1," + THERE + b"/a," + THERE + b"/b"),
    ],
)
def test_a_path_inside_the_project_becomes_the_path_there(here, there):
    assert mapping.PathMap((HERE,), THERE).argument(here) == there


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"train.py",
        b"/etc/passwd",
        HERE + b"ile",
        HERE + b"-old/a.py",
        b"/other" + HERE,
        HERE + b"/../secret",
        b"a\nb",
        b"'q'",
        b"https://x" + HERE,
    ],
)
def test_everything_else_stays_byte_for_byte(text):
    assert mapping.PathMap((HERE,), THERE).argument(text) == text


@given(st.binary(max_size=60))
def test_an_argument_without_the_project_in_it_never_changes(text):
    if HERE not in text:
        assert mapping.PathMap((HERE,), THERE).argument(text) == text


@given(st.lists(st.sampled_from([b"a", b"..", b".", b"b.py", b""]), max_size=6))
def test_no_mapped_path_leaves_the_project_there(parts):
    found = mapping.PathMap((HERE,), THERE).path(HERE + b"/" + b"/".join(parts))
    assert found is None or found == THERE or (found.startswith(THERE + b"/") and b".." not in found.split(b"/"))


@pytest.mark.parametrize(
    ("argv", "script", "program"),
    [
        ([], 0, 0),
        ([b"a.py", b"-x"], 0, 1),
        ([b"-u", b"a.py"], 1, 2),
        ([b"-c", b"code", b"x"], 2, 2),
        ([b"-Ic", b"code", b"x"], 2, 2),
        ([b"-ccode", b"x"], 1, 1),
        ([b"-m", b"mod", b"x"], 2, 2),
        ([b"-Im", b"mod"], 2, 2),
        ([b"-W", b"ignore", b"-"], 2, 3),
        ([b"-Wignore", b"a.py"], 1, 2),
        ([b"-X", b"dev", b"a.py"], 2, 3),
        ([b"-EsS", b"a.py"], 1, 2),
        ([b"--check-hash-based-pycs", b"always", b"a.py"], 2, 3),
        ([b"--version"], 1, 1),
        ([b"--", b"a.py", b"x"], 1, 2),
        ([b"-c"], 1, 1),
        ([b"-W"], 1, 1),
    ],
)
def test_pythons_own_options_end_where_python_ends_them(argv, script, program):
    found = arguments.split_python(argv)
    assert (min(found[0], len(argv)), min(found[1], len(argv))) == (script, program)


def test_code_after_c_is_never_touched():
    code = b"open('" + HERE + b"/x')"
    assert argv_of(b"-c", code, HERE + b"/y") == [b"-c", code, THERE + b"/y"]


def test_a_script_named_from_outside_the_project_gets_its_whole_path():
    assert argv_of(b"proj/a.py", cwd=b"/home/me") == [THERE + b"/a.py"]
    assert argv_of(b"other.py", cwd=b"/home/me") == [b"other.py"]
    assert argv_of(b"a.py", cwd=HERE + b"/sub") == [b"a.py"]


def test_the_working_folder_is_mapped_or_is_the_project():
    assert mapping.plan(request(cwd=HERE + b"/sub"), TARGET).cwd == THERE + b"/sub"
    assert mapping.plan(request(cwd=b"/tmp"), TARGET).cwd == THERE


def test_a_shell_that_came_through_a_symlink_names_the_project_by_both_names():
    run = request([b"/link/proj/a.py"], cwd=HERE + b"/sub", env={b"PWD": b"/link/proj/sub"})
    roots = mapping.roots_of(run, HERE)
    assert roots == (HERE, b"/link/proj")
    assert mapping.plan(run, TARGET._replace(roots=roots)).argv[1] == THERE + b"/a.py"
    assert mapping.roots_of(request(env={b"PWD": b"/elsewhere"}, cwd=HERE + b"/sub"), HERE) == (HERE,)


def test_a_venv_inside_the_project_is_started_by_its_own_name():
    paths = mapping.PathMap((HERE,), THERE)
    assert mapping.interpreter(HERE + b"/.venv/bin/python3", TARGET, paths) == THERE + b"/.venv/bin/python3"
    assert mapping.interpreter(HERE + b"/.afield/bin/python3", TARGET, paths) == b"python3"
    assert mapping.interpreter(b"afield", TARGET._replace(python=b"/opt/py"), paths) == b"/opt/py"


def test_a_venv_outside_the_project_is_refused_as_a_command_that_is_not_there():
    with pytest.raises(CommandNotFound, match="lies outside the project") as caught:
        mapping.interpreter(b"/home/me/.cache/venvs/x/bin/python", TARGET, mapping.PathMap((HERE,), THERE))
    assert caught.value.exit == 127


def test_a_run_takes_its_command_and_a_shell_takes_none():
    plan = mapping.plan(request([b"ls", HERE + b"/a"], mode="run"), TARGET)
    assert (plan.argv, plan.login) == ([b"ls", THERE + b"/a"], False)
    shell = mapping.plan(request(mode="shell"), TARGET)
    assert (shell.argv, shell.login) == ([], True)


def test_a_pty_is_asked_for_when_all_three_are_terminals():
    assert mapping.plan(request(flags="012"), TARGET).tty == {"rows": 24, "cols": 80, "term": "xterm"}
    assert mapping.plan(request(flags="01"), TARGET).tty is None
    quiet = {"rows": 24, "cols": 80, "term": "xterm", "echo": False, "returns": False}
    assert mapping.plan(request(flags="012eln"), TARGET).tty == quiet


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "HOME",
        "TMPDIR",
        "XDG_RUNTIME_DIR",
        "LD_PRELOAD",
        "PYTHONHOME",
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "SSH_AUTH_SOCK",
        "DISPLAY",
        "SSL_CERT_FILE",
        "AWS_SECRET_ACCESS_KEY",
        "PYTEST_API_TOKEN",
        "PYTHON_KEYRING_PASSWORD",
        "MY_THING",
        "",
    ],
)
def test_what_belongs_here_stays_here(name):
    assert not variables.travels(name, ())


@pytest.mark.parametrize(
    "name", ["LANG", "LC_ALL", "NO_COLOR", "PYTHONHASHSEED", "PYTHONUNBUFFERED", "TZ", "COLORTERM"]
)
def test_what_makes_sense_anywhere_travels(name):
    assert variables.travels(name, ())


def test_forward_env_adds_names_and_a_bare_star_is_no_password():
    assert variables.travels("WANDB_API_KEY", ("WANDB_*",))
    assert variables.travels("PATH", ("PATH",))
    assert not variables.travels("PATH", ("P*",))
    assert variables.travels("MY_THING", ("*",))
    assert not variables.travels("MY_TOKEN", ("*",))
    assert variables.travels("MY_TOKEN", ("MY_TOKEN",))


def test_the_environment_is_mapped_and_the_settings_win():
    env = {
        b"PYTHONPATH": HERE + b"/lib:/usr/x:rel",
        b"PYTHONSTARTUP": b"/home/me/.pythonrc",
        b"LANG": b"C",
        b"HOME": b"/home/me",
    }
    found = mapping.plan(request(env=env), TARGET._replace(env={"LANG": "de", "A": "1"})).env
    assert found["PYTHONPATH"] == THERE + b"/lib:rel"
    assert (found["LANG"], found["A"], found["PWD"]) == (b"de", b"1", THERE)
    assert "PYTHONSTARTUP" not in found
    assert "HOME" not in found
    assert json.loads(found["PATHS_FROM_ECLIPSE_TO_PYTHON"]) == [[HERE.decode(), THERE.decode()]]


def test_the_home_there_is_needed_only_when_a_path_is_mapped():
    target = TARGET._replace(there=b"~/proj")
    assert mapping.needs_home(request(), target)
    assert not mapping.needs_home(request([b"true"], mode="run"), target)
    assert mapping.needs_home(request([b"ls", HERE], mode="run"), target)
    assert not mapping.needs_home(request(), TARGET)
    assert mapping.plan(request([b"true"], mode="run"), target).cwd == b"~/proj"


def test_home_is_written_out_everywhere():
    target = TARGET._replace(there=b"~/proj", python=b"~/env/bin/python").at_home(b"/root")
    assert (target.there, target.python) == (b"/root/proj", b"/root/env/bin/python")
    assert mapping.needs_home(request(), TARGET._replace(python=b"~/env/bin/python"))


MORE = ((b"/home/me/common", b"~/lib"), (b"/home/me/proj/data", b"/big/data"))


def test_further_folders_are_mapped_by_the_innermost():
    paths = mapping.PathMap((b"/home/me/proj",), b"/srv/proj", MORE)
    assert paths.path(b"/home/me/proj/data/x") == b"/big/data/x"
    assert paths.path(b"/home/me/proj/database") == b"/srv/proj/database"
    assert paths.path(b"/home/me/proj") == b"/srv/proj"
    assert paths.path(b"/home/me/commons") is None
    assert paths.argument(b"--a=/home/me/proj/data/x:/home/me/proj/y") == b"--a=/big/data/x:/srv/proj/y"


def test_the_home_of_a_further_folder_is_written_out():
    target = mapping.Target((b"/home/me/proj",), b"/srv/proj", None, {}, (), more=MORE)
    assert target.at_a_home
    found = target.at_home(b"/home/far")
    assert found.more == ((b"/home/me/common", b"/home/far/lib"), MORE[1])
    assert not found.at_a_home
