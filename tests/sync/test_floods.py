"""A place that tells without end: it is not listened to any more, memory stays bounded, and the error says what to do."""

import asyncio
import itertools

import pytest

from afield.errors import AfieldError, TooManyFiles
from afield.sync import bounds
from afield.sync.channel import local_worker
from afield.tree.entries import Entry, Node, Stat, encode_entries
from afield.wire.records import RecordReader, encode_record

STAT = Stat(4, 1_700_000_000_000_000_000, 77, 1_700_000_000_000_000_000)
FILE = Entry(Node("f", False, None), STAT)
ENTRIES = 20_000
AT_ONCE = 1000
# Parts, five times what anybody may listen to: a million entries, so that a test which fails does so before memory is full.
ENDLESS = 1000


class Flood:
    """The channel of a real worker; ``flood(number)`` gives the value of the number-th record of too many."""

    def __init__(self, channel, trigger, make):
        self._channel = channel
        self._trigger, self._make = trigger, make
        self._reader = RecordReader()
        self.told = 0
        self.over = False

    def start(self, on_data, on_end):
        def changed(data):
            for record in self._reader.feed(data):
                if self._trigger(record):
                    for number in range(ENDLESS):
                        if self.over:
                            return
                        self.told += 1
                        on_data(encode_record(self._make(record[0], number)))
                if not self.over:
                    on_data(encode_record(record))

        self._channel.start(changed, on_end)

    def pause(self):
        self.over = True
        self._channel.pause()

    def __getattr__(self, name):
        return getattr(self._channel, name)


def columns(number, name=b"f%d"):
    first = number * AT_ONCE
    return encode_entries([(name % place, FILE) for place in range(first, first + AT_ONCE)])


def is_scan(record):
    return record[1] == "part" and isinstance(record[2], bytes)


def is_open(record):
    return record[1] == "done" and isinstance(record[2], dict) and "identity" in record[2]


FLOODS = {
    "entries": (is_scan, lambda asked, number: [asked, "part", columns(number)]),
    "the same entries again": (is_scan, lambda asked, _: [asked, "part", columns(0)]),
    "parts of nothing": (is_scan, lambda asked, _: [asked, "part", encode_entries([])]),
    "long names": (is_scan, lambda asked, number: [asked, "part", columns(number, b"%d" + b"n" * 240)]),
    "events with entries": (is_open, lambda _, number: [0, "changed", {"paths": [], "entries": columns(number)}]),
    "events with paths": (
        is_open,
        lambda _, number: [0, "changed", {"paths": [b"%d/%d" % (number, place) for place in range(AT_ONCE)]}],
    ),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_place_that_announces_without_end_is_not_listened_to(pair, monkeypatch, kind):
    monkeypatch.setattr(bounds, "ENTRIES", ENTRIES if kind != "long names" else 10**9)
    monkeypatch.setattr(bounds, "NAMES", 4 << 20)
    made = []

    async def make():
        made.append(Flood(await local_worker(), *FLOODS[kind]))
        return made[-1]

    async def body():
        (pair.here / "mine").write_text("mine")
        pair.there.mkdir()
        (pair.there / "theirs").write_text("theirs")
        pair.makers["there"] = make
        session = pair.session()
        try:
            with pytest.raises(AfieldError) as caught:
                await session.start()
        finally:
            await session.close()
        assert isinstance(caught.value, TooManyFiles)
        assert "there" in caught.value.text
        assert "keep-there" in caught.value.hint
        most = max(ENTRIES // AT_ONCE, ENTRIES // bounds.EMPTY, (4 << 20) // (240 * AT_ONCE))
        assert made[0].told <= most + 2
        assert (pair.here / "mine").read_text() == "mine"
        assert list(pair.tree("here")) == [b"mine"]

    asyncio.run(body())


def test_a_listing_that_does_not_end_is_ended(pair, monkeypatch):
    monkeypatch.setattr(bounds, "GATHERED", 1 << 20)

    async def body():
        (pair.here / "a").write_text("1")
        flood = []

        async def make():
            rows = [[b"name %d" % place, "f", False, 1, 2, 3, b""] for place in range(AT_ONCE)]
            flood.append(
                Flood(
                    await local_worker(),
                    lambda record: record[1] == "part" and record[0] > 8,
                    lambda asked, _: [asked, "part", rows],
                )
            )
            return flood[0]

        pair.makers["there"] = make
        async with pair.up() as session:
            endpoint = session.picture.there.asked()
            for _ in itertools.takewhile(lambda _: endpoint._next < 9, itertools.count()):
                await endpoint.request("clock")
            with pytest.raises(TooManyFiles, match="MiB"):
                await endpoint.collect("list", {"path": b""})
            assert flood[0].told < 20

    asyncio.run(body())


def test_a_session_goes_on_when_a_place_has_come_to_its_senses(pair, monkeypatch, wait_for):
    monkeypatch.setattr(bounds, "ENTRIES", 50)

    async def body():
        (pair.here / "a").write_text("1")
        async with pair.up() as session:
            for number in range(80):
                (pair.there / f"n{number}").write_text("x")
            await wait_for(lambda: session.status().state == "waiting", "the refusal")
            assert "too many files" in session.status().reason
            assert "keep-there" in session.status().hint
            for number in range(80):
                (pair.there / f"n{number}").unlink(missing_ok=True)
            session.resume()
            (pair.here / "b").write_text("2")
            await wait_for(lambda: (pair.there / "b").exists(), "the sync")

    asyncio.run(body())
