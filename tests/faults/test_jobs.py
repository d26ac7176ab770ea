"""Jobs over a real sshd: whatever is killed between here and there, they run on and tell exactly how they ended."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
from typist import Typist
from world import wait_for

pytestmark = [pytest.mark.ssh, pytest.mark.slow, pytest.mark.timeout(180)]

COUNT = "import sys, time\nfor i in range(40):\n    print(i, flush=True); time.sleep(0.05)\nprint('end', file=sys.stderr)\nsys.exit(5)"
WHOLE = b"".join(b"%d\n" % i for i in range(40))


@pytest.fixture
def up(world):
    world.afield("up", "--yes")
    yield world
    # Jobs outlive everything: what a failed test left is ended through their folders.
    world.afield("clean", "--yes", "--force", check=False)


def jobs(world, *words):
    return json.loads(world.afield("jobs", "--json", *words).stdout)


def start(world, *words):
    return json.loads(world.afield(*words[:1], "-d", "--json", *words[1:]).stdout)["id"]


def test_a_job_runs_in_the_project_and_is_listed(up):
    (up.project / "hello.py").write_text("import os, sys; print('hello', os.getcwd()); sys.exit(3)")
    said = up.afield("python", "-d", "--name", "hi", "hello.py")
    assert "job 1 (hi) runs" in said.stdout
    assert up.afield("wait", "hi", check=False).returncode == 3
    assert up.afield("logs", "hi").stdout == f"hello {up.project}\n"
    (row,) = jobs(up)
    assert (row["name"], row["exit"], row["argv"]) == ("hi", {"exit": 3}, ["python", "hello.py"])
    assert "exit 3" in up.afield("jobs").stdout


@pytest.mark.parametrize("victim", ["ssh", "daemon", "agent"])
def test_a_view_goes_on_over_every_kill(up, victim):
    start(up, "python", "--name", "n", "-c", COUNT)
    process = up.start(*up.argv("attach", "n"))
    seen = b"".join(process.stdout.readline() for _ in range(5))
    if victim == "ssh":
        up.kill_link()
    else:
        os.kill(up.daemon_pid() if victim == "daemon" else up.agent_pid(), signal.SIGKILL)
    out, err = process.communicate(timeout=100)
    assert (seen + out, process.returncode) == (WHOLE, 5), err
    assert err.endswith(b"end\n")
    assert up.afield("wait", "n", check=False).returncode == 5


def test_a_signal_is_the_exit_status_of_wait(up):
    start(up, "run", "--name", "s", "sh", "-c", "kill -TERM $$")
    assert up.afield("wait", "s", check=False).returncode == 128 + signal.SIGTERM


def test_stop_ends_it_and_rm_removes_it(up):
    start(up, "run", "--name", "long", "sleep", "1000")
    assert "signal 15" in up.afield("stop", "long").stdout
    assert up.afield("rm", "long").stdout == "removed long\n"
    assert jobs(up) == []


def test_ctrl_c_leaves_the_log_and_not_the_job(up):
    start(up, "run", "--name", "long", "sh", "-c", "echo ready; sleep 1000")
    process = up.start(*up.argv("logs", "-f", "long"))
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert jobs(up)[0]["state"] == "running"


def test_results_come_back_and_an_edit_here_is_not_overwritten(up):
    (up.project / ".gitignore").write_text("runs/\n")
    script = "mkdir -p runs/a; echo 1 > runs/a/m.csv; echo 2 > runs/other.bin"
    start(up, "run", "--name", "r", "--sync-back", "runs/**/*.csv", "sh", "-c", script)
    path = up.project / "runs/a/m.csv"
    wait_for(path.exists, what="the result")
    assert path.read_text() == "1\n"
    assert not (up.project / "runs/other.bin").exists()
    wait_for(lambda: "fetched" in jobs(up)[0]["marks"], what="the mark")
    path.write_text("mine\n")
    start(up, "run", "--name", "q", "--sync-back", "runs/**/*.csv", "sh", "-c", "echo 3 > runs/a/m.csv")
    wait_for(lambda: "fetched" in jobs(up)[-1]["marks"], what="the mark")
    assert path.read_text() == "mine\n"
    assert (up.project / "runs/a/m.job-2.csv").read_text() == "3\n"


def test_results_come_back_to_the_next_daemon(up):
    (up.project / ".gitignore").write_text("runs/\n")
    gate = up.root / "gate"
    script = f"while ! test -e {gate}; do sleep 0.05; done; mkdir runs; echo 1 > runs/m"
    start(up, "run", "--name", "r", "--sync-back", "runs/*", "sh", "-c", script)
    os.kill(up.daemon_pid(), signal.SIGKILL)
    gate.touch()
    there = Path(up.there) / "runs/m"
    wait_for(there.exists, what="the result there")
    up.afield("status")
    up.afield("up")
    wait_for((up.project / "runs/m").exists, what="the result")


def test_what_follows_a_job_starts_while_nobody_is_there(up):
    gate, told = up.root / "gate", up.root / "told"
    start(up, "run", "--name", "first", "sh", "-c", f"while ! test -e {gate}; do sleep 0.05; done")
    start(up, "run", "--name", "second", "--after", "first", "sh", "-c", f"echo second > {told}")
    os.kill(up.daemon_pid(), signal.SIGKILL)
    up.kill_link() if up.ssh_pids() else None
    gate.touch()
    wait_for(told.exists, what="the second job")
    assert up.afield("wait", "first", "second").returncode == 0


def test_the_desktop_hears_of_the_end_once(up):
    tools = up.root / "tools"
    tools.mkdir()
    (tools / "notify-send").write_text(f'#!/bin/sh\necho "$2" >> {up.root}/shown\n')
    (tools / "notify-send").chmod(0o755)
    up.afield("daemon", "stop", "--force")
    up.env["PATH"] = f"{tools}:{up.env.get('PATH', os.environ['PATH'])}"
    up.afield("up")
    start(up, "run", "--name", "n", "--notify", "sh", "-c", "exit 4")
    wait_for(lambda: "told" in jobs(up)[0]["marks"], what="the mark")
    assert (up.root / "shown").read_text() == "afield: n failed with exit status 4\n"
    up.afield("down")
    up.afield("up")
    up.afield("wait", "n", check=False)
    assert (up.root / "shown").read_text().count("\n") == 1


@pytest.mark.parametrize("verb", [["logs", "-f"], ["attach"]])
def test_on_a_terminal_ctrl_c_leaves_the_output_of_a_job_and_the_job_goes_on(up, verb):
    start(up, "run", "--name", "tick", "sh", "-c", "while :; do echo tick; echo tock; sleep 0.1; done")
    with Typist(up.argv(*verb, "tick"), cwd=up.project, env=up.env) as person:
        person.wait_for("tick\r\ntock\r\n")  # the terminal is as it was: a line ends at its begin
        assert person.type("\x03").finish() == -signal.SIGINT
    assert jobs(up)[0]["state"] == "running"


def test_two_terminals_share_a_job(up):
    import pty

    code = "import os; print('ready', flush=True); print('got', input(), flush=True); print(*os.get_terminal_size())"
    start(up, "python", "--pty", "--name", "t", "-c", code)
    ends = []
    for _ in range(2):
        master, slave = pty.openpty()
        process = up.start(*up.argv("attach", "t"), stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        ends.append((process, master))
    seen = [b"", b""]

    def shows(number, text):
        def test():
            os.set_blocking(ends[number][1], False)
            try:
                seen[number] += os.read(ends[number][1], 65536)
            except (BlockingIOError, OSError):
                pass
            return text in seen[number]

        return test

    for number in (0, 1):
        wait_for(shows(number, b"ready"), what="the terminal")
    os.write(ends[0][1], b"\x1c\x1c")
    wait_for(shows(0, b"detached"), what="the end of the view")
    assert ends[0][0].wait(timeout=30) == 0
    os.write(ends[1][1], b"key\n")
    wait_for(shows(1, b"got key"), what="the answer")
    assert ends[1][0].wait(timeout=30) == 0
    for _, master in ends:
        os.close(master)


def test_status_down_and_clean_know_jobs(up):
    start(up, "run", "--name", "long", "sleep", "1000")
    assert "1 job" in up.afield("status").stdout
    down = up.afield("down")
    assert "1 job goes on" in down.stdout + down.stderr
    plan = up.afield("clean", "--dry-run").stdout
    assert "job long" in plan
    other = up.root / "other"
    other.mkdir()
    settings = (up.project / "afield.toml").read_text()
    (other / "afield.toml").write_text(re.sub("folder = .*", 'folder = "~/other"', settings))
    assert json.loads(up.afield("-C", str(other), "jobs", "--all", "--json").stdout)
    up.afield("-C", str(other), "clean", "--yes", "--keep-other-jobs")
    assert "running" in up.afield("jobs").stdout
    done = up.afield("clean", "--yes").stdout
    assert "job long" in done
    assert not list(up.home.glob("**/jobs/*"))
