"""The twin on a real host: a user without root, a root file system of its own, a project path that does not exist there."""

import json
import pickle
import sqlite3

import pytest

SCRIPT = """
import json, multiprocessing, os, pathlib, pickle, sys, traceback


def who(_):
    return [os.getcwd(), sys.executable, __file__]


if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        child = pool.map(who, [0])[0]
    pickle.dump(pathlib.Path(__file__), open("path.pickle", "wb"))
    try:
        raise ValueError
    except ValueError:
        text = traceback.format_exc()
    import sqlite3
    with sqlite3.connect("trace.db") as db:
        db.execute("create table file (path text)")
        db.execute("insert into file values (?)", (who.__code__.co_filename,))
    print(json.dumps([who(0), child, text, os.getuid(), os.path.exists("/Users")]))
"""


@pytest.fixture
def twin(world):
    (world.project / "who.py").write_text(SCRIPT)
    world.init("a")
    world.afield("up", "--yes")
    found = json.loads(world.afield("doctor", "--json").stdout)
    assert found["way"] == "twin", found["rows"][3:5]
    return world


def test_everything_that_a_program_writes_names_paths_of_here(twin):
    here = str(twin.project)
    own, child, text, uid, _ = json.loads(twin.afield("python", "who.py").stdout)
    assert own[:2] == child[:2] == [here, f"{here}/.afield/bin/python"]
    assert (own[2], child[2]) == (f"{here}/who.py", f"{here}/who.py")
    assert f'File "{here}/who.py"' in text
    assert uid == 5001
    assert str(pickle.loads((twin.project / "path.pickle").read_bytes())) == f"{here}/who.py"
    with sqlite3.connect(twin.project / "trace.db") as db:
        assert db.execute("select path from file").fetchone() == (f"{here}/who.py",)
    db.close()


def test_environment_made_in_the_project_works_there(twin):
    here = str(twin.project)
    twin.afield("python", "-m", "venv", "--without-pip", "inner")
    code = "import sys; print(sys.prefix, sys.base_prefix)"
    done = twin.afield("run", f"{here}/inner/bin/python", "-c", code)
    assert done.stdout.split() == [f"{here}/inner", f"{here}/.afield/base"]


def test_no_mount_and_no_process_is_left_there(twin):
    def mounts():
        return twin.lab.a.run("sh", "-c", "cat /proc/[0-9]*/mountinfo | grep -c afield || true").stdout

    def plain():
        return twin.lab.a.run("cat", "/proc/1/mountinfo").stdout

    before = plain()
    twin.afield("python", "-c", "pass")
    assert plain() == before
    assert "no" in twin.afield("run", "sh", "-c", "sudo -n true 2>/dev/null || echo no").stdout
    twin.afield("down", "--stop-agent")
    assert int(mounts() or 0) == 0
