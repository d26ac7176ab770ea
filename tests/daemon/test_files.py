"""ls, get, put, cat, forward and the agent's lists through the daemon."""

import os
import socket
import threading

import pytest

from afield.control.client import Events
from afield.errors import AfieldError, BadPath, PortError


class Take(Events):
    def __init__(self, source=b""):
        self.data = b""
        self.source = source

    def event(self, event):
        self.data += event.get("data", b"")

    def want(self, offset, size):
        return self.source[offset : offset + size]


@pytest.fixture
def box(sandbox):
    sandbox.here = sandbox.project()
    sandbox.there = os.path.join(sandbox.place, "work", "proj")
    os.makedirs(os.path.join(sandbox.there, "sub"))
    sandbox.args = {"project": sandbox.here}
    with sandbox.connect() as client:
        client.request("connect", sandbox.args, timeout=60)
        sandbox.client = client
        yield sandbox


def fill(path, data):
    with open(path, "wb") as file:
        file.write(data)


def content(path):
    with open(path, "rb") as file:
        return file.read()


def test_ls_lists_the_projects_folder_and_any_other(box):
    fill(os.path.join(box.there, os.fsdecode(b"odd\xff\n")), b"12")
    found = box.client.request("ls", {**box.args, "long": True})
    assert [(entry["name"], entry["kind"], entry["size"]) for entry in found if entry["kind"] == "f"] == [
        (os.fsdecode(b"odd\xff\n"), "f", 2)
    ]
    assert {entry["name"] for entry in box.client.request("ls", {**box.args, "path": box.place + "/work"})} == {"proj"}
    with pytest.raises(AfieldError):
        box.client.request("ls", {**box.args, "path": "absent"})
    with pytest.raises(BadPath):
        box.client.request("ls", {**box.args, "path": "../x"})


def test_cat_streams_the_bytes(box):
    data = os.urandom(3 << 20)
    fill(box.there + "/big", data)
    take = Take()
    told = box.client.request("cat", {**box.args, "path": "big"}, events=take)
    assert take.data == data
    assert told["size"] == len(data)
    part = Take()
    box.client.request("cat", {**box.args, "path": "big", "offset": 3 << 19}, events=part)
    assert part.data == data[3 << 19 :]


def test_a_file_goes_and_comes_back_with_its_mode(box, tmp_path):
    source = str(tmp_path / "run.sh")
    fill(source, b"#!/bin/sh\n" + os.urandom(500_000))
    os.chmod(source, 0o755)
    put = box.client.request("put", {**box.args, "path": "new/deep/run.sh", "from": source})
    assert content(box.there + "/new/deep/run.sh") == content(source)
    assert os.stat(box.there + "/new/deep/run.sh").st_mode & 0o100
    got = box.client.request("get", {**box.args, "path": "new/deep/run.sh", "to": str(tmp_path / "back")})
    assert content(str(tmp_path / "back")) == content(source)
    assert got["digest"] == put["digest"]
    assert sorted(os.listdir(tmp_path)) == ["back", "run.sh"]


def test_bytes_of_a_face_become_a_file(box):
    data = os.urandom(2_500_000)
    told = box.client.request("put", {**box.args, "path": "from-face"}, events=Take(data))
    assert told["bytes"] == len(data)
    assert content(box.there + "/from-face") == data


def test_a_folder_goes_and_comes_back(box, tmp_path):
    root = tmp_path / "tree"
    for name in ("a", "empty", "b/c"):
        (root / name).mkdir(parents=True)
    fill(root / "a" / "x", b"1")
    fill(root / "b" / "c" / os.fsdecode(b"\xfe"), b"2" * 70000)
    put = box.client.request("put", {**box.args, "path": "tree", "from": str(root)})
    assert (put["files"], put["bytes"]) == (2, 70001)
    assert os.path.isdir(box.there + "/tree/empty")
    os.symlink("a/x", box.there + "/tree/link")
    box.client.request("get", {**box.args, "path": "tree", "to": str(tmp_path / "back")})
    assert content(tmp_path / "back" / "b" / "c" / os.fsdecode(b"\xfe")) == b"2" * 70000
    assert os.readlink(tmp_path / "back" / "link") == "a/x"
    assert (tmp_path / "back" / "empty").is_dir()


def test_an_interrupted_get_is_taken_up_where_it_stopped(box, tmp_path):
    data = os.urandom(1 << 20)
    path = box.there + "/big"
    fill(path, data)
    info = os.stat(path)
    part = tmp_path / f".back.{info.st_size:x}-{info.st_mtime_ns:x}.afield-part"
    fill(part, data[:600_000])
    seen = []

    class Look(Events):
        def event(self, event):
            seen.append(event["progress"]["bytes"])

    box.client.request("get", {**box.args, "path": "big", "to": str(tmp_path / "back")}, events=Look())
    assert content(tmp_path / "back") == data
    assert min(seen, default=1 << 20) >= 600_000
    assert os.listdir(tmp_path) == ["back"]


def test_nothing_is_written_through_a_link_that_stands_here(box, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "to").mkdir()
    os.symlink(tmp_path / "outside", tmp_path / "to" / "sub")
    fill(box.there + "/sub/x", b"evil")
    with pytest.raises((BadPath, AfieldError)):
        box.client.request("get", {**box.args, "path": ".", "to": str(tmp_path / "to")})
    assert os.listdir(tmp_path / "outside") == []


def test_what_is_not_there_or_not_a_file_is_refused(box, tmp_path):
    for path in ("absent", "sub"):
        with pytest.raises(AfieldError):
            box.client.request("cat", {**box.args, "path": path})
    with pytest.raises(AfieldError):
        box.client.request("get", {**box.args, "path": "absent", "to": str(tmp_path / "x")})
    assert os.listdir(tmp_path) == []
    with pytest.raises(AfieldError):
        box.client.request("put", {**box.args, "path": "x", "from": str(tmp_path / "absent")})


def test_a_port_is_carried_listed_and_stopped(box):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(20)

        def greet():
            with server.accept()[0] as peer:
                peer.sendall(b"hi")

        answer = threading.Thread(target=greet)
        answer.start()
        held = box.client.request("forward", {**box.args, "spec": f"0:{server.getsockname()[1]}"})
        port = int(held["local"].rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
            assert sock.recv(10) == b"hi"
        answer.join(20)
        assert [item["id"] for item in box.client.request("forwards")] == [held["id"]]
        assert box.client.request("status")["forwards"][str(held["id"])]["local"] == held["local"]
        box.client.request("forward-stop", {"id": held["id"]})
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        with pytest.raises(PortError):
            box.client.request("forward-stop", {"id": held["id"]})


def test_facts_and_footprint_come_from_the_agent(box):
    facts = box.client.request("facts", box.args)
    assert facts["cpus"] >= 1
    (place,) = box.client.request("status")["places"].values()
    assert place["state"] == "connected"
    assert place["agent"]["rss"] < 40_000_000
