"""The files service: the worker behind a stream, its back-pressure and its end."""

import os

import pytest

from afield.wire.records import RecordReader, encode_record


class Files:
    """Requests and answers over a ``files`` stream."""

    def __init__(self, agent, root):
        self.agent = agent
        self.stream = agent.open(do="files", root=os.fsencode(root))
        self.reader = RecordReader()
        self.seen = 0
        self.records = []
        self.serial = 0

    def ask(self, verb, **args):
        self.serial += 1
        number = self.serial
        self.stream.send(encode_record([number, verb, args]))
        return number

    def answer(self, number):
        def here():
            self.records += self.reader.feed(bytes(self.stream.out[self.seen :]))
            self.seen = len(self.stream.out)
            return self.stream.closed or any(r[0] == number and r[1] in ("done", "error") for r in self.records)

        self.agent.wait(here)
        if self.stream.error:
            raise self.stream.error
        parts = [r[2] for r in self.records if r[0] == number and r[1] == "part"]
        (last,) = [r for r in self.records if r[0] == number and r[1] in ("done", "error")]
        return parts, last[1], last[2]


@pytest.fixture
def root(home):
    path = os.path.join(home, "project")
    os.mkdir(path)
    with open(os.path.join(path, "file.txt"), "w") as file:
        file.write("content")
    return path


@pytest.fixture
def files(agent, root):
    return Files(agent, root)


def test_worker_answers_through_the_stream(files, root):
    _, kind, value = files.answer(files.ask("open", root=os.fsencode(root), create=False, ignore=[], history=False))
    assert kind == "done", value
    assert value["root"] == os.fsencode(os.path.realpath(root))
    parts, kind, _ = files.answer(files.ask("list", path=b"", long=True, depth=1))
    assert kind == "done"
    assert b"file.txt" in [entry[0] for part in parts for entry in part]


def test_worker_is_one_process_and_ends_with_its_stream(agent, files, root, wait_until):
    files.answer(files.ask("open", root=os.fsencode(root), create=False))
    assert agent.call("footprint")["processes"] == 2
    files.stream.end()
    files.stream.wait_closed()
    wait_until(lambda: agent.call("footprint")["processes"] == 1)


def test_worker_ends_when_the_stream_is_closed(agent, files, root, wait_until):
    files.answer(files.ask("open", root=os.fsencode(root), create=False))
    files.stream.close()
    wait_until(lambda: agent.call("footprint")["processes"] == 1)


def part(files, root):
    """Leave in agreement, as a daemon that ends does; gives what the worker said to that."""
    files.answer(files.ask("open", root=os.fsencode(root), create=False))
    files.answer(files.ask("scan", path=b"", watch=True))
    _, _, value = files.answer(files.ask("park"))
    files.stream.message({"park": True})
    files.stream.close()
    return value


def test_a_parked_worker_serves_the_next_client_of_its_folder(agent, files, root, wait_until):
    assert part(files, root) == {"parked": True}
    agent.forget()
    agent.dial()
    again = Files(agent, root)
    # The agent, the same worker, and the login that handed its descriptors over and sleeps.
    wait_until(lambda: agent.call("footprint")["processes"] == 3)
    _, kind, value = again.answer(again.ask("open", root=os.fsencode(root), create=False))
    assert (kind, value["identity_new"]) == ("done", False)
    assert again.answer(again.ask("barrier"))[1] == "done"


def test_one_worker_is_parked_at_most_and_none_when_the_agent_is_to_leave(agent, files, root, home, wait_until):
    part(files, root)
    other = os.path.join(home, "other")
    os.mkdir(other)
    part(Files(agent, other), other)
    wait_until(lambda: agent.call("footprint")["processes"] == 2)
    agent.call("quit")
    wait_until(lambda: agent.call("footprint")["processes"] == 1)


def test_a_worker_that_was_not_asked_to_rest_ends(agent, files, root, wait_until):
    files.answer(files.ask("open", root=os.fsencode(root), create=False))
    files.stream.message({"park": "yes"})
    files.stream.close()
    wait_until(lambda: agent.call("footprint")["processes"] == 1)


def test_a_parked_worker_that_was_killed_is_not_given_out(agent, files, root, wait_until):
    part(files, root)
    (pid,) = workers(agent)
    os.kill(pid, 9)
    wait_until(lambda: agent.call("footprint")["processes"] == 1)
    again = Files(agent, root)
    assert again.answer(again.ask("open", root=os.fsencode(root), create=False))[1] == "done"


def workers(agent):
    agent_pid = agent.call("footprint")["pid"]
    with open(f"/proc/{agent_pid}/task/{agent_pid}/children") as file:
        return [int(pid) for pid in file.read().split()]


def test_requests_survive_a_cut(agent, files, root):
    number = files.ask("open", root=os.fsencode(root), create=False)
    agent.cut()
    agent.dial()
    assert files.answer(number)[1] == "done"


def begin_a_folder(files, root):
    """Send half of a new folder, so that something lies in staging; gives a function that lists what lies there."""
    files.answer(files.ask("open", root=os.fsencode(root), create=False))
    put = {"op": "put", "size": 1 << 20, "executable": False, "mtime_ns": 0, "digest": None, "was": None}
    names = [b"new/a", b"new/b"]
    folder = {"op": "dir", "path": b"new", "was": None, "was_kind": None}
    ops = [folder, *({**put, "path": name, "was_kind": None} for name in names)]
    number = files.ask("apply", ops=ops)
    one = (1 << 20).to_bytes(8, "little") + bytes(1 << 20)
    for start in range(0, 1 << 20, 65536):
        files.stream.send(encode_record([number, "data", one[start : start + 65536]]))

    def staged():
        base = os.path.join(root, ".afield", "staging")
        return [name for _, _, names in os.walk(base) for name in names]

    return staged


def test_a_worker_whose_client_is_gone_gives_way_with_all_it_staged(agent, files, root, wait_until):
    staged = begin_a_folder(files, root)
    wait_until(staged)
    agent.forget()
    agent.dial()
    again = Files(agent, root)
    assert again.answer(again.ask("open", root=os.fsencode(root), create=False))[1] == "done"
    wait_until(lambda: not staged())
    # The agent, the new worker, and the login that handed its descriptors over and sleeps.
    wait_until(lambda: agent.call("footprint")["processes"] == 3)
    assert again.answer(again.ask("barrier"))[1] == "done"


def test_a_worker_of_another_folder_stays(agent, files, root, home):
    other = os.path.join(home, "other")
    os.mkdir(other)
    number = files.ask("open", root=os.fsencode(root), create=False)
    files.answer(number)
    session, secret, link, streams = agent.session, agent.secret, agent.link, agent.streams
    agent.forget()
    agent.dial()
    second = Files(agent, other)
    assert second.answer(second.ask("open", root=os.fsencode(other), create=False))[1] == "done"
    agent.cut()
    agent.session, agent.secret, agent.link, agent.streams = session, secret, link, streams
    agent.dial()
    assert files.answer(files.ask("barrier"))[1] == "done"


def test_a_client_that_comes_back_to_a_taken_folder_is_told(agent, files, root):
    files.answer(files.ask("open", root=os.fsencode(root), create=False))
    session, secret, link, streams = agent.session, agent.secret, agent.link, agent.streams
    agent.forget()
    agent.dial()
    second = Files(agent, root)
    assert second.answer(second.ask("open", root=os.fsencode(root), create=False))[1] == "done"
    agent.cut()
    agent.session, agent.secret, agent.link, agent.streams = session, secret, link, streams
    agent.dial()
    agent.wait(lambda: files.stream.closed)
    assert files.stream.error.code == "agent-broken"
    third = Files(agent, root)
    assert third.answer(third.ask("open", root=os.fsencode(root), create=False))[1] == "done"


def test_garbage_for_the_worker_ends_the_stream_and_not_the_agent(agent, files):
    files.stream.send(b"\xff" * 64)
    agent.wait(lambda: files.stream.closed)
    assert agent.call("ping")


def test_killed_worker_is_told(agent, files, root):
    files.answer(files.ask("open", root=os.fsencode(root), create=False))
    agent.run(
        "sh",
        "-c",
        "pid=$(cat /proc/$PPID/task/$PPID/children | tr ' ' '\\n' | grep -v \"^$$\\$\" | head -1); kill -9 $pid",
    )
    agent.wait(lambda: files.stream.closed)
    assert files.stream.error.code == "agent-broken"


def test_killed_agent_takes_its_worker_along(agent, files, root, alive, wait_until):
    import signal

    files.answer(files.ask("open", root=os.fsencode(root), create=False))
    pid = agent.agent_pid()
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        (worker,) = map(int, file.read().split())
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not alive(worker))
