"""What must hold under every Python that a place may have: recorded bytes, and one walk through everything."""

import hashlib
import os
import select
import signal

import pytest

from afield.testing.agent import AgentDriver

pytestmark = pytest.mark.pythons

SESSION, SECRET = bytes(range(16)), bytes(range(16, 32))
# "AFLK", version 1, flag NEW, session, secret, received 0, reserved
HELLO = b"AFLK\x01\x01\x00" + SESSION + SECRET + bytes(8) + bytes(6)


def frame(kind, stream, payload):
    return (len(payload) | kind << 24).to_bytes(4, "little") + stream.to_bytes(4, "little") + payload


# {"do": "call", "name": "quit", "args": {}} in canonical CBOR (RFC 8949), recorded
CALL_QUIT = bytes.fromhex("a3 62 646f 64 63616c6c 64 6e616d65 64 71756974 64 61726773 a0")
# {"do": "process", "argv": [h'6563686f', h'6869'], "id": 16 bytes}
PROCESS = bytes.fromhex("a3 62 646f 67 70726f63657373 64 61726776 82 44 6563686f 42 6869 62 6964 50") + SESSION
# {"ends": true, "kept": []}
QUIT_ANSWER = bytes.fromhex("a2 64 656e6473 f5 64 6b657074 80")
EXIT_0 = bytes.fromhex("a1 64 65786974 00")  # {"exit": 0}
NULL = b"\xf6"
OPEN, DATA, EOF, MSG, CLOSE, BYE = 1, 2, 4, 5, 7, 11


class Raw:
    """A starter's pipes, spoken to in bytes."""

    def __init__(self, driver):
        self.driver = driver
        self.process = driver.spawn()
        driver.bootstrap(self.process)
        self.got = driver._early

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def frames(self, until):
        """Read frames behind the hello until one fits."""
        found = []
        while not (found and until(*found[-1])):
            at, found = 53, []
            while at + 8 <= len(self.got):
                word = int.from_bytes(self.got[at : at + 4], "little")
                size, kind = word & 0xFFFFFF, word >> 24
                if at + 8 + size > len(self.got):
                    break
                stream = int.from_bytes(self.got[at + 4 : at + 8], "little")
                found.append((kind, stream, self.got[at + 8 : at + 8 + size]))
                at += 8 + size
                if until(*found[-1]):
                    return found
            assert select.select([self.process.stdout], [], [], 20)[0]
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, self.process.stderr.read()
            self.got += data
        return found


def test_recorded_bytes_are_answered_with_recorded_bytes(any_python, home):
    with AgentDriver(home, python=any_python) as driver:
        raw = Raw(driver)
        raw.send(HELLO + frame(OPEN, 1, CALL_QUIT))
        frames = raw.frames(lambda kind, *_: kind == CLOSE)
        assert raw.got[:53] == HELLO
        assert [each for each in frames if each[1]] == [(MSG, 1, QUIT_ANSWER), (CLOSE, 1, NULL)]
        raw.send(frame(OPEN, 3, PROCESS) + frame(EOF, 3, b""))
        frames = raw.frames(lambda kind, stream, _: kind == CLOSE and stream == 3)
        ours = [each for each in frames if each[1] == 3]
        assert ours[0][0] == MSG
        assert ours[0][2].startswith(b"\xa1\x67started\xa1\x63pid")
        assert ours[1:] == [(DATA, 3, b"hi\n"), (MSG, 3, EXIT_0), (EOF, 3, b""), (CLOSE, 3, NULL)]
        raw.send(frame(BYE, 0, b""))  # nothing was acknowledged: without a goodbye the agent would keep it all for us


def test_one_walk_through_everything(any_python, home, alive, wait_until):
    with AgentDriver(home, python=any_python) as agent:
        agent.dial()
        stream = agent.run("sh", "-c", "cat; echo err >&2; exit 3", stdin=b"in")
        assert (bytes(stream.out), bytes(stream.err), stream.status) == (b"in", b"err\n", 3)
        with pytest.raises(Exception) as caught:
            agent.run("no-such-command")
        assert caught.value.exit == 127
        assert agent.run("sh", "-c", "kill -KILL $$").status == -9
        assert bytes(agent.run("stty", "size", tty={"rows": 11, "cols": 22, "term": "x"}).out) == b"11 22\r\n"
        data = os.urandom(1 << 20)
        cat = agent.process_stream("cat")
        cat.send(data)
        agent.cut()
        agent.dial()
        cat.end()
        assert hashlib.sha256(cat.wait_closed().out).digest() == hashlib.sha256(data).digest()
        nap = agent.process_stream("sleep", "60")
        pid = nap.wait_message("started")["pid"]
        nap.message({"signal": int(signal.SIGTERM)})
        assert nap.wait_closed().status == -15
        wait_until(lambda: not alive(pid))
        assert agent.call("facts")["user"]
        files = agent.open(do="files", root=os.fsencode(home))
        files.end()
        files.wait_closed()
        listen = agent.open(do="listen", host="127.0.0.1", port=0)
        port = listen.wait_message("listening")
        connect = agent.open(do="connect", port=port)
        connect.wait_message("connected")
        agent.wait(lambda: any(s.header.get("do") == "accepted" for s in agent.streams.values()))
        (accepted,) = [s for s in agent.streams.values() if s.header.get("do") == "accepted"]
        connect.send(b"there and back")
        agent.wait(lambda: bytes(accepted.out) == b"there and back")
        assert agent.call("footprint")["rss"] <= 25 << 20
        assert agent.stderr() == ""
