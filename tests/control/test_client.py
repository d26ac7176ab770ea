"""The blocking client against a scripted daemon: events, errors, silence, and ends in the wrong place."""

import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from afield.control import client as clients
from afield.errors import DaemonError, NotUp, ProtocolError


@pytest.fixture
def pair():
    """A client and the other end of its socket."""
    ours, theirs = socket.socketpair()
    with clients.Client(ours) as client, theirs:
        theirs.settimeout(10)
        yield client, theirs.makefile("rwb")


def serve(pair, *answers):
    """Answer the client's first request with these lines, in a thread; gives the requests seen."""
    _, file = pair
    seen = []

    def work():
        for answer in answers:
            if answer is None:
                seen.append(json.loads(file.readline()))
            else:
                file.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode() + b"\n")
                file.flush()

    thread = threading.Thread(target=work)
    thread.start()
    return thread, seen


def test_events_come_in_order_and_answers_of_others_are_passed_over(pair):
    client, file = pair
    notes = []

    class Look(clients.Events):
        def event(self, event):
            notes.append(event)

    thread, seen = serve(
        pair,
        None,
        {"id": 9, "ok": 0},
        {"id": 1, "event": {"note": "a"}},
        {"id": 1, "event": {"data": "YQ=="}},
        {"id": 1, "ok": {"x": 1}},
    )
    assert client.request("status", {"project": None}, events=Look(), timeout=10) == {"x": 1}
    thread.join(10)
    file.close()
    assert notes == [{"note": "a"}, {"data": b"a"}]
    assert seen[0]["args"] == {}


def test_questions_are_answered_by_the_face(pair):
    client, file = pair

    class Face(clients.Events):
        def prompt(self, prompt):
            return prompt["text"].upper()

        def confirm(self, confirm):
            return not confirm["default"]

        def want(self, offset, size):
            return b"abc"[offset : offset + size]

    lines = [
        None,
        {"id": 1, "event": {"prompt": {"token": "t", "text": "pw", "secret": True}}},
        None,
        {"id": 1, "event": {"confirm": {"token": "u", "text": "sure", "default": False}}},
        None,
        {"id": 1, "event": {"want": {"offset": 1, "size": 9}}},
        None,
        {"id": 1, "event": {"want": {"offset": 3, "size": 9}}},
        None,
        {"id": 1, "ok": None},
    ]
    thread, seen = serve(pair, *lines)
    client.request("up", events=Face(), timeout=10)
    thread.join(10)
    file.close()
    assert [(line["do"], line["args"]) for line in seen[1:]] == [
        ("answer", {"token": "t", "text": "PW"}),
        ("answer", {"token": "u", "yes": True}),
        ("data", {"data": "YmM=", "end": False}),
        ("data", {"data": "", "end": True}),
    ]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"id": 1, "error": {"code": "not-up", "text": "t", "exit": 1}}, NotUp),
        ({"id": None, "error": {"code": "protocol", "text": "t"}}, ProtocolError),
        (b"no json\n", ProtocolError),
        (b"[]\n", ProtocolError),
        ({"id": 1}, ProtocolError),
        ({"id": 1, "event": 5}, ProtocolError),
    ],
)
def test_errors_and_nonsense_are_errors_of_afield(pair, answer, kind):
    client, file = pair
    thread, _ = serve(pair, None, answer)
    with pytest.raises(kind):
        client.request("sync", timeout=10)
    thread.join(10)
    file.close()


def test_a_daemon_that_goes_away_is_told_with_the_log(pair):
    client, file = pair
    file.close()
    pair[0]._sock.shutdown(socket.SHUT_RD)
    with pytest.raises(DaemonError) as caught:
        client.request("status", timeout=10)
    assert "daemon.log" in caught.value.hint


def test_silence_ends_with_the_timeout(pair):
    client, file = pair
    with pytest.raises(DaemonError, match="did not answer"):
        client.request("status", timeout=0.05)
    file.close()


def test_the_clients_road_imports_nothing_heavy():
    source = os.path.dirname(os.path.dirname(os.path.dirname(clients.__file__)))
    code = "import sys; sys.path.insert(0, sys.argv[1]); import afield.control.client; print(*[m for m in ('asyncio', 'socket', 'typing', 'logging', 'subprocess', 'dataclasses') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, source], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.split() == []
