"""The interpreter itself: who it says it is, what it takes, what it gives back."""

import os
import subprocess

import pytest
from powerless import as_nobody_special
from wheelhouse import make_wheel
from world import tree_of


def test_the_program_runs_there(tools):
    assert tools.shim("-c", "import os; print(os.uname().nodename)").stdout == "a\n"


def test_arguments_and_streams_arrive_byte_for_byte(tools):
    data = bytes(range(256)) * 1000
    done = subprocess.run(
        [*tools.world.lab.client, tools.python, "-c", "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"],
        input=data,
        capture_output=True,
        cwd=tools.project,
        env=tools.env,
        check=True,
    )
    assert done.stdout == data
    code = "import sys; print(ascii(sys.argv[1:]))"
    assert tools.shim("-c", code, "", "a b", "*", "'q'", "x\ny").stdout == "['', 'a b', '*', \"'q'\", 'x\\ny']\n"


def test_a_script_outside_the_project_comes_with_what_it_imports(tools, tmp_path):
    folder = tmp_path / "elsewhere"
    (folder / "pack").mkdir(parents=True)
    (folder / "main.py").write_text("import sys, beside, pack.inner\nprint(beside.X, pack.inner.Y, sys.argv[1:])\n")
    (folder / "beside.py").write_text("X = 1\n")
    (folder / "pack" / "__init__.py").write_text("")
    (folder / "pack" / "inner.py").write_text("Y = 2\n")
    (folder / "secret.txt").write_text("no")
    assert tools.shim(folder / "main.py", "a").stdout == "1 2 ['a']\n"
    (folder / "beside.py").write_text("X = 3\n")
    assert tools.shim(folder / "main.py", "a").stdout == "3 2 ['a']\n"
    assert tools.shim("main.py", cwd=folder).stdout == "3 2 []\n"
    look = "import os,sys; print(os.path.exists(os.path.join(os.path.dirname(sys.argv[0]), 'secret.txt')))"
    (folder / "main.py").write_text(look)
    assert tools.shim(folder / "main.py").stdout == "False\n"


def test_what_is_written_outside_the_project_comes_back(tools, tmp_path):
    out = tmp_path / "out.xml"
    tools.shim("-c", "import sys; open(sys.argv[1].partition('=')[2], 'w').write('new')", f"--out={out}")
    assert out.read_text() == "new"
    code = "import sys,os; p=sys.argv[1]; print(open(p).read()); open(p,'a').write('+'); os.unlink(sys.argv[2])"
    other = tmp_path / "ids.txt"
    other.write_text("x")
    assert tools.shim("-c", code, out, other).stdout == "new\n"
    assert out.read_text() == "new+"
    assert not other.exists()


def test_a_folder_outside_gets_the_new_files_and_nothing_else(tools, tmp_path):
    folder = tmp_path / "stubs"
    folder.mkdir()
    (folder / "old").write_text("1")
    code = "import sys,os; os.mkdir(sys.argv[1]+'/a'); open(sys.argv[1]+'/a/b','w').write('2'); open(sys.argv[1]+'/x.pyc','w')"
    tools.shim("-c", code, folder)
    assert (folder / "a" / "b").read_text() == "2"
    assert sorted(os.listdir(folder)) == ["a", "old"]


def test_a_path_that_is_only_there_means_the_far_machine(tools):
    assert (
        tools.shim("-c", "import sys; print(sys.argv[1])", "/home/dev/.virtualenvs/ml/pyvenv.cfg").stdout
        == "/home/dev/.virtualenvs/ml/pyvenv.cfg\n"
    )


def test_the_exit_status_and_death_by_signal_are_exact(tools):
    assert tools.shim("-c", "import sys; sys.exit(37)", check=False).returncode == 37
    assert tools.shim("-c", "import os; os.kill(os.getpid(), 9)", check=False).returncode == -9


def test_the_environment_goes_along_without_secrets(tools):
    code = "import os; print(sorted(n for n in os.environ if n.startswith('T_')), os.environ.get('PYTHONHASHSEED'))"
    env = {"T_PLAIN": "1", "T_API_TOKEN": "x", "T_URL": "postgres://me:pw@db/x", "PYTHONHASHSEED": "7"}
    assert tools.shim("-c", code, env=env).stdout == "['T_PLAIN'] 7\n"


@pytest.mark.parametrize("way", ["twin"], indirect=True)
def test_uv_pip_install_never_writes_where_the_mirror_is_or_will_be(tools, way):
    make_wheel(tools.world.root / "wheels", "probe")
    words = ["pip", "install", "--no-index", "--find-links", tools.world.root / "wheels", "--python", tools.python]
    for action in (None, "sync", "remove"):
        if action:
            tools.world.afield("mirror", action)
        before = tree_of(tools.project / ".afield", ())
        done = tools.run(*as_nobody_special([tools.program("uv"), *words, "probe"]), check=False)
        assert done.returncode != 0, (action, done.stderr)
        assert "Installed" not in done.stderr
        left = tree_of(tools.project / ".afield", ())
        for found in (before, left):
            found.pop(b".lock", None)  # uv's own
        assert left == before
