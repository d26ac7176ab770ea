"""Named pipes: bytes and ends cross, both ways, with the real programs at the other end."""

import asyncio
import os
import subprocess
import sys

import pytest

from afield.daemon.fifos import Fifo

LOTS = os.urandom(1 << 20)


class Program:
    """What a ``process`` stream is to a pipe, with a program on this machine behind it."""

    def __init__(self, argv):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    async def read(self, size):
        return await asyncio.to_thread(self.process.stdout.read1, size)

    async def write(self, data):
        await asyncio.to_thread(self.process.stdin.write, data)
        await asyncio.to_thread(self.process.stdin.flush)

    async def write_end(self):
        await asyncio.to_thread(self.process.stdin.close)

    def close(self):
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()
        self.process.wait()


@pytest.fixture
def pipes(tmp_path):
    found = [os.fsencode(tmp_path / name) for name in ("here", "there")]
    for path in found:
        os.mkfifo(path)
    return found


def fifo(pipes):
    return Fifo(*pipes, os.fsencode(sys.executable), Program)


def read_all(path):
    with open(path, "rb") as file:
        return file.read()


def write_all(path, data):
    with open(path, "wb") as file:
        file.write(data)


def test_a_reader_here_gets_what_is_written_there_and_its_end(pipes):
    async def scenario():
        # As an editor does: open for reading without waiting, then wait for bytes.
        fd = os.open(pipes[0], os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(fd, True)
        joined = fifo(pipes)
        await asyncio.sleep(0)  # the direction is found when it begins
        reader = asyncio.create_task(asyncio.to_thread(read_all, fd))
        await asyncio.to_thread(write_all, pipes[1], LOTS)
        await joined.drained(20)
        assert await asyncio.wait_for(reader, 20) == LOTS
        await joined.close()

    asyncio.run(scenario())


def test_what_a_writer_here_writes_is_read_there_and_its_end(pipes):
    async def scenario():
        joined = fifo(pipes)
        await asyncio.sleep(0)
        writer = asyncio.create_task(asyncio.to_thread(write_all, pipes[0], LOTS))
        assert await asyncio.wait_for(asyncio.to_thread(read_all, pipes[1]), 20) == LOTS
        await writer
        await joined.close()

    asyncio.run(scenario())


def test_closing_ends_one_that_nobody_opened(pipes):
    async def scenario():
        joined = fifo(pipes)
        await asyncio.sleep(0)
        program = joined._stream.process
        await asyncio.wait_for(joined.close(), 20)
        assert program.returncode is not None

    asyncio.run(scenario())
