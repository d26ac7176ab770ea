"""The stand-in on disk: a project that stands at its local path has the environment at .afield without a view."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from afield.agent import ondisk, standin
from afield.agent.ground import UnsuitableError
from afield.errors import NoSuchView, NoView, ProtocolError

WHO = (
    "import json, multiprocessing as m, os, sys, ssl, tempfile\n"
    "def who(x): return sys.executable\n"
    "if __name__ == '__main__':\n"
    "    with m.get_context('spawn').Pool(1) as pool: child = pool.map(who, [1])[0]\n"
    "    print(json.dumps([sys.executable, child, sys.prefix, sys.base_prefix, json.__file__,\n"
    "          getattr(sys, '_base_executable', sys.executable)]))\n"
)


def made_venv(folder, python=sys.executable):
    base = os.path.join(sys.base_prefix, "bin", "python3") if python == sys.executable else python
    subprocess.run([base, "-m", "venv", "--without-pip", folder], check=True, capture_output=True)
    return os.fsencode(os.path.join(folder, "bin", "python"))


@pytest.fixture
def project(home):
    path = os.path.join(home, "my proj")
    os.mkdir(path)
    with open(os.path.join(path, "who.py"), "w") as file:
        file.write(WHO)
    return os.fsencode(path)


def stand(agent, project, python):
    return agent.call("view", folders=[[project, project]], env=python, make=False, disk=True)


def run(agent, view, *argv, cwd):
    done = agent.run(*argv, cwd=cwd, view=view["view"])
    assert done.status == 0, bytes(done.err)
    return bytes(done.out).decode()


def command(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o755)
    return path


@pytest.mark.parametrize("kind", ["itself", "venv"])
def test_every_python_finds_itself(home, project, start, any_python, kind):
    """Also the agent runs under that Python, so each of its releases builds it."""
    python = os.fsencode(any_python) if kind == "itself" else made_venv(os.path.join(home, "ml"), any_python)
    agent = start(python=any_python, env={"HOME": home})
    view = stand(agent, project, python)
    at, short = os.fsdecode(project) + "/.afield", ".".join(view["version"].split(".")[:2])
    found = json.loads(run(agent, view, view["python"], project + b"/who.py", cwd=project))
    assert found[:4] == [at + "/bin/python", at + "/bin/python", at, at + "/base"]
    assert found[4].startswith(f"{at}/base/lib/python{short}/")
    assert found[5].startswith(at)
    run(agent, view, view["python"], "-m", "venv", "--without-pip", "inner", cwd=project)
    code = "import sys; print(sys.prefix); print(sys.base_prefix)"
    inner = run(agent, view, project + b"/inner/bin/python", "-c", code, cwd=project)
    assert inner.splitlines() == [os.fsdecode(project) + "/inner", at + "/base"]
    assert stand(agent, project, python)["view"] == view["view"]


def test_commands_travel_and_are_known_to_the_next_agent(home, project, start, wait_until):
    python = made_venv(os.path.join(home, "ml"))
    real = os.path.join(home, "ml", "bin")
    command(real, "hello", f"#!{real}/python\nimport sys; print(sys.prefix)\n")
    command(real, "old", "#!/bin/sh\n")
    agent = start(env={"HOME": home})
    view = stand(agent, project, python)
    commands = project + b"/.afield/bin/"
    assert run(agent, view, commands + b"hello", cwd=project) == os.fsdecode(project) + "/.afield\n"
    script = b'printf \'#!%s\\nprint(1)\\n\' "$0python3" > "$0added"; chmod +x "$0added"; rm "$0old"'
    run(agent, view, "sh", "-c", script, commands, cwd=project)
    wait_until(lambda: os.path.exists(os.path.join(real, "added")) and not os.path.exists(os.path.join(real, "old")))
    with open(os.path.join(real, "added")) as file:
        assert file.readline() == f"#!{real}/python3\n"
    # What was installed on either side while no agent looked is found by the next one.
    agent.finish()
    command(os.fsdecode(commands), "left", f"#!{os.fsdecode(commands)}python\nprint(2)\n")
    command(real, "new", f"#!{real}/python\nimport sys; print(sys.prefix)\n")
    os.unlink(os.path.join(real, "hello"))
    agent = start(env={"HOME": home})
    view = stand(agent, project, python)
    assert run(agent, view, commands + b"new", cwd=project) == os.fsdecode(project) + "/.afield\n"
    assert subprocess.run([os.path.join(real, "left")], capture_output=True, check=True).stdout == b"2\n"


def test_another_environment_takes_the_place_of_the_first(home, project, start):
    first, second = (made_venv(os.path.join(home, name)) for name in ("one", "two"))
    command(os.path.join(home, "one", "bin"), "of-one", "#!/bin/sh\n")
    os.mkdir(os.path.join(home, "one", "man"))
    agent = start(env={"HOME": home})
    at = os.fsdecode(project) + "/.afield"
    stand(agent, project, first)
    assert os.path.exists(at + "/bin/of-one")
    assert os.readlink(at + "/man") == os.path.join(home, "one", "man")
    view = stand(agent, project, second)
    assert not os.path.lexists(at + "/bin/of-one")
    assert not os.path.lexists(at + "/man")
    assert os.path.exists(os.path.join(home, "one", "bin", "of-one"))
    code = "import sys; open(sys.prefix + '/lib/mark', 'w')"
    run(agent, view, view["python"], "-c", code, cwd=project)
    assert os.path.exists(os.path.join(home, "two", "lib", "mark"))


def test_what_was_removed_is_made_again(home, project, start):
    python = made_venv(os.path.join(home, "ml"))
    agent = start(env={"HOME": home})
    view = stand(agent, project, python)
    shutil.rmtree(project + b"/.afield")
    with pytest.raises(NoSuchView):
        agent.run("true", cwd=project, view=view["view"])
    view = stand(agent, project, python)
    run(agent, view, view["python"], "-c", "pass", cwd=project)
    assert os.path.isdir(os.path.join(home, "ml", "lib"))


def test_afield_of_a_shim_is_left_alone(home, project, start):
    """One folder for both sides: what stands there is the interpreter that tools here start."""
    python = made_venv(os.path.join(home, "ml"))
    os.makedirs(project + b"/.afield/bin")
    shim = command(os.fsdecode(project) + "/.afield/bin", "python", "#!/bin/sh\n")
    agent = start(env={"HOME": home})
    with pytest.raises(NoView, match="belongs to something else"):
        stand(agent, project, python)
    with open(shim) as file:
        assert file.read() == "#!/bin/sh\n"
    assert os.listdir(project + b"/.afield") == [b"bin"]


def test_nothing_is_shown_in_it(home, project, start):
    agent = start(env={"HOME": home})
    with pytest.raises(ProtocolError, match="got none"):
        agent.call("view", folders=[[project, project]], disk=True)
    view = stand(agent, project, made_venv(os.path.join(home, "ml")))
    with pytest.raises(NoView, match="without a view"):
        agent.call("view-bind", view=view["view"], binds=[[b"/etc", b"/elsewhere"]])


def test_state_of_the_sync_and_strange_names_stay(home, project):
    """A folder of the environment whose name the sync uses in ``.afield`` is not put over it; a spoilt record is made again."""
    python = made_venv(os.path.join(home, "ml"))
    for name in ("staging", "history"):
        os.mkdir(os.path.join(home, "ml", name))
    os.makedirs(project + b"/.afield/staging/1")
    env = standin.describe(python)
    for record in (None, b"", b"\xff spoilt"):
        if record is not None:
            with open(project + b"/.afield/standin", "wb") as file:
                file.write(record)
        ondisk.build(project, env)
        assert os.path.isdir(project + b"/.afield/staging/1")
        assert not os.path.islink(project + b"/.afield/staging")
        assert os.path.islink(project + b"/.afield/lib")
    # An afield that was set up on that machine since.
    os.unlink(project + b"/.afield/bin/python")
    command(os.fsdecode(project) + "/.afield/bin", "python", "#!/bin/sh\n")
    with pytest.raises(UnsuitableError, match=r"bin/python belongs"):
        ondisk.build(project, env)


def test_full_disk_leaves_what_was_there(home, project, monkeypatch):
    python = made_venv(os.path.join(home, "ml"))
    env = standin.describe(python)
    ondisk.build(project, env)
    copies = project + b"/.afield/base/bin"
    before = os.stat(copies + b"/python" + env["short"].encode())
    env["real"] = os.fsencode(command(home, "python-new", "#!/bin/sh\n"))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ondisk.os, "chmod", full)
    with pytest.raises(OSError, match="No space"):
        ondisk.build(project, env)
    assert os.stat(copies + b"/python" + env["short"].encode()).st_ino == before.st_ino
    assert not [name for name in os.listdir(copies) if name.endswith(b".part")]


def test_path_that_settings_cannot_hold_is_refused(home):
    python = made_venv(os.path.join(home, "ml"))
    with pytest.raises(UnsuitableError, match="UTF-8"):
        ondisk.build(os.fsencode(home) + b"/\xff", standin.describe(python))
