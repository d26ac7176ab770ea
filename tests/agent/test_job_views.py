"""Jobs in views: they see the project at its local path for as long as they live, whatever becomes of the agent that made the view."""

import os
import shutil
import signal
import subprocess

import pytest
from jobs import end_all, job, view, wait_end

from afield.agent.mountpoints import Held
from afield.errors import NoSuchView

NOBODY = 65534
AS_NOBODY = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]


@pytest.fixture(params=["root", "user"])
def place(request, home, start):
    """Give (a function that starts an agent, the project there, its path here); what must be made there for it is gone afterwards."""
    if os.getuid() != 0:
        pytest.skip("needs root to be two users")
    there, local = os.path.join(home, "far"), os.path.join(home, "like/here/my proj")
    os.mkdir(there)
    os.chmod(home, 0o755)
    more = {}
    if request.param == "user":
        for path in (home, there):
            os.chown(path, NOBODY, NOBODY)
        more = {"python": "/usr/bin/python3", "prefix": AS_NOBODY}
    yield lambda: start(env={"HOME": home}, **more), os.fsencode(there), os.fsencode(local)
    end_all(home)
    assert not os.path.exists(os.path.join(home, "like"))
    assert not os.path.exists(os.path.join(home, ".local/share/afield/views"))


def in_view(agent, there, local, *argv, env=b"/usr/bin/python3", **wish):
    made = agent.call("view", folders=[[there, local]], env=env)
    return made, job(agent, *argv, cwd=local, view=made["view"], **wish)


def gated(home):
    gate = os.path.join(home, "gate")
    return gate, f"while ! test -e {gate}; do sleep 0.01; done"


def open_gate(gate):
    with open(gate, "w"):
        pass


@pytest.mark.parametrize("end", ["killed", "finished"])
def test_a_job_keeps_its_view_when_the_agent_is_gone(place, home, end, wait_until, alive):
    begin, there, local = place
    gate, wait = gated(home)
    agent = begin()
    made, state = in_view(
        agent, there, local, "sh", "-c", f"{wait}; pwd; .afield/bin/python -c 'import sys; print(sys.prefix)'"
    )
    pid = agent.agent_pid()
    os.kill(pid, signal.SIGKILL) if end == "killed" else agent.finish()
    wait_until(lambda: not alive(pid))
    open_gate(gate)
    agent = begin()
    assert wait_end(agent, state) == {"exit": 0}
    out = view(agent, state).wait_closed().out
    assert bytes(out).splitlines() == [local, local + b"/.afield"]
    assert made["python"] == local + b"/.afield/bin/python"
    wait_until(lambda: not os.path.exists(local))
    agent.finish()


def test_a_job_that_ends_takes_nothing_from_who_still_runs_there(place, home, wait_until):
    begin, there, local = place
    gate, wait = gated(home)
    agent = begin()
    _, longer = in_view(agent, there, local, "sh", "-c", f"{wait}; ls my* || ls; echo seen > result; pwd")
    made, shorter = in_view(agent, there, local, "true")
    assert wait_end(agent, shorter) == {"exit": 0}
    done = agent.run("sh", "-c", "echo 1 > mine; pwd", cwd=local, view=made["view"])
    assert bytes(done.out) == local + b"\n"
    agent.finish()
    agent = begin()
    in_new = agent.call("view", folders=[[there, local]], env=b"/usr/bin/python3")
    open_gate(gate)
    assert wait_end(agent, longer) == {"exit": 0}
    with open(os.path.join(there, b"result")) as file:
        assert file.read() == "seen\n"
    done = agent.run("cat", "mine", cwd=local, view=in_new["view"])
    assert bytes(done.out) == b"1\n"
    agent.finish()
    wait_until(lambda: not os.path.exists(local))


def test_commands_that_a_job_installs_reach_the_environment(home, start, wait_until):
    subprocess.run([shutil.which("python3"), "-m", "venv", "--without-pip", home + "/ml"], check=True)
    there, local = os.fsencode(home) + b"/far", os.fsencode(home) + b"/here"
    os.mkdir(there)
    agent = start(env={"HOME": home})
    script = 'printf \'#!%s\\nprint(1)\\n\' "$0/python" > "$0/added"; chmod +x "$0/added"; sleep 0.1'
    words = ("sh", "-c", script, local + b"/.afield/bin")
    made, state = in_view(agent, there, local, *words, env=os.fsencode(home) + b"/ml/bin/python")
    agent.finish()
    added = os.path.join(home, "ml/bin/added")
    wait_until(lambda: os.path.exists(added))
    assert subprocess.run([added], check=True, capture_output=True).stdout == b"1\n"
    wait_end(start(env={"HOME": home}), state)
    end_all(home)
    del made


def test_a_view_that_is_not_what_it_was_is_refused_before_anything_is_made(home, start):
    there, local = os.fsencode(home) + b"/far", os.fsencode(home) + b"/here"
    os.mkdir(there)
    agent = start(env={"HOME": home})
    made = agent.call("view", folders=[[there, local]])
    os.rename(there, there + b"-old")
    os.mkdir(there)
    with pytest.raises(NoSuchView):
        job(agent, "true", cwd=local, view=made["view"])
    with pytest.raises(NoSuchView):
        job(agent, "true", cwd=local, view=b"0" * 16)
    assert agent.call("jobs") == []


def test_the_last_user_of_a_mount_point_removes_it(tmp_path):
    top = os.fsencode(tmp_path)
    os.makedirs(top + b"/a/b/c")
    folder = str(tmp_path / "share" / "afield" / "views")
    first, second, third = (Held(folder, b"/shown") for _ in range(3))
    assert not second.hold([])  # nobody made anything
    assert first.hold([(b"/x", top + b"/a/b"), (b"/x", top + b"/a/b/c")])
    assert second.hold([])
    assert third.hold([(b"/x", top + b"/a")])
    first.release()
    third.release()
    assert os.path.isdir(top + b"/a/b/c")
    second.release()
    assert not os.path.exists(top + b"/a")
    assert not os.path.exists(tmp_path / "share" / "afield")
    second.release()


def test_without_locks_nothing_is_removed(tmp_path, monkeypatch):
    (tmp_path / "made").mkdir()
    blocked = tmp_path / "file"
    blocked.write_text("")
    held = Held(str(blocked / "views"), b"/shown")
    assert not held.hold([(b"/x", os.fsencode(tmp_path / "made"))])
    held.release()
    assert (tmp_path / "made").exists()
    # Spoilt lines are no paths.
    folder = str(tmp_path / "views")
    held = Held(folder, b"/shown")
    held.hold([(b"/x", os.fsencode(tmp_path / "made"))])
    with open(held.path, "ab") as file:
        file.write(b"zz\n\xff\n12")
    held.release()
    assert not (tmp_path / "made").exists()
