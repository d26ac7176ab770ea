"""Bytes between descriptors and streams, with slow ends on either side."""

import asyncio
import os

from afield.link.pump import FromFd, ToFd

ECHO = {"do": "echo"}


async def over(pump):
    while not pump.done:
        await asyncio.sleep(0.005)


def test_a_pipe_is_pumped_through_an_echo_into_another_pipe(memory, run):
    blob = os.urandom(3_000_000)

    async def work(link):
        stream = link.open_stream(ECHO)
        (in_read, in_write), (out_read, out_write) = os.pipe(), os.pipe()
        for fd in (in_read, out_write):
            os.set_blocking(fd, False)
        source, sink = FromFd(in_read, stream), ToFd(out_write, stream)
        feeding = asyncio.to_thread(feed, in_write, blob)
        eating = asyncio.to_thread(eat, out_read)
        task = asyncio.ensure_future(feeding)
        reading = asyncio.ensure_future(eating)
        await over(source)
        await over(sink)
        os.close(out_write)
        os.close(in_read)
        await task
        assert (source.count, sink.count) == (len(blob), len(blob))
        return await reading

    assert run(memory, work) == blob


def feed(fd, blob):
    view = memoryview(blob)
    while view:
        view = view[os.write(fd, view[:100_000]) :]
    os.close(fd)


def eat(fd):
    parts = []
    while data := os.read(fd, 65536):
        parts.append(data)
    os.close(fd)
    return b"".join(parts)


def test_a_regular_file_is_a_source_too(memory, run, tmp_path):
    blob = os.urandom(1_500_000)
    (tmp_path / "file").write_bytes(blob)

    async def work(link):
        stream = link.open_stream(ECHO)
        fd = os.open(tmp_path / "file", os.O_RDONLY)
        source = FromFd(fd, stream)
        back = bytearray()
        while data := await stream.read():
            back += data
        await over(source)
        os.close(fd)
        return bytes(back)

    assert run(memory, work) == blob


def test_a_sink_that_nobody_reads_holds_the_far_end_back(memory, run):
    async def work(link):
        stream = link.open_stream({"do": "give", "size": 50_000_000})
        read, write = os.pipe()
        os.set_blocking(write, False)
        sink = ToFd(write, stream)
        for _ in range(20):
            await link.call("add", {"a": 1, "b": 1})
        waiting = sum(len(data) for data in sink._queue)
        sink.stop()
        stream.close()
        os.close(read)
        os.close(write)
        return waiting

    assert run(memory, work) <= 5 * 1024 * 1024


def test_a_sink_that_broke_reports_it_once_and_lets_the_stream_go_on(memory, run):
    async def work(link):
        stream = link.open_stream({"do": "give", "size": 3_000_000})
        read, write = os.pipe()
        os.set_blocking(write, False)
        os.close(read)
        seen = []
        ToFd(write, stream, on_done=seen.append)
        await stream.wait_closed()
        os.close(write)
        return seen

    seen = run(memory, work)
    assert len(seen) == 1
    assert isinstance(seen[0], BrokenPipeError)


def test_a_source_stops_when_its_stream_is_closed(memory, run):
    async def work(link):
        stream = link.open_stream({"do": "take"})
        read, write = os.pipe()
        os.set_blocking(read, False)
        source = FromFd(read, stream)
        stream.close()
        os.write(write, b"x")
        await over(source)
        os.close(read)
        os.close(write)

    run(memory, work)
