"""Places for the tests of the link: in memory, a subprocess, a private sshd."""

import asyncio
import contextlib
import importlib.util
import os
import shlex
import shutil
import signal
import sys
from pathlib import Path

import pytest

from afield import plugins
from afield.link.connection import Connection
from afield.testing.transport import MemoryPlace, MemoryTransport

HOSTS = Path(__file__).parents[2] / "bench" / "hosts.py"


@pytest.fixture(scope="session")
def hosts():
    """The module that starts a private sshd; skips where there is no server program."""
    spec = importlib.util.spec_from_file_location("bench_hosts", HOSTS)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_hosts"] = module
    spec.loader.exec_module(module)
    if module.SSHD is None:
        pytest.skip("no sshd on this machine")
    return module


@pytest.fixture
def sshd(hosts, tmp_path):
    """Start a private sshd with these settings; all are ended after the test, and the agents they started."""
    started = []

    def start(**settings):
        folder = tmp_path / f"sshd{len(started)}"
        settings["env"] = {"AFIELD_HOME": str(tmp_path / "home"), **settings.get("env", {})}
        box = hosts.Sshd(folder, **settings)
        started.append(box)
        return box.start()

    yield start
    for box in started:
        box.stop()
    end_agents(tmp_path / "home")


@pytest.fixture
def ssh_transport():
    """Make the transport to a private sshd."""

    def make(box, host=None, **options):
        return plugins.transport_for(f"ssh://{host or box.host}", {"ssh": shlex.join(box.ssh), **options})

    return make


@pytest.fixture
def local_transport(tmp_path):
    """A transport to a home of its own on this machine; its agents are ended after the test."""
    yield plugins.transport_for(f"local://{tmp_path}/home")
    end_agents(tmp_path / "home")


@pytest.fixture
def memory():
    """A place in memory with its transport."""
    place = MemoryPlace()
    transport = MemoryTransport(place)
    yield transport
    place.close()


@pytest.fixture
def run():
    """Run ``work(connection)`` over a transport in a fresh loop, bounded in time; the connection is closed after it."""

    def runner(transport, work, *, seconds=60, opened=True, quit_agent=True, **settings):
        async def main():
            if isinstance(transport, MemoryTransport):
                settings.setdefault("start", transport.start)
            link = Connection(transport, **settings)
            try:
                async with asyncio.timeout(seconds):
                    if opened:
                        await link.open()
                    return await work(link)
            finally:
                await link.close(quit_agent=quit_agent)

        return asyncio.run(main())

    return runner


def agents(home):
    """The processes whose environment names this home."""
    wanted = f"AFIELD_HOME={home}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/environ", "rb") as file:
                if wanted in file.read().split(b"\0"):
                    found.append(int(entry))
    return found


def end_agents(home):
    for pid in agents(home):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def agents_of(tmp_path):
    """List the processes that live in the home of this test's places."""
    return lambda: agents(tmp_path / "home")
