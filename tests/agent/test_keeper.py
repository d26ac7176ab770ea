"""How agents meet, stay, leave and clean up after one that was killed."""

import os
import signal
import stat
import subprocess
import time

import pytest

from afield.testing.agent import AgentDriver


def run_files(home):
    folder = os.path.join(home, "run")
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def test_second_login_joins_the_agent_that_is_there(agent, start):
    second = start()
    assert second.agent_pid() == agent.agent_pid()
    assert not second.reply.need
    assert bytes(second.run("echo", "second").out) == b"second\n"
    assert agent.call("footprint")["processes"] == 2, "the agent and one sleeping login"


def test_second_login_ends_when_its_link_is_cut(agent, start):
    second = start()
    second.cut()
    assert second.processes[0].wait(10) == 0
    assert agent.call("ping")


def test_agent_lives_on_when_the_first_login_is_cut(agent, start):
    pid = agent.agent_pid()
    second = start()
    second.call("ping")
    agent.cut()
    assert second.agent_pid() == pid
    agent.dial()
    assert agent.agent_pid() == pid


def test_killed_bridge_costs_nothing(agent, start):
    second = start()
    second.processes[0].send_signal(signal.SIGKILL)
    second.processes[0].wait()
    assert bytes(second.run("echo", "alive").out) == b"alive\n"


@pytest.mark.parametrize("round_", range(3))
def test_starters_at_once_make_one_agent(home, round_):
    drivers = [AgentDriver(home) for _ in range(4)]
    try:
        for driver in drivers:
            driver.process = driver.spawn()
        for driver in drivers:
            driver.bootstrap(driver.process)
            driver.begin()
        for driver in drivers:
            driver.wait(lambda driver=driver: driver._connected)
        assert len({driver.agent_pid() for driver in drivers}) == 1
    finally:
        for driver in drivers:
            driver.leave()
        for driver in drivers:
            driver.finish()


def test_agent_leaves_when_idle_and_removes_its_run_folder(agent):
    agent.run("true")
    assert len(run_files(agent.home)) == 3, run_files(agent.home)
    agent.finish()
    assert not os.path.exists(os.path.join(agent.home, "run"))


def test_agent_stays_while_a_process_is_kept(start):
    agent = start(env={"AFIELD_IDLE": "0.05"})
    flag = agent.home + "/go"
    ident = os.urandom(16)
    stream = agent.process_stream("sh", "-c", f"while ! test -e {flag}; do sleep 0.02; done; echo over", id=ident)
    stream.wait_message("started")
    pid = agent.agent_pid()
    agent.cut()
    time.sleep(0.5)  # ten times its idle time
    with open(flag, "w"):
        pass
    time.sleep(0.3)
    agent.dial()
    stream.wait_closed()
    assert bytes(stream.out) == b"over\n"
    assert agent.agent_pid() == pid


def test_login_that_says_nothing_leaves_nothing(home):
    driver = AgentDriver(home, env={"AFIELD_IDLE": "600"})
    process = driver.spawn()
    driver.bootstrap(process)
    driver.finish()
    assert process.returncode == 0
    assert run_files(home) == []


def test_next_agent_ends_the_processes_of_a_killed_one(home, alive, wait_until):
    first = AgentDriver(home)
    first.dial()
    pids = [first.process_stream("sleep", "600").wait_message("started")["pid"] for _ in range(2)]
    over = first.run("true").messages[0]["started"]["pid"]
    os.kill(first.agent_pid(), signal.SIGKILL)
    first.processes[0].wait()
    assert all(alive(pid) for pid in pids)
    with AgentDriver(home) as second:
        second.dial()
        assert second.call("processes") == []
        wait_until(lambda: not any(alive(pid) for pid in pids))
    first.finish()
    assert over not in pids


def test_reused_pid_of_a_killed_agent_is_left_alone(home, alive):
    innocent = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        first = AgentDriver(home)
        first.dial()
        os.kill(first.agent_pid(), signal.SIGKILL)
        first.processes[0].wait()
        (log,) = [name for name in run_files(home) if name.endswith(".procs")]
        with open(os.path.join(home, "run", log), "a") as file:
            file.write(f"+{innocent.pid} 12345\n")
        with AgentDriver(home) as second:
            second.dial()
            second.call("ping")
            second.run("true")
            assert alive(innocent.pid)
        first.finish()
    finally:
        innocent.kill()
        innocent.wait()


def test_session_of_a_killed_agent_is_gone(home):
    with AgentDriver(home) as driver:
        driver.dial()
        os.kill(driver.agent_pid(), signal.SIGKILL)
        driver.processes[0].wait()
        driver.cut()
        driver.dial()
        assert driver.refused == "gone"


def test_terminated_agent_ends_its_processes_and_leaves_nothing(home, alive, wait_until):
    with AgentDriver(home) as driver:
        driver.dial()
        pid = driver.process_stream("sleep", "600").wait_message("started")["pid"]
        os.kill(driver.agent_pid(), signal.SIGTERM)
        wait_until(lambda: not alive(pid))
        driver.processes[0].wait(10)
        assert run_files(home) == []


def test_hangup_and_interrupt_do_not_end_the_agent(agent):
    pid = agent.agent_pid()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTSTP):
        os.kill(pid, number)
    assert agent.agent_pid() == pid


def test_everything_in_the_run_folder_is_private(agent):
    folder = os.path.join(agent.home, "run")
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    for name in os.listdir(folder):
        assert stat.S_IMODE(os.lstat(os.path.join(folder, name)).st_mode) == 0o600, name


def test_open_permissions_of_the_run_folder_are_closed(home, start):
    os.mkdir(os.path.join(home, "run"))
    os.chmod(os.path.join(home, "run"), 0o777)
    start().call("ping")
    assert stat.S_IMODE(os.stat(os.path.join(home, "run")).st_mode) == 0o700


def test_run_folder_that_is_a_link_is_not_used(home, start):
    os.symlink("/tmp", os.path.join(home, "run"))
    agent = start()
    assert bytes(agent.run("echo", "alone").out) == b"alone\n"
    assert not [name for name in os.listdir("/tmp") if name.startswith("a-") and name.endswith(".sock")]


def test_long_home_still_has_a_socket(home):
    deep = os.path.join(home, "x" * 100, "y" * 60)
    os.makedirs(deep)
    with AgentDriver(deep) as first, AgentDriver(deep) as second:
        first.dial()
        second.dial()
        assert first.agent_pid() == second.agent_pid()


def test_stray_connections_to_the_socket_do_no_harm(agent, home):
    import socket

    (name,) = [name for name in run_files(home) if name.endswith(".sock")]
    for payload in (b"", b"x", b"J", b"J" * 5000):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(os.path.join(home, "run", name))
            if payload:
                sock.send(payload)
            agent.call("ping")


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user")
def test_other_users_are_turned_away(agent, home):
    (name,) = [name for name in run_files(home) if name.endswith(".sock")]
    os.chmod(home, 0o755)
    os.chmod(os.path.join(home, "run"), 0o755)
    os.chmod(os.path.join(home, "run", name), 0o666)
    code = (
        "import socket, sys, array\ns = socket.socket(socket.AF_UNIX); s.settimeout(10)\n"
        f"s.connect({os.path.join(home, 'run', name)!r})\n"
        "try:\n"
        "    s.sendmsg([b'J'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0, 1]))])\n"
        "    print(s.recv(1))\n"
        "except (BrokenPipeError, ConnectionResetError): print(b'')\n"
    )
    found = subprocess.run(
        ["/usr/bin/python3", "-c", code], user=65534, capture_output=True, text=True, check=False, cwd="/"
    )
    assert found.stdout == "b''\n", found.stderr
    assert agent.call("ping")


def test_footprint_is_small(agent):
    agent.run("sh", "-c", "head -c 20000000 /dev/zero")
    found = agent.call("footprint")
    assert found["rss"] <= 25 << 20
    assert found["processes"] == 1
    assert found["files"] <= 20
    ports = subprocess.run(["ss", "-Htulnp"], capture_output=True, text=True, check=True).stdout
    assert f"pid={found['pid']}," not in ports


def test_clean_removes_caches_and_named_folders_and_the_agent_leaves(start, home):
    agent = start(env={"AFIELD_IDLE": "600", "HOME": home})
    os.makedirs(os.path.join(home, "project", "deep"))
    os.symlink("/usr", os.path.join(home, "project", "link"))
    answer = agent.call("clean", folders=[b"~/project"])
    assert os.fsencode(home) + b"/project" in answer["removed"]
    assert answer["kept"] == []
    agent.finish()
    assert not os.path.exists(os.path.join(home, "project"))
    assert not os.path.exists(os.path.join(home, ".cache", "afield"))
    assert run_files(home) == []
    assert os.path.isdir("/usr/bin")


@pytest.mark.parametrize("folder", [b"/", b"~", b"~/..", b"/tmp", b"."])
def test_clean_refuses_the_home_folder_and_its_parents(start, home, folder):
    agent = start(env={"HOME": home})
    from afield.errors import FilesError

    with pytest.raises(FilesError):
        agent.call("clean", folders=[folder])
    assert os.path.isdir(home)


def test_quit_names_what_is_kept_or_ends(start):
    agent = start(env={"AFIELD_IDLE": "600"})
    stream = agent.process_stream("sleep", "60", label="a long one")
    stream.wait_message("started")
    answer = agent.call("quit")
    assert (answer["ends"], answer["kept"][0]["label"]) == (False, "a long one")
    stream.close()
    agent.wait(lambda: agent.call("processes") == [])
    assert agent.call("quit") == {"ends": True, "kept": []}
    agent.cut()
    assert agent.processes[0].wait(10) == 0
