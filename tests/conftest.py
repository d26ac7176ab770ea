"""For every test: Hypothesis profiles, and the check that a session leaves no process and no temporary folder behind.

Temporary files of the whole session lie in one folder of its own; processes are found by a word in their environment or by that
folder in their command line.
"""

import contextlib
import os
import shutil
import signal
import tempfile
import time

import pytest
from hypothesis import HealthCheck, settings

import afield

WORD = "AFIELD_TEST_SESSION"
ENDING = 5.0  # seconds that the last processes of a session have to end by themselves

# No deadline: a loaded machine makes slow examples, not wrong ones.
_USUAL = {"deadline": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("ci", max_examples=100, derandomize=True, **_USUAL)
settings.register_profile("nightly", max_examples=1000, **_USUAL)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure(config):
    # A shell starts what runs in its background with these ignored, and every program that a test starts would inherit that.
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    source = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src")
    if os.environ.get("AFIELD_INSTALLED") and os.path.abspath(afield.__file__).startswith(source):
        raise pytest.UsageError(
            "the installed wheel was to be tested, but afield comes from src: make test installs it"
        )
    if hasattr(config, "workerinput"):
        return  # a worker: the first process has done it, and looks at the end
    folder = tempfile.mkdtemp(prefix="aft-")
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    os.environ[WORD] = os.path.basename(folder)
    config.stash[_FOLDER] = folder


_FOLDER = pytest.StashKey()
_LEFT = pytest.StashKey()


def _is_ours(pid, words):
    for name in ("environ", "cmdline"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", "rb") as file:
            data = file.read()
            if any(word in data for word in words):
                return True
    return False


def _alive(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    return False


def _processes(folder):
    """{pid: command line} of what this session started and that still lives."""
    if not os.path.isdir("/proc/self"):
        return {}
    words = (f"{WORD}={os.path.basename(folder)}".encode(), folder.encode())
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid() and _is_ours(name, words) and _alive(name):
            with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
                found[name] = file.read().replace(b"\0", b" ").decode("utf-8", "replace")[:200]
    return found


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    folder = session.config.stash.get(_FOLDER, None)
    if folder is None:
        return
    end = time.monotonic() + ENDING
    while (left := _processes(folder)) and time.monotonic() < end:
        time.sleep(0.05)
    lines = [f"process {pid} was left: {text}" for pid, text in left.items()]
    lines += [
        f"temporary {name} was left in {folder}" for name in os.listdir(folder) if not name.startswith("pytest-of-")
    ]
    session.config.stash[_LEFT] = lines
    if lines and session.exitstatus in (0, 5):
        session.exitstatus = 1


def pytest_unconfigure(config):
    folder = config.stash.get(_FOLDER, None)
    if folder is None:
        return
    left = config.stash.get(_LEFT, [])
    for line in left:
        print(line)
    if not left:
        shutil.rmtree(folder, ignore_errors=True)
