"""Real agents in folders of their own; each leaves by itself when its test ends, or the test fails."""

import os
import tempfile
from contextlib import ExitStack

import pytest
import pythons

from afield.testing.agent import AgentDriver


@pytest.fixture
def home():
    with tempfile.TemporaryDirectory(prefix="afield-test-", dir="/tmp") as folder:
        yield folder


@pytest.fixture
def start(home):
    """Give a function that starts and dials an agent (keywords go to AgentDriver)."""
    with ExitStack() as stack:

        def begin(**keywords):
            driver = stack.enter_context(AgentDriver(home, **keywords))
            driver.dial()
            return driver

        yield begin


@pytest.fixture
def agent(start):
    return start()


@pytest.fixture(params=pythons.found().values(), ids=[f"3.{minor}" for minor in pythons.found()])
def any_python(request):
    return request.param


@pytest.fixture
def alive():
    """Give a function that tells whether a process runs (a zombie does not)."""

    def runs(pid):
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                return file.read().rpartition(b")")[2].split()[0] != b"Z"
        except OSError:
            return False

    return runs


@pytest.fixture
def wait_until():
    """Give a function that waits for a condition that only polling can see."""
    import time

    def wait(condition, patience=15.0):
        end = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.01)

    return wait


@pytest.fixture
def env_python():
    """The Python that test programs at the place run under: fast to start."""
    return "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else "python3"
