"""Jobs where a place is special: GPUs (of a fake nvidia-smi), a disk that is full, every Python, a long path."""

import contextlib
import http.server
import json
import os
import subprocess
import threading

import pytest
from jobs import end_all, job, wait_end

from afield.agent import gpus, jobdir, jobnotify
from afield.errors import DiskFull, ProcessError

SMI = """#!/bin/sh
case "$*" in
*query-gpu*) printf '0, GPU-a, 80000, 10, 0, Fake\\n1, GPU-b, 80000, 10, 0, Fake\\n2, GPU-c, 80000, 70000, 0, Fake\\n' ;;
*query-compute-apps*) cat "$(dirname "$0")/apps" ;;
esac
"""


@pytest.fixture
def base(home):
    yield os.path.join(home, ".local/share/afield/jobs")
    end_all(home)


def output(agent, state):
    return agent.open(do="job", job=state["id"]).wait_closed().out


def find(agent, state):
    return next(row for row in agent.call("jobs") if row["id"] == state["id"])


@pytest.fixture
def gpu_agent(start, home, base):
    folder = os.path.join(home, "smi")
    os.makedirs(folder)
    with open(os.path.join(folder, "nvidia-smi"), "w") as file:
        file.write(SMI)
    os.chmod(os.path.join(folder, "nvidia-smi"), 0o755)
    apps(home, "GPU-c, 4242, 69000\n")
    return start(env={"PATH": folder + ":" + os.environ["PATH"]})


def apps(home, text):
    path = os.path.join(home, "smi", "apps")
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


def test_idle_gpus_are_taken_once_and_given_back(gpu_agent):
    show = ("sh", "-c", "echo $CUDA_VISIBLE_DEVICES; sleep 1000")
    first, second = (job(gpu_agent, *show, gpus=1) for _ in range(2))
    assert (first["gpus"], second["gpus"]) == ([0], [1])
    with pytest.raises(ProcessError, match="1 of 3 GPUs were asked for"):
        job(gpu_agent, "true", gpus=1)
    assert len(gpu_agent.call("jobs")) == 2
    gpu_agent.call("job-stop", job=first["id"])
    assert wait_end(gpu_agent, first) == {"killed": 15}
    assert output(gpu_agent, first) == b"0\n"
    assert job(gpu_agent, *show, gpus=1)["gpus"] == [0]
    gpu_agent.call("jobs-clean")


@pytest.mark.parametrize("wait", [False, True])
def test_more_gpus_than_there_are_is_refused_at_once_for_they_will_never_come(gpu_agent, wait):
    with pytest.raises(ProcessError, match="4 GPUs were asked for, there are 3") as refused:
        job(gpu_agent, "true", gpus=4, gpu_wait=wait)
    assert "--gpu-wait" not in str(refused.value.hint)
    assert gpu_agent.call("jobs") == []


def test_a_job_waits_for_gpus_and_can_be_given_up(gpu_agent, home, wait_until):
    state = job(gpu_agent, "true", gpus=3, gpu_wait=True)
    assert state["state"] == "waiting"
    assert "3 of 3 GPUs" in state["why"]
    gpu_agent.call("job-stop", job=state["id"])
    wait_until(lambda: find(gpu_agent, state)["state"] == "stopped")
    again = job(gpu_agent, "sh", "-c", "echo $CUDA_VISIBLE_DEVICES", gpus=3, gpu_wait=True)
    apps(home, "")
    assert wait_end(gpu_agent, again) == {"exit": 0}
    assert output(gpu_agent, again) == b"0,1,2\n"


def test_top_counts_what_a_job_uses(gpu_agent, home):
    state = job(gpu_agent, "sh", "-c", "sleep 1000 & sleep 1000", gpus=1)
    apps(home, f"GPU-a, {state['process'][0]}, 2000\n")
    told = gpu_agent.call("job-top")
    (row,) = told["jobs"]
    assert row["use"]["gpu_memory"] == 2000 << 20
    assert row["use"]["gpus"] == [0]
    assert row["use"]["processes"] >= 2
    assert row["use"]["memory"] > 0
    assert [gpu["index"] for gpu in told["gpus"]] == [0, 1, 2]
    gpu_agent.call("jobs-clean")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "running"),
        ({"host": "other"}, "elsewhere"),
        ({"boot": "before"}, "lost in a reboot"),
        ({"keeper": [1, "0"]}, "keeper gone"),
        ({"state": "exited", "boot": "before", "host": "other"}, "exited"),
    ],
)
def test_how_a_job_stands_is_judged_by_host_boot_and_keeper(change, said):
    state = {"state": "running", "host": "h", "boot": "b", "keeper": jobdir.mark_of(os.getpid()), **change}
    assert jobdir.judge(state, "h", "b") == said


def test_only_the_gpus_of_the_login_are_looked_at():
    found = [{"index": index, "uuid": f"GPU-{index}abc"} for index in range(4)]
    assert gpus.idle("1,3", found, [{"gpu": 3}]) == [1]
    assert gpus.idle("GPU-2", found, []) == [2]
    assert gpus.idle("", found, [{"gpu": 0}]) == [1, 2, 3]


def test_no_gpu_there_is_told(start, base):
    agent = start(env={"PATH": "/usr/bin:/bin"})
    with pytest.raises(ProcessError, match="no GPU there"):
        job(agent, "true", gpus=1)


def test_a_job_goes_on_when_the_disk_is_full(start, home, base):
    os.makedirs(base)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", base], check=False)
    if mounted.returncode:
        pytest.skip("no right to mount here")
    try:
        agent = start()
        state = job(agent, "sh", "-c", "head -c 8000000 /dev/zero; echo 'the end' >&2; exit 9")
        assert wait_end(agent, state) == {"exit": 9}
        row = find(agent, state)
        assert row["exit"] == {"exit": 9}
        shown = agent.open(do="job", job=state["id"]).wait_closed()
        assert len(shown.out) + len(shown.err) + row["lost"] == 8000008
        assert row["lost"] > 6000000
        agent.call("job-remove", job=state["id"])
        with open(os.path.join(base, "filler"), "wb") as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(4096))
        with pytest.raises(DiskFull, match="no job can be made"):
            job(agent, "true")
        assert agent.call("jobs") == []
    finally:
        subprocess.run(["umount", "-l", base], check=True)


@pytest.mark.pythons
def test_every_python_keeps_a_job(start, base, any_python):
    agent = start(python=any_python)
    state = job(agent, "sh", "-c", "stty size; kill -INT $$", tty={"rows": 7, "cols": 9})
    assert wait_end(agent, state) == {"killed": 2}
    assert output(agent, state) == b"7 9\r\n"
    after = job(agent, "sh", "-c", "echo out; exit 1", after=[state["id"]], after_any=True)
    assert wait_end(agent, after) == {"exit": 1}
    assert agent.open(do="job", job=after["id"], lines=1, times=60).wait_closed().out.endswith(b" out\n")
    assert agent.call("jobs-clean")["kept"] == []


def test_the_end_is_told_to_a_webhook_whose_address_is_kept_nowhere(agent, base):
    got = []
    asked, looked = threading.Event(), threading.Event()

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked.set()
            looked.wait(30)
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Hook) as server:
        server.timeout = 30
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        state = job(agent, "sh", "-c", "exit 2", name="hooked", url=f"http://127.0.0.1:{server.server_port}/t0ken")
        assert asked.wait(30)
        row = agent.call("jobs")[-1]
        assert (row["lingers"], row["writes"]) == (True, False)
        looked.set()
        thread.join()
    assert (got[0]["job"], got[0]["exit"], got[0]["text"][-13:]) == ("hooked", 2, "exited with 2")
    wait_end(agent, state)
    folder = os.path.join(base, state["id"])
    for name in os.listdir(folder):
        if name != "sock":
            with open(os.path.join(folder, name), "rb") as file:
                assert b"t0ken" not in file.read()


def test_a_webhook_that_fails_is_tried_again_and_nothing_else_than_the_web_is_asked(monkeypatch, tmp_path):
    monkeypatch.setattr(jobnotify, "TRIES", (0.0, 0.0, 0.0))
    monkeypatch.setenv("no_proxy", "*")
    answers = [500, 503, 200, 500, 500, 500]

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(answers.pop(0))
            self.end_headers()

        def log_message(self, *args):
            pass

    told = {"job": "n", "host": "h", "exit": 0}
    with http.server.HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            jobnotify.post(f"http://127.0.0.1:{server.server_port}/", told)
            assert answers == [500, 500, 500]
            with pytest.raises(OSError, match="500"):
                jobnotify.post(f"http://127.0.0.1:{server.server_port}/", told)
            assert answers == []
        finally:
            server.shutdown()
            thread.join()
    with pytest.raises(ValueError, match="http"):
        jobnotify.post((tmp_path / "x").as_uri(), told)


def test_a_home_with_a_long_path_is_no_hindrance(start, home, base):
    deep = os.path.join(home, "x" * 100)
    os.makedirs(deep)
    agent = start(env={"AFIELD_HOME": deep})
    state = job(agent, "sleep", "1000")
    agent.call("job-stop", job=state["id"])
    assert wait_end(agent, state) == {"killed": 15}
