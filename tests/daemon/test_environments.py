"""Choosing an environment by name, and what running in it means: values alone, and the real shells."""

import os
import shutil
import subprocess

import pytest

from afield.daemon import activation, chosen
from afield.daemon.activation import Activation
from afield.daemon.api_envs import _base, refusal
from afield.errors import EnvBroken, EnvClash, NoSuchEnv


def env(name, kind="venv", **more):
    path = more.pop("path", f"/e/{kind}/{name}").encode()
    return {
        "name": name,
        "kind": kind,
        "path": path,
        "python": path + b"/bin/python",
        "version": "3.11.7",
        "broken": None,
        "base": None,
        "here": False,
        "made": False,
        **more,
    }


def pick(envs, wanted):
    return chosen.pick(envs, wanted, b"/work/proj", b"/home/me")


def test_a_name_a_path_or_a_kind_names_it():
    envs = [env("ml"), env("3.11.7", "pyenv"), env("proj", path="/work/proj/.venv"), env("x", path="/home/me/envs/x")]
    assert pick(envs, "ml") is envs[0]
    assert pick(envs, "pyenv:3.11.7") is envs[1]
    assert pick(envs, ".venv") is envs[2]
    assert pick(envs, "./.venv/") is envs[2]
    assert pick(envs, "~/envs/x") is envs[3]
    assert pick(envs, "/e/venv/ml/bin/python") is envs[0]


def test_among_several_the_projects_own_counts_then_ours_then_a_whole_one():
    other, here = env("ml", path="/a"), env("ml", path="/b", here=True)
    made, broken = env("ml", path="/c", made=True), env("ml", path="/d", broken="gone")
    assert pick([other, here, made], "ml") is here
    assert pick([other, made], "ml") is made
    assert pick([broken, other], "ml") is other


def test_several_of_one_name_are_listed():
    with pytest.raises(EnvClash, match=r"2 environments there are named 'ml': venv /a, conda /b") as caught:
        pick([env("ml", path="/a"), env("ml", "conda", path="/b")], "ml")
    assert "path" in caught.value.hint
    assert pick([env("ml", path="/a"), env("ml", "conda", path="/b")], "conda:ml")["path"] == b"/b"


def test_an_unknown_name_says_what_may_have_been_meant():
    with pytest.raises(NoSuchEnv, match="'mll'") as caught:
        pick([env("ml"), env("other")], "mll")
    assert "did you mean ml" in caught.value.hint
    with pytest.raises(NoSuchEnv) as caught:
        pick([], "zebra")
    assert "afield env create zebra" in caught.value.hint


def test_a_broken_one_is_refused_with_its_reason():
    with pytest.raises(EnvBroken, match="bin/python leads nowhere"):
        chosen.usable(env("ml", broken="bin/python leads nowhere"))


@pytest.mark.parametrize(
    ("kind", "path", "variables"),
    [
        ("venv", (b"/e/venv/x/bin",), {"VIRTUAL_ENV": b"/e/venv/x"}),
        ("conda", (b"/e/conda/x/bin",), {"CONDA_PREFIX": b"/e/conda/x", "CONDA_DEFAULT_ENV": b"x"}),
        ("pyenv", (b"/e/pyenv/x/bin",), {}),
        ("system", (), {}),
    ],
)
def test_what_each_kind_sets(kind, path, variables):
    active = activation.activation_of(env("x", kind), (), ())
    assert (active.path, dict(active.env), active.setup) == (path, variables, ())
    assert active.python == f"/e/{kind}/x/bin/python".encode()


def test_lines_come_in_order_project_then_tool_then_own():
    module = env("python/3.11", "module", setup=["module load python/3.11"], python=None)
    active = activation.activation_of(module, ("own",), ("project",))
    assert active.setup == ("project", "module load python/3.11", "own")
    assert active.python == b"python3"
    assert activation.activation_of(env("x", "conda", scripts=True), (), ()).setup[0].startswith("for _s in")


def test_without_lines_the_command_stays_as_it_is():
    argv = [b"python", b"-c", b"1"]
    assert activation.wrap(argv, Activation(path=(b"/x",))) is argv


def run(lines, argv, *, path=(), data=b"in", env_path=None, cwd=None):
    wrapped = activation.wrap([os.fsencode(word) for word in argv], Activation(setup=tuple(lines), path=path))
    variables = {"PATH": env_path or os.environ["PATH"], "HOME": "/"}
    return subprocess.run(wrapped, input=data, capture_output=True, env=variables, cwd=cwd, check=False)


@pytest.fixture(params=["bash", "sh"])
def shell_path(request, tmp_path):
    """A PATH with bash, and one without: then sh has to do."""
    for name in ("sh", "cat", "env", "printf", *(["bash"] if request.param == "bash" else [])):
        os.symlink(shutil.which(name), tmp_path / name)
    return str(tmp_path)


def test_lines_set_the_stage_and_leave_the_streams_alone(shell_path):
    done = run(
        ["export A='x y'", "cat", "echo noise"],
        ["sh", "-c", 'cat; echo "$A" "$@"', "sh", "a b", "*", ""],
        env_path=shell_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"inx y a b * \n", b"noise\n")


def test_a_line_that_fails_is_named_and_nothing_runs(shell_path):
    done = run(["an open 'quote"], ["sh", "-c", "echo ran"], env_path=shell_path)
    assert (done.returncode, done.stdout) == (2, b"")
    done = run(["true", "cat '/nonexistent/x y'"], ["sh", "-c", "echo ran"], env_path=shell_path)
    assert (done.returncode, done.stdout) == (activation.FAILED, b"")
    assert b"this setup line failed there: cat '/nonexistent/x y'" in done.stderr


def test_the_environment_comes_first_in_path_whatever_a_line_brings(shell_path):
    done = run([f"PATH=/brought:{shell_path}"], ["sh", "-c", "echo $PATH"], path=(b"/env/bin",), env_path=shell_path)
    assert done.stdout.decode() == f"/env/bin:/brought:{shell_path}\n"


def test_the_program_keeps_its_status_and_its_signals(shell_path):
    assert run(["true"], ["sh", "-c", "exit 5"], env_path=shell_path).returncode == 5
    assert run(["true"], ["sh", "-c", "kill -9 $$"], env_path=shell_path).returncode == -9


def test_source_of_a_file_in_the_projects_folder(tmp_path):
    (tmp_path / "env.sh").write_text("export C=3\n")
    assert run(["source ./env.sh"], ["sh", "-c", "echo $C"], cwd=tmp_path).stdout == b"3\n"


def test_the_newest_python_that_fits_is_the_base():
    envs = [
        env("a", "pyenv", version="3.9.1"),
        env("b", "pyenv", version="3.12.1"),
        env("c", "pyenv", version="3.12.10"),
        env("d", "venv", version="3.13.0"),
        env("e", "system", version="3.11.2"),
        env("f", "pyenv", version="2.7.18"),
        env("g", "pyenv", version="3.14.0", broken="gone"),
    ]

    def name(wanted):
        return _base(envs, wanted, strict=True)["name"]

    assert [name(wanted) for wanted in ("3.12", "3", None, "3.9.1", "/e/pyenv/b")] == ["c", "c", "e", "a", "b"]
    with pytest.raises(NoSuchEnv, match=r"found: 3.9.1, 3.11.2, 3.12.1, 3.12.10"):
        name("3.1")
    assert _base(envs, "3.1", strict=False) is None


def test_what_belongs_to_all_is_not_installed_into():
    assert refusal(env("x", writable=True)) is None
    assert "not yours" in refusal(env("x", "system", writable=True))
    assert "not yours" in refusal(env("x", writable=False))
