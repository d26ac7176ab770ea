"""What surrounds a run: ports that are named or listened on, shared forwards, environments that travel."""

import asyncio
import os
import socket
import subprocess
import sys

import pytest

from afield.daemon import near_ports, run_ports, venvs
from afield.daemon.around import Around
from afield.daemon.mapping import Target
from afield.daemon.run_ports import RunPorts, SharedPorts
from afield.daemon.run_wire import RunRequest
from afield.errors import PortError


@pytest.mark.parametrize(
    ("word", "found"),
    [
        (b"--port=8765", {8765}),
        (b"127.0.0.1:5678", {5678}),
        (b"5678", {5678}),
        (b"12", set()),
        (b"99999", set()),
        (b"1.2345", set()),
        (b"a12345678", set()),
    ],
)
def test_numbers_that_may_be_ports_are_found(word, found):
    assert near_ports.numbers([word]) == found


def test_a_named_port_brings_the_others_of_its_owner():
    code = (
        "import socket,sys\nmade=[socket.create_server(('127.0.0.1',0)) for _ in range(2)]\n"
        "print(*[s.getsockname()[1] for s in made], flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        first, second = (int(word) for word in owner.stdout.readline().split())
        assert near_ports.named([b"--connect", b"127.0.0.1:%d" % first]) == {first, second}
        owner.stdin.close()
    assert near_ports.named([b"%d" % first]) == set()


def test_a_port_of_this_process_is_never_carried():
    with socket.create_server(("127.0.0.1", 0)) as own:
        assert near_ports.named([b"%d" % own.getsockname()[1]]) == set()


class Forward:
    def __init__(self, port, log):
        self.port, self.log = port, log

    async def start(self):
        if self.port == 1111:
            raise PortError("taken")
        self.log.append(("start", self.port))

    async def stop(self):
        self.log.append(("stop", self.port))


def test_runs_share_a_forward_and_the_last_one_ends_it():
    async def scenario():
        log = []
        ports = SharedPorts(lambda port, reverse: Forward(port, log))
        assert await ports.take(2222, "a", reverse=False)
        assert await ports.take(2222, "b", reverse=False)
        assert not await ports.take(2222, "c", reverse=True)
        assert not await ports.take(1111, "a", reverse=False)
        await ports.give_back(2222, "a", reverse=False)
        assert log == [("start", 2222)]
        await ports.give_back(2222, "b", reverse=False)
        assert log == [("start", 2222), ("stop", 2222)]

    asyncio.run(scenario())


class Taken(Forward):
    """Of a number that somebody has until ``free`` is set; stopping takes a while."""

    def __init__(self, port, log, free):
        super().__init__(port, log)
        self.free = free

    async def start(self):
        if not self.free.is_set():
            raise PortError("taken")
        self.free.clear()
        await super().start()

    async def stop(self):
        for _ in range(3):
            await asyncio.sleep(0)
        await super().stop()
        self.free.set()


async def being_given_back():
    """A log, ports, and the task that gives 2222 back right now."""
    log, free = [], asyncio.Event()
    free.set()
    ports = SharedPorts(lambda port, reverse: Taken(port, log, free))
    assert await ports.take(2222, "a", reverse=False)
    back = asyncio.ensure_future(ports.give_back(2222, "a", reverse=False))
    await asyncio.sleep(0)
    return log, ports, back


def test_a_number_that_is_being_given_back_is_waited_for():
    async def scenario():
        log, ports, back = await being_given_back()
        assert await ports.take(2222, "b", reverse=False)
        assert log == [("start", 2222), ("stop", 2222), ("start", 2222)]
        await back

    asyncio.run(scenario())


def test_a_run_that_gives_up_while_a_port_is_prepared_leaves_nothing():
    async def scenario():
        log, ports, back = await being_given_back()
        given_up = asyncio.ensure_future(ports.take(2222, "b", reverse=False))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait({given_up})
        assert await ports.take(2222, "c", reverse=False)
        await ports.give_back(2222, "c", reverse=False)
        assert log == [("start", 2222), ("stop", 2222)] * 3
        await back

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_a_program_that_is_started_anew_holds_its_ports_once():
    class Way:
        async def show(self, pairs, *, fresh):
            return pairs

    class Base:
        way = Way()

    async def scenario():
        log = []
        base = Base()
        base.place = type("Place", (), {"run_ports": SharedPorts(lambda port, reverse: Forward(port, log))})()
        around = Around()
        around._near = {2222}
        target = Target((b"/here",), b"/there", None, {}, ())
        await around.before(base, target)
        await around.before(base, target)
        around.close()
        while len(log) < 2:
            await asyncio.sleep(0)
        assert log == [("start", 2222), ("stop", 2222)]

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_a_number_that_was_taken_is_reached_when_it_is_free(monkeypatch):
    async def scenario():
        log, free = [], asyncio.Event()
        ports = RunPorts(SharedPorts(lambda port, reverse: Taken(port, log, free)))
        ports.listening([2222])
        while not ports._again:
            await asyncio.sleep(0)
        assert log == []
        free.set()
        while not log:
            await asyncio.sleep(0.001)
        assert log == [("start", 2222)]
        ports.close()
        while len(log) < 2:
            await asyncio.sleep(0.001)

    monkeypatch.setattr(run_ports, "AGAIN", 0.001)
    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_ports_that_a_program_opens_at_once_let_connections_through_at_once():
    async def scenario():
        made = {}

        def make(port, reverse):
            made[port] = Forward(port, [])
            made[port].held_until = 0.0
            return made[port]

        ports = RunPorts(SharedPorts(make))
        ports.listening([2222])
        while 2222 not in made:
            await asyncio.sleep(0)
        before = asyncio.get_running_loop().time()
        ports.listening([2222, 3333, 4444])
        while 4444 not in made or 3333 not in made:
            await asyncio.sleep(0)
        assert made[2222].held_until == 0.0
        assert made[3333].held_until == made[4444].held_until > before
        ports.close()

    asyncio.run(asyncio.wait_for(scenario(), 20))


def run(argv0, *argv, project):
    return RunRequest("python", argv0, project, "", project, "", 0, 0, b"", tuple(argv), {})


def test_the_environment_of_the_interpreter_and_one_that_is_made_travel(tmp_path):
    project = os.fsencode(tmp_path)
    for name in (b"/.venv", b"/.afield"):
        os.makedirs(project + name + b"/bin")
        with open(project + name + b"/pyvenv.cfg", "w"):
            pass
    shim = project + b"/.afield/bin/python"
    assert venvs.named(run(project + b"/.venv/bin/python", project=project), project) == [project + b"/.venv"]
    assert venvs.named(run(shim, project=project), project) == []
    assert venvs.named(run(shim, b"-m", b"venv", b"--clear", b"made", project=project), project) == [project + b"/made"]
    assert venvs.named(run(shim, b"-Im", b"virtualenv", b"/elsewhere", project=project), project) == []


def digest(path):
    with open(path, "rb") as file:
        return file.read().hex(), 0o644


def test_entries_come_back_only_below_the_environment_and_never_through_a_link(tmp_path):
    top = os.fsencode(tmp_path / "v")
    os.mkdir(top)
    os.symlink(os.fsencode(tmp_path), top + b"/out")
    tree = venvs.Tree(top, top, venvs.entries(top, digest))
    new = venvs.Entry("f", b"x".hex(), 0o755)
    assert venvs.apply(tree, b"bin/tool", new, b"x", digest)
    assert os.stat(top + b"/bin/tool").st_mode & 0o777 == 0o755
    for path in (b"../a", b"out/a", b"/a", b"a/../../b", b""):
        assert not venvs.apply(tree, path, new, b"x", digest)
    assert sorted(os.listdir(tmp_path)) == ["v"]


def test_what_changed_here_meanwhile_stays(tmp_path):
    top = os.fsencode(tmp_path)
    with open(top + b"/a", "w") as file:
        file.write("1")
    tree = venvs.Tree(top, top, venvs.entries(top, digest))
    with open(top + b"/a", "w") as file:
        file.write("mine")
    assert not venvs.apply(tree, b"a", venvs.Entry("f", b"2".hex(), 0o644), b"2", digest)
    assert not venvs.apply(tree, b"a", None, b"", digest)
    assert os.path.exists(top + b"/a")
