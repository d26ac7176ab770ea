"""A started command and its three pipes."""

import asyncio
import fcntl
import os
import signal
import sys

import pytest

from afield.errors import BadTransport
from afield.link import spawn
from afield.link.carrier import Carrier
from afield.transports.base import Dial


def python(code):
    return Dial([sys.executable, "-I", "-S", "-c", code])


class Box:
    """A carrier that collects what comes."""

    def __init__(self, dial):
        self.data = bytearray()
        self.over = asyncio.Event()
        self.wrote = asyncio.Event()
        self.carrier = Carrier(
            spawn.spawn(dial),
            buffer=bytearray(65536),
            received=self.data.extend,
            writable=self.wrote.set,
            ended=self.over.set,
        )


def run(dial, work):
    async def main():
        box = Box(dial)
        try:
            async with asyncio.timeout(20):
                return await work(box)
        finally:
            await box.carrier.end()

    return asyncio.run(main())


def test_bytes_go_through_in_order_and_more_than_a_pipe_holds():
    blocks = [os.urandom(300_000) for _ in range(20)]

    async def work(box):
        for block in blocks:
            box.carrier.write([block[:1], block[1:]])
        await box.wrote.wait()
        assert box.carrier.idle
        while len(box.data) < 6_000_000:
            await asyncio.sleep(0.005)
        return bytes(box.data)

    assert run(python("import os\nwhile 1:\n d=os.read(0,65536)\n d or os._exit(0)\n os.write(1,d)"), work) == b"".join(
        blocks
    )


def test_many_small_pieces_are_more_than_one_writev_takes():
    async def work(box):
        box.carrier.write([b"%07d\n" % n for n in range(5000)])
        while len(box.data) < 40_000:
            await asyncio.sleep(0.005)
        return bytes(box.data)

    assert run(python("import os\nwhile 1:\n d=os.read(0,65536)\n d or os._exit(0)\n os.write(1,d)"), work) == b"".join(
        b"%07d\n" % n for n in range(5000)
    )


def test_the_end_the_status_and_the_last_words_are_kept():
    async def work(box):
        await box.over.wait()
        status = await box.carrier.wait_exit()
        return status, box.carrier.stderr, bytes(box.data)

    code = "import os; os.write(1, b'out'); os.write(2, b'x' * 20000 + b'last words'); os._exit(7)"
    status, stderr, data = run(python(code), work)
    assert (status, data) == (7, b"out")
    assert stderr.endswith("last words")
    assert len(stderr) == 8192


def test_a_dead_reader_is_an_end_and_not_an_exception():
    async def work(box):
        box.carrier.write([b"x" * 5_000_000])
        await box.over.wait()
        box.carrier.write([b"more"])
        return await box.carrier.wait_exit()

    assert run(python("import os; os._exit(3)"), work) == 3


def test_the_command_is_in_a_session_of_its_own_and_takes_no_signal_setting_from_us():
    async def work(box):
        await box.over.wait()
        return bytes(box.data).decode().split()

    old = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        code = "import os, signal; os.write(1, b'%d %d %s' % (os.getsid(0), os.getpid(), str(signal.getsignal(signal.SIGTERM)).encode()))"
        sid, pid, handler = run(python(code), work)
    finally:
        signal.signal(signal.SIGTERM, old)
    assert sid == pid
    assert "DFL" in handler or handler == "0"


def test_no_descriptor_of_ours_is_left_in_the_command():
    async def work(box):
        await box.over.wait()
        return eval(bytes(box.data).decode())

    ours = [int(name) for name in os.listdir("/proc/self/fd") if 2 < int(name) < 64]
    inherited = [fd for fd in ours if os.path.exists(f"/proc/self/fd/{fd}") and os.get_inheritable(fd)]
    code = "import os; os.write(1, repr([f for f in range(3, 64) if os.path.exists('/proc/self/fd/%d' % f)]).encode())"
    assert run(python(code), work) == sorted(inherited)


def test_the_pipes_are_enlarged():
    async def work(box):
        return fcntl.fcntl(box.carrier._in, fcntl.F_GETPIPE_SZ), fcntl.fcntl(box.carrier._out, fcntl.F_GETPIPE_SZ)

    sizes = run(python("import time; time.sleep(60)"), work)
    assert all(size > 65536 for size in sizes)


def test_a_command_that_ignores_its_end_is_killed_by_pid():
    async def work(box):
        while b"ready" not in box.data:
            await asyncio.sleep(0.005)
        await box.carrier.end()
        return box.carrier.status

    assert (
        run(
            python("import signal,time,os; signal.signal(15, signal.SIG_IGN); os.write(1,b'ready'); time.sleep(60)"),
            work,
        )
        == -signal.SIGKILL
    )


@pytest.mark.parametrize("argv", [["/nosuch/ssh"], ["/etc/passwd"]])
def test_a_command_that_cannot_be_started_is_explained_and_leaves_no_descriptor(argv):
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(BadTransport, match=argv[0]) as caught:
        spawn.spawn(Dial(argv))
    assert caught.value.hint
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_folder_to_start_in_is_respected(tmp_path):
    async def work(box):
        await box.over.wait()
        await box.carrier.wait_exit()
        return bytes(box.data).decode()

    assert run(
        Dial([sys.executable, "-I", "-S", "-c", "import os; print(os.getcwd())"], cwd=str(tmp_path)), work
    ).strip() == str(tmp_path)
