"""Large files through whole sessions: deltas both ways, cuts, limits, a slow way that deflates."""

import asyncio
import os
import time

import pytest

from afield.sync.channel import local_worker
from afield.sync.pace import Limit, Rate

MEGA = 1 << 20


class Counted:
    """A channel that counts what is written to and read from its worker; ``delay`` is what it says of itself."""

    def __init__(self, inner, delay=0.0):
        self.inner, self.delay = inner, delay
        self.up = self.down = 0

    def start(self, on_data, on_end):
        def data(piece):
            self.down += len(piece)
            on_data(piece)

        self.inner.start(data, on_end)

    def write(self, data):
        self.up += len(data)
        self.inner.write(data)

    def __getattr__(self, name):
        return getattr(self.inner, name)


def counted(pair, side="there", delay=0.0):
    made = []

    async def make():
        made.append(Counted(await local_worker(), delay))
        return made[-1]

    pair.makers[side] = make
    return made


def test_an_edit_of_a_large_file_sends_what_changed_either_way(pair, wait_for):
    async def body():
        made = counted(pair)
        old = os.urandom(8 * MEGA)
        (pair.here / "big").write_bytes(old)
        async with pair.up():
            assert (pair.there / "big").read_bytes() == old
            up, down = made[-1].up, made[-1].down
            new = old[: 3 * MEGA] + b"inserted here" + old[3 * MEGA :]
            (pair.here / "big").write_bytes(new)
            await wait_for(lambda: (pair.there / "big").read_bytes() == new, "the edit there")
            assert made[-1].up - up < 100_000
            assert made[-1].down - down < 100_000
            up, down = made[-1].up, made[-1].down
            last = new[: 5 * MEGA] + new[6 * MEGA :] + b"from there"
            (pair.there / "big").write_bytes(last)
            await wait_for(lambda: (pair.here / "big").read_bytes() == last, "the edit here")
            assert made[-1].down - down < 150_000
            assert made[-1].up - up < 100_000

    asyncio.run(body())


@pytest.mark.parametrize("side", ["here", "there"])
def test_a_large_file_goes_on_where_a_worker_died(pair, wait_for, side):
    async def body():
        made = counted(pair)
        content = os.urandom(48 * MEGA)
        (pair.here / "seed").write_text("seed")
        killed = []

        def progress(now):
            if now.bytes >= 24 * MEGA and not killed:
                channel = session.picture.side(side).endpoint.channel
                getattr(channel, "inner", channel).process.kill()
                killed.append(sum(channel.up for channel in made))

        session = pair.session()
        try:
            await session.start()
            session.on_progress = progress
            (pair.here / "big").write_bytes(content)
            await wait_for(lambda: (pair.there / "big").read_bytes() == content, "the whole file")
            assert killed
            # The first half went over before, and what was under way in the pipes is at most some megabytes.
            assert sum(channel.up for channel in made) < len(content) + 8 * MEGA
            assert session.conflicts() == []
        finally:
            await session.close()

    asyncio.run(body())


def test_a_slow_way_deflates_and_a_near_one_does_not(pair, wait_for):
    async def body():
        for delay, least, most in ((0.05, 0, 0.5), (0.0, 1, 1.1)):
            made = counted(pair, delay=delay)
            name = f"text{delay}"
            # Of its own each time: what the other side has already would be copied there.
            content = b"".join(b"%d;some text\n" % number for number in range(400_000))
            content = name.encode() + content
            async with pair.up():
                (pair.here / name).write_bytes(content)
                for i in range(50):
                    (pair.here / f"{name}-{i}").write_bytes(content[: 10_000 + i])
                await wait_for(lambda: pair.tree("there").keys() == pair.tree("here").keys(), "files")
                assert least <= made[-1].up / (len(content) + 500_000) < most
        pair.equal()

    asyncio.run(body())


def test_many_large_files_and_small_ones_in_one_cycle(pair):
    async def body():
        for i in range(6):
            (pair.here / f"d{i}").mkdir()
            (pair.here / f"d{i}" / "big").write_bytes(os.urandom(5 * MEGA + i))
            (pair.here / f"d{i}" / "small").write_bytes(os.urandom(i))
        async with pair.up() as session:
            assert pair.equal()
            assert session.status().problems_total == 0

    asyncio.run(body())


def test_a_limit_holds_back_and_lets_everything_through(pair):
    async def body():
        content = os.urandom(6 * MEGA)
        (pair.here / "big").write_bytes(content)
        began = time.monotonic()
        async with pair.up(limit=4 * MEGA):
            assert time.monotonic() - began > 1.0
            assert (pair.there / "big").read_bytes() == content

    asyncio.run(body())


def test_a_limit_says_how_long_to_wait():
    limit = Limit(1_000_000)
    assert limit.take(100_000, 100.0) == 0.0
    assert 1.8 < limit.take(2_000_000, 100.0) < 2.0
    assert limit.take(0, 103.0) == 0.0
    assert Limit(None).take(1 << 60, 0.0) == 0.0


def test_the_level_follows_delay_and_rate():
    rate = Rate()
    assert rate.level(0.0001) == 0
    assert rate.level(0.05) == 1
    for tenth in range(20):
        rate.add(250_000, 10 + tenth / 10)
    assert rate.level(0.05) == 6
    for hundredth in range(200):
        rate.add(1_000_000, 20 + hundredth / 100)
    assert rate.level(0.05) == 0
