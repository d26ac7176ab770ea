"""Views: programs there run where the project stands at its local path, as root and as a user, and nothing of it is seen outside."""

import os
import shutil
import subprocess

import pytest

from afield.errors import NoSuchView, NoView, ProtocolError

NOBODY = 65534
AS_NOBODY = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
WHO = "import os, sys; print(os.getcwd(), sys.executable, sys.prefix, sys.base_prefix, os.getuid(), sep='\\n')"
KEY = "/afield-test-"


def local_path(home):
    """A path that stands nowhere on this machine."""
    return os.fsencode(KEY + os.path.basename(home) + "/me/my proj")


@pytest.fixture
def local(home):
    yield local_path(home)
    top = "/" + local_path(home).decode().split("/")[1]
    assert not os.path.exists(top), os.listdir(top)


@pytest.fixture(params=["root", "user"])
def place(request, home, local, start):
    """Give (agent, the project's folder there, as who)."""
    if os.getuid() != 0:
        pytest.skip("needs root to be two users")
    there = os.path.join(home, "far")
    os.mkdir(there)
    os.chmod(home, 0o755)
    if request.param == "user":
        os.chown(home, NOBODY, NOBODY)
        os.chown(there, NOBODY, NOBODY)
        return start(python="/usr/bin/python3", prefix=AS_NOBODY, env={"HOME": home}), os.fsencode(there), NOBODY
    return start(env={"HOME": home}), os.fsencode(there), 0


def at_the_top():
    """What stands in the root folder but for other tests' folders."""
    return [name for name in os.listdir("/") if not name.startswith(KEY[1:])]


def mounts():
    with open("/proc/self/mountinfo", "rb") as file:
        return [line for line in file if b"afield-test-" in line or KEY.encode() in line]


def in_view(agent, view, *argv, cwd, **more):
    return agent.run(*argv, cwd=cwd, view=view["view"], **more)


def test_program_sees_the_project_at_its_local_path_and_nobody_else_does(place, local):
    agent, there, uid = place
    assert agent.call("ways", there=there, local=local)["twin"] == {"ok": True, "why": None}
    view = agent.call("view", folders=[[there, local]], env=b"/usr/bin/python3")
    done = in_view(agent, view, view["python"], "-c", WHO, cwd=local)
    standin = os.fsdecode(local) + "/.afield"
    expected = [os.fsdecode(local), standin + "/bin/python", standin, standin + "/base", str(uid)]
    assert bytes(done.out).decode().splitlines() == expected, done.err
    in_view(agent, view, "sh", "-c", "echo made > result.txt", cwd=local)
    path = os.path.join(there, b"result.txt")
    with open(path, "rb") as file:
        assert file.read() == b"made\n"
    assert os.stat(path).st_uid == uid
    assert mounts() == []
    again = agent.call("view", folders=[[there, local]], env=b"/usr/bin/python3")
    assert again["view"] == view["view"]


def test_terminal_signals_and_status_are_as_without_a_view(place, local, wait_until):
    agent, there, _ = place
    view = agent.call("view", folders=[[there, local]])
    tty = {"rows": 11, "cols": 77, "term": "dumb"}
    done = in_view(agent, view, "sh", "-c", "stty size; tty; exit 3", cwd=local, tty=tty)
    assert (bytes(done.out).split()[:2], done.status) == ([b"11", b"77"], 3)
    assert b"/dev/pts/" in bytes(done.out)
    stream = agent.process_stream("sh", "-c", "echo on; exec sleep 100", cwd=local, view=view["view"])
    agent.wait(lambda: bytes(stream.out) == b"on\n")
    agent.link.send_message(stream.id, {"signal": 15})
    stream.wait_closed()
    assert {"killed": 15} in stream.messages
    with pytest.raises(ProtocolError):
        agent.run("true", view="no bytes")


def test_more_is_shown_while_programs_run(place, local, home):
    agent, there, uid = place
    helper = os.path.join(home, "helper")
    os.mkdir(helper)
    with open(os.path.join(helper, "tool.py"), "w") as file:
        file.write("print(__file__)\n")
    os.chmod(helper, 0o755)
    view = agent.call("view", folders=[[there, local]])
    shown = os.path.dirname(local) + b"/helpers/v 1"
    stream = agent.process_stream(
        "sh", "-c", 'read x; exec /usr/bin/python3 "$0/tool.py"', shown, cwd=local, view=view["view"]
    )
    assert agent.call("view-bind", view=view["view"], binds=[[os.fsencode(helper), shown]]) == {"bound": 1}
    assert agent.call("view-bind", view=view["view"], binds=[[os.fsencode(helper), shown]]) == {"bound": 0}
    stream.send(b"go\n")
    stream.end()
    stream.wait_closed()
    assert bytes(stream.out) == shown + b"/tool.py\n"
    # A folder that was removed and made anew is another one, and shown anew.
    shutil.rmtree(helper)
    os.mkdir(helper)
    os.chmod(helper, 0o755)
    with open(os.path.join(helper, "new"), "w"):
        pass
    assert agent.call("view-bind", view=view["view"], binds=[[os.fsencode(helper), shown]]) == {"bound": 1}
    assert bytes(in_view(agent, view, "ls", shown, cwd=local).out) == b"new\n"
    with pytest.raises(NoView, match="does not exist"):
        agent.call("view-bind", view=view["view"], binds=[[b"/no/such/thing", shown + b"2"]])
    with pytest.raises(NoSuchView):
        agent.call("view-bind", view=b"0" * 16, binds=[])
    del uid


def test_folder_that_is_missing_is_made_only_when_asked(place, local):
    agent, there, _ = place
    gone = os.path.dirname(there) + b"/unmounted/work"
    with pytest.raises(NoView, match="unmounted/work is not there") as caught:
        agent.call("view", folders=[[there, local], [gone, local + b"2"]], make=False)
    assert caught.value.details["missing"] is True
    assert not os.path.exists(os.path.dirname(gone))
    assert agent.call("view", folders=[[there, local]], make=False)["view"]


def test_nothing_is_left_of_a_view_that_could_not_be_made(place, local):
    agent, there, _ = place
    in_the_way = os.path.join(there, b".afield")
    with open(in_the_way, "w"):
        pass
    with pytest.raises(NoView, match="no view can be made there"):
        agent.call("view", folders=[[there, local]], env=b"/usr/bin/python3")
    assert not os.path.exists(os.path.dirname(local))
    os.unlink(in_the_way)
    view = agent.call("view", folders=[[there, local]], env=b"/usr/bin/python3")
    assert in_view(agent, view, "true", cwd=local).status == 0


def test_nothing_is_left_of_more_that_could_not_be_shown(place, local, home):
    agent, there, _ = place
    view = agent.call("view", folders=[[there, local]])
    file = os.path.join(os.fsencode(home), b"file")
    with open(file, "w"):
        pass
    helpers = os.path.dirname(local) + b"/helpers"
    with pytest.raises(NoView, match="cannot be shown there"):
        agent.call("view-bind", view=view["view"], binds=[[there, helpers], [file, there]])
    # What goes with the last who uses it, the fixture looks at.
    assert in_view(agent, view, "true", cwd=local).status == 0


def test_git_keeps_off_the_environment(home, local, start):
    """Asked what it would do: what it removed here would be the environment of a real Python."""
    python = made_venv(os.path.join(home, "ml"), "/usr/bin/python3", "--without-pip")
    there = os.path.join(home, "far")
    subprocess.run(["git", "init", "-q", there], check=True)
    agent = start(env={"HOME": home})
    view = agent.call("view", folders=[[os.fsencode(there), local]], env=os.fsencode(python))
    script = "touch mine; git add -A; git status --porcelain; touch junk; git clean -ndx"
    done = in_view(agent, view, "sh", "-c", script, cwd=local)
    assert bytes(done.out) == b"A  mine\nWould remove junk\n", done.err
    exclude = os.path.join(there, ".git/info/exclude")
    # Asked for again it is not written again.
    agent.call("view", folders=[[os.fsencode(there), local]], env=b"/usr/bin/python3")
    with open(exclude) as file:
        assert file.read().split("\n").count(".afield/") == 1


def test_repository_that_is_made_after_the_view_leaves_the_environment_out(home, local, start):
    there = os.path.join(home, "far")
    os.mkdir(there)
    agent = start(env={"HOME": home})
    view = agent.call("view", folders=[[os.fsencode(there), local]], env=b"/usr/bin/python3")
    done = in_view(agent, view, "sh", "-c", "touch mine; git init -q .", cwd=local)
    assert done.status == 0, done.err
    done = in_view(agent, view, "sh", "-c", "git add -A && git status --porcelain", cwd=local)
    assert bytes(done.out) == b"A  mine\n", done.err


def test_the_interpreter_below_an_environment_cannot_be_written_to(place, local, home):
    agent, there, uid = place
    python = made_venv(os.path.join(home, "ml"), "/usr/bin/python3", "--without-pip")
    for folder, folders, names in os.walk(os.path.join(home, "ml")):
        for name in [folder, *(os.path.join(folder, each) for each in folders + names)]:
            os.chown(name, uid, uid, follow_symlinks=False)
    view = agent.call("view", folders=[[there, local]], env=os.fsencode(python))
    base = ".afield/base/lib/python" + ".".join(view["version"].split(".")[:2])
    done = in_view(agent, view, "sh", "-c", f"true > {base}/afield-test-probe", cwd=local)
    told = bytes(done.err)
    assert b"Read-only file system" in told or (uid and b"Permission denied" in told), told
    done = in_view(agent, view, "test", "-w", ".afield/base/bin/python", cwd=local)
    assert done.status == 1
    done = in_view(agent, view, "sh", "-c", "true > .afield/lib/mine", cwd=local)
    assert done.status == 0, bytes(done.err)
    assert os.path.exists(os.path.join(home, "ml/lib/mine"))


def test_view_of_a_replaced_folder_is_refused_and_made_anew(place, local):
    agent, there, uid = place
    view = agent.call("view", folders=[[there, local]])
    os.rename(there, there + b"-old")
    os.mkdir(there)
    os.chown(there, uid, uid)
    with pytest.raises(NoSuchView):
        in_view(agent, view, "true", cwd=local)
    view = agent.call("view", folders=[[there, local]])
    in_view(agent, view, "touch", "new", cwd=local)
    assert os.listdir(there) == [b"new"]


def test_nothing_is_left_when_the_agent_has_ended(home, local, start, alive, wait_until):
    there = os.path.join(home, "far")
    agent = start(env={"HOME": home})
    view = agent.call("view", folders=[[os.fsencode(there), local]], env=b"/usr/bin/python3")
    assert view["python"] == local + b"/.afield/bin/python"
    pid = agent.agent_pid()
    assert agent.call("footprint")["processes"] == 1
    agent.finish()
    wait_until(lambda: not alive(pid))
    assert mounts() == []
    assert os.listdir(there) == [".afield"]


@pytest.mark.parametrize(
    "path",
    [
        b"/",
        b"/proc/x",
        b"/sys/fs/x",
        b"/dev/shm/x",
        b"/usr",
        b"/etc",
        b"relative",
        b"/a/../b",
        b"/tmp",
        b"/usr/bin/env/x",
    ],
)
def test_path_that_would_break_the_place_is_refused_with_a_reason(agent, home, path):
    there = os.fsencode(home)
    before = at_the_top()
    told = agent.call("ways", there=there, local=path)
    assert not told["twin"]["ok"]
    assert told["twin"]["why"]
    with pytest.raises(NoView):
        agent.call("view", folders=[[there, path]])
    assert at_the_top() == before


@pytest.mark.parametrize(
    "name", [b"a b", b"a\nb", b"\xff\xfe", "ümlaut ☃".encode(), b"quo'te\"$x`", b"-dash", b"%s,:="]
)
def test_odd_names_work(place, name, home):
    agent, there, _ = place
    local = os.fsencode(home) + b"/odd/" + name
    view = agent.call("view", folders=[[there, local]])
    done = in_view(agent, view, "sh", "-c", "pwd; touch x", cwd=local)
    assert bytes(done.out) == local + b"\n"
    assert b"x" in os.listdir(there)
    if b"\n" in name or b"\xff" in name:
        with pytest.raises(NoView, match=r"pyvenv\.cfg"):
            agent.call("view", folders=[[there, local]], env=b"/usr/bin/python3")
    else:
        view = agent.call("view", folders=[[there, local]], env=b"/usr/bin/python3")
        done = in_view(agent, view, view["python"], "-c", "import sys, os; print(os.fsencode(sys.prefix))", cwd=local)
        assert bytes(done.out).decode().strip() == repr(local + b"/.afield"), done.err


def test_file_or_symlink_in_the_way(place, home, local):
    agent, there, uid = place
    base = os.path.join(home, "mine")
    os.mkdir(base)
    os.chown(base, uid, uid)
    with open(os.path.join(base, "file"), "w"):
        pass
    os.symlink(os.fsdecode(there), os.path.join(base, "link"))
    for name in ("file", "file/below", "link/below"):
        with pytest.raises(NoView):
            agent.call("view", folders=[[there, os.fsencode(os.path.join(base, name))]])


def test_what_the_user_makes_elsewhere_in_a_view_stays(place, home, local):
    agent, there, _ = place
    view = agent.call("view", folders=[[there, local]], env=b"/usr/bin/python3")
    done = in_view(
        agent,
        view,
        "sh",
        "-c",
        'echo 1 > "$HOME/kept"; touch "$0/lost" && echo made',
        os.path.dirname(local),
        cwd=local,
    )
    with open(os.path.join(home, "kept")) as file:
        assert file.read() == "1\n"
    if b"made" in bytes(done.out):  # root may write everywhere
        os.unlink(os.path.join(os.path.dirname(local), b"lost"))
    else:
        assert b"Permission denied" in bytes(done.err)


def made_venv(folder, python, *words):
    subprocess.run([python, "-m", "venv", *words, folder], check=True, capture_output=True)
    return os.path.join(folder, "bin", "python")


def test_commands_travel_between_view_and_environment(home, local, start, wait_until):
    python = made_venv(os.path.join(home, "ml"), shutil.which("python3") or "/usr/bin/python3", "--without-pip")
    real = os.path.join(home, "ml", "bin")
    with open(os.path.join(real, "hello"), "w") as file:
        file.write(f"#!{real}/python\nimport sys; print(sys.prefix, sys.argv[0])\n")
    os.chmod(os.path.join(real, "hello"), 0o755)
    agent = start(env={"HOME": home})
    there = os.fsencode(os.path.join(home, "far"))
    view = agent.call("view", folders=[[there, local]], env=os.fsencode(python))
    commands = local + b"/.afield/bin/"
    done = in_view(agent, view, commands + b"hello", cwd=local)
    assert bytes(done.out) == local + b"/.afield " + commands + b"hello\n", done.err
    script = b'printf \'#!%s\\nprint(1)\\n\' "$0python3" > "$0added"; chmod +x "$0added"; rm "$0hello"'
    in_view(agent, view, "sh", "-c", script, commands, cwd=local)
    wait_until(lambda: os.path.exists(os.path.join(real, "added")) and not os.path.exists(os.path.join(real, "hello")))
    with open(os.path.join(real, "added"), "rb") as file:
        assert file.readline() == os.fsencode(f"#!{real}/python3\n")


@pytest.mark.parametrize("kind", ["itself", "venv"])
def test_every_python_finds_itself_in_the_view(home, local, start, any_python, kind):
    """Also the agent runs under that Python, so each of its releases makes and enters views."""
    python = any_python if kind == "itself" else made_venv(os.path.join(home, "ml"), any_python, "--without-pip")
    agent = start(python=any_python, env={"HOME": home})
    there = os.fsencode(os.path.join(home, "far"))
    view = agent.call("view", folders=[[there, local]], env=os.fsencode(python))
    code = (
        "import json, multiprocessing as m, os, sys, ssl, tempfile\n"
        "def who(x): return sys.executable\n"
        "if __name__ == '__main__':\n"
        "    with m.get_context('spawn').Pool(1) as pool: child = pool.map(who, [1])[0]\n"
        "    print(json.dumps([sys.executable, child, sys.prefix, sys.base_prefix, json.__file__, __file__,\n"
        "          getattr(sys, '_base_executable', sys.executable), [p for p in sys.path if not p.startswith(sys.prefix)]]))\n"
    )
    os.makedirs(there, exist_ok=True)
    with open(os.path.join(there, b"who.py"), "w") as file:
        file.write(code)
    done = in_view(agent, view, view["python"], local + b"/who.py", cwd=local)
    import json

    found = json.loads(bytes(done.out) or bytes(done.err))
    at, short = os.fsdecode(local) + "/.afield", ".".join(view["version"].split(".")[:2])
    assert found[:4] == [at + "/bin/python", at + "/bin/python", at, at + "/base"]
    assert found[4].startswith(f"{at}/base/lib/python{short}/")
    assert found[5] == os.fsdecode(local) + "/who.py"
    assert found[6].startswith(at)
    assert found[7] == [os.fsdecode(local)]
    done = in_view(agent, view, view["python"], "-m", "venv", "--without-pip", "inner", cwd=local)
    assert done.status == 0, done.err
    done = in_view(
        agent,
        view,
        local + b"/inner/bin/python",
        "-c",
        "import sys; print(sys.prefix); print(sys.base_prefix)",
        cwd=local,
    )
    assert bytes(done.out).decode().splitlines() == [os.fsdecode(local) + "/inner", at + "/base"], done.err
