"""Forwards over a real agent: bytes, half-closes, resets, both directions, unix sockets."""

import asyncio
import os
import socket

import pytest

from afield import errors
from afield.link.forward import LocalForward, RemoteForward, parse_forward


async def echo_server(path=None):
    """A server that sends back in capitals and ends when the client's half ends."""

    async def serve(reader, writer):
        while data := await reader.read(65536):
            writer.write(data.upper())
            await writer.drain()
        writer.write(b"|end")
        writer.close()

    if path:
        return await asyncio.start_unix_server(serve, path)
    return await asyncio.start_server(serve, "127.0.0.1", 0)


def port_of(server):
    return server.sockets[0].getsockname()[1]


async def talk(where, data):
    reader, writer = await (
        asyncio.open_unix_connection(where) if isinstance(where, str) else asyncio.open_connection("127.0.0.1", where)
    )
    sending = asyncio.ensure_future(send(writer, data))
    back = await reader.read(-1)
    await sending
    writer.close()
    return back


async def send(writer, data):
    writer.write(data)
    await writer.drain()
    writer.write_eof()


def test_a_local_port_leads_there_and_a_half_close_passes(local_transport, run):
    blob = os.urandom(2_000_000).replace(b"|", b"_")

    async def work(link):
        server = await echo_server()
        forward = LocalForward(link, parse_forward(f"0:127.0.0.1:{port_of(server)}"))
        end = await forward.start()
        backs = await asyncio.gather(*(talk(end.port, blob) for _ in range(3)))
        assert all(back == blob.upper() + b"|end" for back in backs)
        await asyncio.wait_for(none_left(forward), 10)
        await forward.stop()
        server.close()
        with pytest.raises(ConnectionRefusedError):
            await talk(end.port, b"x")

    run(local_transport, work)


async def none_left(forward):
    while forward.connections:
        await asyncio.sleep(0.01)


def test_a_connection_that_comes_early_goes_on_when_it_may(local_transport, run):
    async def work(link):
        server = await echo_server()
        forward = LocalForward(link, parse_forward(f"0:127.0.0.1:{port_of(server)}"))
        end = await forward.start()
        time = asyncio.get_running_loop().time
        forward.held_until = time() + 0.2
        assert await talk(end.port, b"early") == b"EARLY|end"
        assert time() >= forward.held_until
        forward.held_until = time() + 60
        early = asyncio.ensure_future(talk(end.port, b"never"))
        while not forward._tasks:
            await asyncio.sleep(0.01)
        await forward.stop()
        server.close()
        assert isinstance((await asyncio.gather(early, return_exceptions=True))[0], (bytes, OSError))

    run(local_transport, work)


def test_unix_sockets_stand_at_either_end_and_are_removed(local_transport, run, tmp_path):
    async def work(link):
        server = await echo_server(str(tmp_path / "there"))
        forward = LocalForward(link, parse_forward(f"{tmp_path}/here:{tmp_path}/there"))
        await forward.start()
        assert os.stat(tmp_path / "here").st_mode & 0o777 == 0o600
        assert await talk(str(tmp_path / "here"), b"abc") == b"ABC|end"
        await forward.stop()
        server.close()
        assert not (tmp_path / "here").exists()

    run(local_transport, work)


def test_a_port_there_leads_here(local_transport, run):
    async def work(link):
        server = await echo_server()
        forward = RemoteForward(link, parse_forward(f"0:127.0.0.1:{port_of(server)}"))
        end = await forward.start()
        assert end.port
        assert await talk(end.port, b"from there") == b"FROM THERE|end"
        await forward.stop()
        server.close()

    run(local_transport, work)


def test_a_refused_port_there_closes_the_connection_here(local_transport, run):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]

    async def work(link):
        forward = LocalForward(link, parse_forward(f"0:127.0.0.1:{closed}"))
        end = await forward.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", end.port)
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass
        writer.close()
        await forward.stop()

    run(local_transport, work)


def test_a_taken_port_is_named_with_a_way_out(memory, run):
    async def work(link):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(errors.PortError, match=str(port)) as caught:
                await LocalForward(link, parse_forward(f"{port}:80")).start()
        assert "0" in caught.value.hint

    run(memory, work)


def test_nagle_is_off(local_transport, run, monkeypatch):
    seen = []
    real = socket.socket.setsockopt
    monkeypatch.setattr(socket.socket, "setsockopt", lambda self, *args: (seen.append(args), real(self, *args))[1])

    async def work(link):
        server = await echo_server()
        forward = LocalForward(link, parse_forward(f"0:127.0.0.1:{port_of(server)}"))
        end = await forward.start()
        await talk(end.port, b"x")
        await forward.stop()
        server.close()

    run(local_transport, work)
    assert (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) in seen


def test_a_listener_there_is_renewed_after_the_session_is_gone(local_transport, run):
    import signal

    async def work(link):
        server = await echo_server()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        forward = RemoteForward(link, parse_forward(f"{port}:127.0.0.1:{port_of(server)}"))
        await forward.start()
        renewed = asyncio.Event()
        link.on_new_session.append(renewed.set)
        os.kill((await link.call("footprint"))["pid"], signal.SIGKILL)
        await renewed.wait()

        async def again():
            while True:
                try:
                    return await talk(port, b"again")
                except OSError:
                    await asyncio.sleep(0.02)

        assert await asyncio.wait_for(again(), 10) == b"AGAIN|end"
        await forward.stop()
        server.close()

    run(local_transport, work)
