"""Jobs at a real agent: they need it only to be started and looked at."""

import os
import signal
import stat
import time

import pytest
from jobs import end_all, job, view, wait_end

from afield.agent import jobkeeper
from afield.errors import NoSuchProcess, ProcessError


@pytest.fixture
def base(home):
    yield os.path.join(home, ".local/share/afield/jobs")
    end_all(home)


def find(agent, state):
    return next(row for row in agent.call("jobs") if row["id"] == state["id"])


def test_a_job_runs_and_tells_how_it_ended(agent, base):
    state = job(agent, "sh", "-c", "echo out; echo err >&2; exit 3", name="first")
    assert (state["name"], state["number"]) == ("first", 1)
    assert wait_end(agent, state) == {"exit": 3}
    shown = view(agent, state).wait_closed()
    assert (shown.out, shown.err) == (b"out\n", b"err\n")
    row = find(agent, state)
    assert (row["state"], row["exit"], row["output"]) == ("exited", {"exit": 3}, len("out\nerr\n"))
    assert row["created"] <= row["started"] <= row["ended"]


def test_a_signal_is_told_exactly(agent, base):
    state = job(agent, "sh", "-c", "kill -USR1 $$")
    assert wait_end(agent, state) == {"killed": int(signal.SIGUSR1)}


def test_what_was_in_the_pipe_at_the_end_is_kept(agent, base):
    state = job(agent, "sh", "-c", "head -c 3000000 /dev/zero; echo end")
    assert wait_end(agent, state) == {"exit": 0}
    assert view(agent, state).wait_closed().out == bytes(3000000) + b"end\n"


def test_output_is_counted_while_the_job_runs(agent, base, wait_until):
    state = job(agent, "sh", "-c", "echo one; sleep 600")
    wait_until(lambda: find(agent, state)["output"])
    assert find(agent, state)["output"] == len("one\n")
    agent.call("job-stop", job=state["id"], signal=int(signal.SIGKILL))
    wait_end(agent, state)


def test_the_folder_is_private_and_holds_no_value_of_the_environment(agent, base):
    state = job(agent, "true", env={"TOKEN": b"hidden-value"})
    wait_end(agent, state)
    folder = os.path.join(base, state["id"])
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            with open(path, "rb") as file:
                assert b"hidden-value" not in file.read()
    assert "TOKEN" in find(agent, state)["env"]


def test_a_command_that_does_not_exist_is_told_and_leaves_nothing(agent, base):
    with pytest.raises(ProcessError, match="no such command"):
        job(agent, "no-such-program-anywhere")
    assert agent.call("jobs") == []


def test_following_shows_what_was_and_what_comes(agent, base, home):
    gate = os.path.join(home, "gate")
    state = job(agent, "sh", "-c", f"echo one; while ! test -e {gate}; do sleep 0.01; done; echo two")
    stream = view(agent, state, follow=True, result=True)
    agent.wait(lambda: stream.out == b"one\n")
    with open(gate, "w"):
        pass
    assert stream.wait_closed().out == b"one\ntwo\n"
    assert stream.messages[-1] == {"exit": 0}


def test_a_job_outlives_its_agent_and_the_next_one_finds_it(start, base, home, wait_until, alive):
    gate = os.path.join(home, "gate")
    first = start()
    state = job(first, "sh", "-c", f"echo one; while ! test -e {gate}; do sleep 0.01; done; echo two; exit 7")
    pid = first.agent_pid()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not alive(pid))
    first.forget()
    second = start()
    assert second.agent_pid() != pid
    assert find(second, state)["state"] == "running"
    stream = view(second, state, follow=True, result=True)
    with open(gate, "w"):
        pass
    assert stream.wait_closed().out == b"one\ntwo\n"
    assert stream.messages[-1] == {"exit": 7}


def test_a_job_outlives_an_upgrade_of_the_agent(start, base, home, alive, wait_until):
    from afield.deploy.bundle import pack, portable_sources

    old = start()
    state = job(old, "sh", "-c", "read line; echo $line; exit 2", tty={"rows": 10, "cols": 20})
    pid = old.agent_pid()
    old.leave()
    wait_until(lambda: not alive(pid))
    sources = portable_sources()
    sources["afield.agent"] += b"# newer\n"
    new = start(bundle=pack(sources))
    assert new.bundle.sha256 != old.bundle.sha256
    stream = view(new, state, follow=True, input=True, result=True)
    stream.send(b"typed\n")
    assert stream.wait_closed().messages[-1] == {"exit": 2}
    assert stream.out.endswith(b"typed\r\n")


def test_a_killed_keeper_is_told_and_its_program_can_be_stopped(agent, base, wait_until, alive):
    state = job(agent, "sleep", "1000")
    os.kill(state["keeper"][0], signal.SIGKILL)
    wait_until(lambda: find(agent, state)["state"] == "keeper gone")
    row = find(agent, state)
    assert row["alive"]
    stream = view(agent, state, follow=True, result=True)
    with pytest.raises(ProcessError, match="keeper was killed"):
        stream.wait_closed()
    assert agent.call("job-stop", job=state["id"])["reached"]
    wait_until(lambda: not alive(row["process"][0]))


def test_a_reboot_is_told(agent, base):
    from afield.wire.values import decode, encode

    state = job(agent, "sleep", "1000")
    path = os.path.join(base, state["id"], "state")
    with open(path, "rb") as file:
        value = decode(file.read())
    agent.call("job-stop", job=state["id"], signal=9)
    wait_end(agent, state)
    with open(path, "wb") as file:
        file.write(encode({**value, "boot": "another"}))
    assert find(agent, state)["state"] == "lost in a reboot"


def test_two_that_stop_at_once_end_it_once(agent, base):
    state = job(agent, "sh", "-c", "trap 'echo got it; exit 5' TERM; echo ready; while :; do sleep 0.01; done")
    stream = view(agent, state, follow=True, result=True)
    agent.wait(lambda: stream.out == b"ready\n")
    agent.open(do="call", name="job-stop", args={"job": state["id"]})
    agent.open(do="call", name="job-stop", args={"job": state["id"]})
    assert stream.wait_closed().messages[-1] == {"exit": 5}
    assert stream.out == b"ready\ngot it\n"


def test_of_two_that_stop_it_the_less_patient_counts(agent, base):
    state = job(agent, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done")
    stream = view(agent, state, follow=True, result=True)
    agent.wait(lambda: stream.out == b"ready\n")
    agent.call("job-stop", job=state["id"], grace=600_000)
    agent.call("job-stop", job=state["id"], grace=100)
    assert stream.wait_closed().messages[-1] == {"killed": 9}


@pytest.mark.parametrize(
    ("state", "lingers", "leader", "reached"),
    [
        ("running", False, "1", True),
        ("exited", False, None, False),
        ("exited", True, None, True),
        ("exited", True, "2", False),
    ],
)
def test_a_stop_that_comes_after_the_end_reaches_what_lingers_and_nobody_else(
    monkeypatch, state, lingers, leader, reached
):
    # Without a leader of that number (or with the same one) the group is still the job's; else the number is another's by now.
    keeper = jobkeeper.JobKeeper.__new__(jobkeeper.JobKeeper)
    keeper._pid, keeper._master = 4242, -1
    keeper.state = {"state": state, "lingers": lingers, "process": [4242, "1"]}
    sent = []
    monkeypatch.setattr(jobkeeper, "start_time", lambda pid: leader)
    monkeypatch.setattr(os, "killpg", lambda group, number: sent.append((group, number)))
    keeper._signal(signal.SIGTERM)
    assert sent == ([(4242, signal.SIGTERM)] if reached else [])


def test_what_ignores_the_signal_is_killed_after_the_grace(agent, base):
    state = job(agent, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done")
    stream = view(agent, state, follow=True, result=True)
    agent.wait(lambda: stream.out == b"ready\n")
    agent.call("job-stop", job=state["id"], grace=100)
    assert stream.wait_closed().messages[-1] == {"killed": 9}


def test_a_job_that_daemonizes_has_ended_and_what_goes_on_is_still_kept(agent, base, home, wait_until):
    gate = os.path.join(home, "gate")
    script = f"(trap '' HUP; while ! test -e {gate}; do sleep 0.01; done; echo late) & echo early; exit 4"
    state = job(agent, "sh", "-c", script)
    assert wait_end(agent, state) == {"exit": 4}
    assert find(agent, state)["lingers"]
    assert find(agent, state)["writes"]
    with open(gate, "w"):
        pass
    wait_until(lambda: not find(agent, state)["lingers"])
    assert view(agent, state).wait_closed().out == b"early\nlate\n"


def test_what_a_job_left_behind_can_be_stopped(agent, base, wait_until):
    state = job(agent, "sh", "-c", "sleep 1000 & exit 4")
    assert wait_end(agent, state) == {"exit": 4}
    assert find(agent, state)["lingers"]
    assert agent.call("job-stop", job=state["id"])["reached"]
    wait_until(lambda: not find(agent, state)["lingers"])


def test_a_stop_that_meets_a_keeper_which_is_just_leaving_is_no_error(agent, base):
    state = job(agent, "sleep", "1000")
    os.unlink(os.path.join(base, state["id"], "sock"))
    assert agent.call("job-stop", job=state["id"]) == {"reached": False}
    assert find(agent, state)["state"] == "running"


def test_two_clients_of_a_terminal_see_the_same_and_both_type(agent, base):
    state = job(
        agent, "sh", "-c", "stty -echo; echo ready; read a; read b; echo $a-$b; stty size", tty={"rows": 10, "cols": 20}
    )
    views = [view(agent, state, follow=True, input=True, result=True) for _ in range(2)]
    agent.wait(lambda: all(b"ready" in each.out for each in views))
    views[1].message({"resize": [30, 90]})
    views[0].send(b"left\n")
    views[1].send(b"right\n")
    for each in views:
        each.wait_closed()
        assert each.messages[-1] == {"exit": 0}
        assert b"30 90" in each.out
    assert views[0].out == views[1].out
    assert b"left-right" in views[0].out or b"right-left" in views[0].out


def test_a_job_follows_another_s_success(agent, base, home):
    gate = os.path.join(home, "gate")
    first = job(agent, "sh", "-c", f"while ! test -e {gate}; do sleep 0.01; done; echo first", name="a")
    second = job(agent, "sh", "-c", "echo second", name="b", after=[first["id"]])
    assert second["state"] == "waiting"
    with open(gate, "w"):
        pass
    assert wait_end(agent, second) == {"exit": 0}
    assert find(agent, first)["ended"] <= find(agent, second)["started"]


def test_a_job_that_was_waited_for_may_be_removed_as_soon_as_it_has_ended(agent, base, home):
    gates = [os.path.join(home, name) for name in ("one", "two")]
    one, two = (job(agent, "sh", "-c", f"while ! test -e {gate}; do sleep 0.01; done") for gate in gates)
    last = job(agent, "true", after=[one["id"], two["id"]])
    for state, gate in ((one, gates[0]), (two, gates[1])):
        assert find(agent, last)["state"] == "waiting"
        with open(gate, "w"):
            pass
        wait_end(agent, state)
        agent.call("job-remove", job=state["id"])
    assert wait_end(agent, last) == {"exit": 0}


def test_a_job_is_skipped_after_a_failure_unless_any_end_will_do(agent, base):
    failed = job(agent, "false")
    wait_end(agent, failed)
    skipped = job(agent, "true", after=[failed["id"]])
    assert skipped["state"] == "skipped"
    with pytest.raises(ProcessError, match="did not succeed"):
        wait_end(agent, skipped)
    assert wait_end(agent, job(agent, "true", after=[failed["id"]], after_any=True)) == {"exit": 0}


def test_a_name_is_taken_as_long_as_its_job_runs(agent, base):
    state = job(agent, "sleep", "1000", name="train")
    with pytest.raises(ProcessError, match="there already"):
        job(agent, "true", name="train")
    with pytest.raises(ProcessError, match="has not ended"):
        agent.call("job-remove", job=state["id"])
    agent.call("job-remove", job=state["id"], force=True)
    assert agent.call("jobs") == []
    with pytest.raises(NoSuchProcess):
        agent.call("job-stop", job=state["id"])


def test_the_end_is_told_to_a_command_there(agent, base, home, wait_until):
    path = os.path.join(home, "told")
    job(
        agent,
        "sh",
        "-c",
        "exit 6",
        name="n",
        command=f"echo $AFIELD_JOB_NAME $AFIELD_JOB_EXIT > {path}.tmp; mv {path}.tmp {path}".encode(),
    )
    wait_until(lambda: os.path.exists(path))
    with open(path) as file:
        assert file.read() == "n 6\n"


def test_the_last_lines_and_the_time_of_each(agent, base):
    state = job(agent, "sh", "-c", "for i in 1 2 3 4 5; do echo $i; done")
    wait_end(agent, state)
    assert view(agent, state, lines=2).wait_closed().out == b"4\n5\n"
    timed = view(agent, state, lines=1, times=0).wait_closed().out
    assert timed.startswith(time.strftime("%Y-", time.gmtime()).encode())
    assert timed.endswith(b" 5\n")
    assert view(agent, state, since=int((time.time() + 60) * 1e6)).wait_closed().out == b""


def test_who_comes_back_gets_what_is_missing(agent, base):
    state = job(agent, "sh", "-c", "echo abc; echo def")
    wait_end(agent, state)
    first = view(agent, state).wait_closed()
    start = first.messages[0]["attached"]["start"]
    assert view(agent, state, start=start, out=5).wait_closed().out == b"ef\n"


def test_clean_ends_every_job_and_removes_everything(agent, base, alive):
    state = job(agent, "sleep", "1000", name="x")
    assert agent.call("jobs-clean") == {"removed": ["x"], "kept": []}
    assert not os.path.exists(base)
    assert not alive(state["process"][0])
    assert not alive(state["keeper"][0])
