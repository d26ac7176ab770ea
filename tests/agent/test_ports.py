"""Connections from and to the place."""

import os
import socket
import threading

import pytest

from afield.errors import PortError, ProtocolError


@pytest.fixture
def echo():
    """A TCP server that sends everything back and then closes its side."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            with sock:
                while data := sock.recv(65536):
                    sock.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


@pytest.mark.parametrize("host", [None, "localhost", "127.0.0.1"])
def test_connect_carries_bytes_both_ways_and_the_half_close(agent, echo, host):
    data = os.urandom(2 << 20)
    stream = agent.open(do="connect", host=host, port=echo)
    stream.send(data)
    stream.end()
    stream.wait_closed()
    assert stream.messages == [{"connected": True}]
    assert bytes(stream.out) == data
    assert stream.ended


def test_connect_by_name_asks_the_name_service_there(agent, echo):
    stream = agent.open(do="connect", host=socket.gethostname(), port=echo)
    try:
        stream.wait_message("connected")
        stream.close()
    except PortError:
        pass  # the name may mean an address that nobody listens on; the loop must live on
    assert agent.call("ping")


def test_connect_to_a_unix_socket(agent, home):
    path = os.path.join(home, "sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        stream = agent.open(do="connect", unix=os.fsencode(path))
        stream.wait_message("connected")
        sock, _ = server.accept()
        with sock:
            stream.send(b"hello")
            assert sock.recv(10) == b"hello"
            sock.sendall(b"bye")
        agent.wait(lambda: stream.ended)
        assert bytes(stream.out) == b"bye"
        stream.close()


def test_refused_connection_is_a_port_error_with_a_hint(agent, home):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PortError, match="refused") as caught:
        agent.open(do="connect", host="127.0.0.1", port=port).wait_closed()
    assert caught.value.hint
    with pytest.raises(PortError):
        agent.open(do="connect", unix=os.fsencode(home) + b"/nothing").wait_closed()
    with pytest.raises(PortError, match="resolved"):
        agent.open(do="connect", host="no-such-host.invalid", port=1).wait_closed()


@pytest.mark.parametrize("header", [{"do": "connect"}, {"do": "connect", "port": 0}, {"do": "connect", "host": "x"}])
def test_connect_without_a_target_is_refused(agent, header):
    with pytest.raises(ProtocolError):
        agent.open(**header).wait_closed()


def test_listener_opens_a_stream_for_each_connection(agent):
    stream = agent.open(do="listen", host="127.0.0.1", port=0)
    port = stream.wait_message("listening")
    socks = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(3)]
    agent.wait(lambda: sum(s.header.get("do") == "accepted" for s in agent.streams.values()) == 3)
    accepted = [s for s in agent.streams.values() if s.header.get("do") == "accepted"]
    for number, (sock, each) in enumerate(zip(socks, accepted, strict=True)):
        assert each.header["listener"] == stream.id
        assert each.header["peer"] == f"127.0.0.1:{sock.getsockname()[1]}"
        each.send(b"%d" % number)
        assert sock.recv(10) == b"%d" % number
        sock.sendall(b"answer")
        agent.wait(lambda each=each: bytes(each.out) == b"answer")
        sock.close()
        agent.wait(lambda each=each: each.ended)
        each.end()
        agent.wait(lambda each=each: each.closed)
    stream.close()
    agent.call("ping")
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=5).recv(1)


def test_port_that_is_taken_is_told(agent):
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(PortError, match="listened on"):
        agent.open(do="listen", host="127.0.0.1", port=server.getsockname()[1]).wait_closed()


def test_closing_a_stream_closes_the_connection(agent):
    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = agent.open(do="connect", port=server.getsockname()[1])
        stream.wait_message("connected")
        sock, _ = server.accept()
        with sock:
            sock.settimeout(10)
            stream.close()
            assert sock.recv(1) == b""


def test_connections_survive_a_cut(agent, echo):
    stream = agent.open(do="connect", port=echo)
    stream.wait_message("connected")
    agent.cut()
    agent.link.send(stream.id, b"over the cut")
    agent.dial()
    agent.wait(lambda: bytes(stream.out) == b"over the cut")
    stream.close()


def test_peer_that_resets_is_an_error_or_an_end_but_no_hang(agent):
    import struct

    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = agent.open(do="connect", port=server.getsockname()[1])
        stream.wait_message("connected")
        sock, _ = server.accept()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        agent.wait(lambda: stream.closed)
        assert isinstance(stream.error, PortError)
