"""The mirror service of a real agent: under every Python, over a cut link, and gone when nobody wants it any more."""

import os

import pytest
from far_env import install, make_env

from afield.errors import EnvBroken, ProtocolError, from_value
from afield.files.squeeze import unpack
from afield.mirror.fetch import read_files
from afield.wire.records import RecordReader, encode_record


class Mirror:
    """Requests and answers over a ``mirror`` stream."""

    def __init__(self, agent):
        self.agent = agent
        self.stream = agent.open(do="mirror")
        self.reader, self.seen, self.records, self.number = RecordReader(), 0, [], 0

    def ask(self, verb, **args):
        self.number += 1
        self.stream.send(encode_record([self.number, verb, args]))
        return self.number

    def take(self):
        self.records += self.reader.feed(bytes(self.stream.out[self.seen :]))
        self.seen = len(self.stream.out)

    def answer(self, number):
        def here():
            self.take()
            return self.stream.closed or any(r[0] == number and r[1] != "part" for r in self.records)

        self.agent.wait(here)
        error = next((r[2] for r in self.records if r[0] == number and r[1] == "error"), None)
        if error:
            raise from_value(error)
        return [r[2] for r in self.records if r[0] == number and r[1] == "part"]

    def look(self, python, **more):
        args = {"python": os.fsencode(python), "own": [], "full": False, "known": {}, **more}
        return self.answer(self.ask("look", **args))


@pytest.fixture
def env(home):
    python, site = make_env(os.path.join(home, "env"))
    install(site, "alpha", {"alpha/__init__.py": b"a = 1\n", "alpha/big.py": b"b = 2\n" * 100_000})
    return python


@pytest.mark.pythons
def test_every_python_lists_and_gives_what_is_there(start, env, any_python):
    mirror = Mirror(start(python=any_python))
    parts = mirror.look(env)
    assert [role for _, _, role in parts[0]["roots"]][:2] == ["site", "stdlib"]
    (unit,) = [part for part in parts if part.get("unit") == b"alpha"]
    paths = unit["paths"].split(b"\0")
    first = sum(len(part["paths"].split(b"\0")) for part in parts[1 : parts.index(unit)])
    number = (first + paths.index(b"alpha/__init__.py")).to_bytes(4, "little")
    big = (first + paths.index(b"alpha/big.py")).to_bytes(4, "little")
    pieces = mirror.answer(mirror.ask("contents", items=number + big, level=1))
    found = [bytes(data) for data in read_files(bytes(unpack(piece)) for piece in pieces)]
    assert found == [b"a = 1\n", b"b = 2\n" * 100_000]
    assert sum(map(len, pieces)) < 60_000


def test_an_answer_goes_on_over_a_new_transport(start, env):
    agent = start()
    mirror = Mirror(agent)
    number = mirror.ask("look", python=os.fsencode(env), own=[], full=False, known={})
    agent.wait(lambda: len(mirror.stream.out) > 0)
    agent.cut()
    agent.dial()
    assert any(part.get("unit") == b"alpha" for part in mirror.answer(number)[1:])


def test_its_worker_ends_with_the_stream(start, env, alive, wait_until):
    agent = start()
    mirror = Mirror(agent)
    mirror.look(env)
    pid = agent.agent_pid()
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        workers = [int(word) for word in file.read().split()]
    assert len(workers) == 1
    agent.link.close(mirror.stream.id)
    agent.pump(0)
    agent.call("ping")
    wait_until(lambda: not alive(workers[0]))


def test_errors_are_answers_and_the_next_request_is_served(start, env):
    mirror = Mirror(start())
    with pytest.raises(EnvBroken):
        mirror.look("/nonexistent/python")
    with pytest.raises(ProtocolError):
        mirror.answer(mirror.ask("contents", items=b"\xff\0\0\0", level=0))
    assert mirror.look(env)


def test_a_stream_of_files_and_one_of_a_mirror_do_not_end_each_other(start, env, home):
    agent = start()
    first, second = Mirror(agent), Mirror(agent)
    files = agent.open(do="files", root=b"")
    assert first.look(env)
    assert second.look(env)
    assert not files.closed
