"""Questions to a real agent."""

import os
import signal
import time

import pytest

from afield.errors import NoSuchProcess, ProtocolError


def read(path):
    with open(path) as file:
        return file.read().strip()


def test_facts_have_every_field(agent):
    facts = agent.call("facts")
    assert facts["uid"] == os.getuid()
    assert facts["os"] == os.uname().sysname
    assert facts["cpus"] == len(os.sched_getaffinity(0))
    assert facts["memory"]["total"] > facts["memory"]["available"] > 0
    assert facts["disks"][0]["free"] > 0
    assert facts["boot_id"] == read("/proc/sys/kernel/random/boot_id")
    assert abs(facts["time"] - time.time()) < 60
    assert len(facts["load"]) == 3
    assert facts["libc"].split(" ")[0] in ("glibc", "musl")
    expected = {"user", "uid", "home", "shell", "host", "os", "kernel", "machine", "libc", "cpus", "load", "memory",
                "disks", "quota", "pythons", "gpus", "boot_id", "time", "python"}  # fmt: skip
    assert set(facts) == expected


def test_pythons_are_found_with_their_versions(start, home):
    folder = os.path.join(home, "bin")
    root = os.path.join(home, "opt")
    os.makedirs(folder)
    os.makedirs(os.path.join(root, "bin"))
    os.makedirs(os.path.join(root, "include/python3.9"))
    with open(os.path.join(root, "bin/python3.9"), "w") as file:
        file.write("#!/bin/sh\n")
    os.chmod(os.path.join(root, "bin/python3.9"), 0o755)
    with open(os.path.join(root, "include/python3.9/patchlevel.h"), "w") as file:
        file.write('#define PY_VERSION      "3.9.99+"\n')
    os.symlink(os.path.join(root, "bin/python3.9"), os.path.join(folder, "python3"))
    agent = start(env={"PATH": folder + ":" + os.environ["PATH"]})
    found = {item["path"]: item["version"] for item in agent.call("facts")["pythons"]}
    assert found[os.fsencode(folder) + b"/python3"] == "3.9.99+"


def fake_smi(home, text):
    folder = os.path.join(home, "smi")
    os.makedirs(folder)
    with open(os.path.join(folder, "nvidia-smi"), "w") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(os.path.join(folder, "nvidia-smi"), 0o755)
    return folder + ":" + os.environ["PATH"]


def test_gpus_are_asked_of_nvidia_smi(start, home):
    agent = start(env={"PATH": fake_smi(home, "echo 'NVIDIA H100, 81559, 512, 7'; echo 'Odd, [N/A], 1, [N/A]'")})
    first, second = agent.call("facts")["gpus"]
    assert first == {"name": "NVIDIA H100", "memory_total": 81559 << 20, "memory_used": 512 << 20, "utilization": 7}
    assert second == {"name": "Odd", "memory_total": None, "memory_used": 1 << 20, "utilization": None}


def test_failing_nvidia_smi_means_no_gpus(start, home):
    agent = start(env={"PATH": fake_smi(home, "echo 'NVIDIA-SMI has failed'; exit 9")})
    assert agent.call("facts")["gpus"] == []


@pytest.mark.slow
def test_hanging_fact_blocks_nothing_and_is_given_up(start, home):
    agent = start(env={"PATH": fake_smi(home, "exec sleep 300")})
    stream = agent.open(do="call", name="facts", args={})
    before = time.monotonic()
    assert agent.call("ping")
    assert time.monotonic() - before < 2
    agent.wait(lambda: stream.closed)
    assert stream.messages[0]["gpus"] == []


def test_closing_a_call_cancels_it(start, home, alive, wait_until):
    pid_file = os.path.join(home, "pid")
    agent = start(env={"PATH": fake_smi(home, f"echo $PPID > {pid_file}; exec sleep 8")})
    stream = agent.open(do="call", name="facts", args={})
    wait_until(lambda: os.path.exists(pid_file) and read(pid_file))
    helper = int(read(pid_file))
    stream.close()
    wait_until(lambda: not alive(helper))


def test_processes_and_kill(agent):
    ident = os.urandom(16)
    stream = agent.process_stream("sleep", "60", id=ident, label="nap")
    pid = stream.wait_message("started")["pid"]
    (entry,) = agent.call("processes")
    assert entry["id"] == ident
    assert (entry["pid"], entry["label"], entry["state"], entry["exit"]) == (pid, "nap", "running", None)
    assert entry["argv"] == [b"sleep", b"60"]
    assert abs(entry["started"] - time.time()) < 60
    assert agent.call("kill", id=ident, signal=int(signal.SIGTERM)) == {"reached": True}
    stream.wait_closed()
    assert stream.status == -15
    assert agent.call("kill", id=ident, signal=15) == {"reached": False}
    assert agent.call("processes")[0]["exit"] == {"killed": 15}
    with pytest.raises(NoSuchProcess):
        agent.call("kill", id=os.urandom(16), signal=15)


def test_stat_and_which(start, home):
    agent = start(env={"HOME": home})
    with open(os.path.join(home, "file"), "w") as file:
        file.write("12345")
    os.symlink("file", os.path.join(home, "link"))
    assert agent.call("stat", path=b"~/nothing") is None
    assert agent.call("stat", path=b"~/file/below") is None
    found = agent.call("stat", path=b"~/file")
    assert (found["kind"], found["size"], found["writable"]) == ("f", 5, True)
    assert agent.call("stat", path=b"~/link")["target"] == b"file"
    assert agent.call("stat", path=b"~")["empty"] is False
    assert agent.call("which", name="sh").endswith(b"/sh")
    assert agent.call("which", name="no-such-program") is None


@pytest.mark.parametrize("header", [{"name": "nothing"}, {"name": "kill", "args": {}}, {"name": 1}, {}])
def test_wrong_call_is_an_error_of_that_stream_only(agent, header):
    with pytest.raises(ProtocolError):
        agent.open(do="call", **header).wait_closed()
    assert agent.call("ping")


def test_unknown_service_is_an_error_of_that_stream_only(agent):
    with pytest.raises(ProtocolError, match="service"):
        agent.open(do="dance").wait_closed()
    assert agent.call("ping")
