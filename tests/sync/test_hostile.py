"""A place that lies: its worker's answers are changed on their way.  Nothing outside the root is touched, nothing here is lost."""

import asyncio
import contextlib
import os

import pytest

from afield.errors import AfieldError
from afield.sync.channel import local_worker
from afield.tree.entries import Entry, Node, Stat, encode_entries
from afield.wire.records import RecordReader, encode_record

STAT = Stat(4, 1_700_000_000_000_000_000, 77, 1_700_000_000_000_000_000)
FILE = Entry(Node("f", False, None), STAT)
FOLDER = Entry(Node("d", False, None), STAT)
LINK = Entry(Node("l", False, b"target"), STAT)
SECONDS = 20.0


class Liar:
    """The channel of a real worker whose answers pass through ``tell(record) -> records``."""

    def __init__(self, channel, tell):
        self._channel = channel
        self._tell = tell
        self._reader = RecordReader()

    def start(self, on_data, on_end):
        def changed(data):
            for record in self._reader.feed(data):
                for told in self._tell(record):
                    on_data(told if isinstance(told, bytes) else encode_record(told))

        self._channel.start(changed, on_end)

    def __getattr__(self, name):
        return getattr(self._channel, name)


def lying(pair, tell):
    async def make():
        return Liar(await local_worker(), tell)

    pair.makers["there"] = make


async def try_to_sync(pair):
    """Let it start and work as far as it gets; an error of ours is a fine answer, anything else is not."""
    session = pair.session()
    try:
        with contextlib.suppress(AfieldError):
            async with asyncio.timeout(SECONDS):
                await session.start()
                await session.flush(2.0)
    finally:
        await session.close()


def adding(entries):
    """Answers in which the first part of every scan holds these entries too."""

    def tell(record):
        number, kind, _ = record
        if kind == "part" and isinstance(record[2], bytes):
            yield [number, "part", encode_entries(entries)]
        yield record

    return tell


def snapshot(pair):
    """Everything below the test's folder but what is inside the two roots and afield's own state."""
    found = {}
    for folder, folders, files in os.walk(pair.folder):
        if not os.path.relpath(folder, pair.folder).startswith(("here", "there", "state")):
            for path in (os.path.join(folder, name) for name in (*folders, *files)):
                found[path] = None
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        found[path] = file.read()
    return {path: content for path, content in found.items() if os.path.basename(path) not in ("there", "state")}


EVIL = [
    b"../outside/evil",
    b"../evil",
    b"/tmp/afield-evil",
    b"sub/../../evil",
    b"./evil",
    b"sub//evil",
    b"sub/",
    b"..",
    b"x" * 256,
    b"sub/" * 1100 + b"evil",
    b".afield/identity",
    b".afield/bin/python",
    b".git/hooks/post-checkout",
    b"sub/.git/config",
]


# A folder and a link are made of their entry alone; the content of a file would have to come as well.
@pytest.mark.parametrize("entry", [FILE, FOLDER, LINK], ids=["file", "folder", "link"])
@pytest.mark.parametrize("path", EVIL, ids=lambda path: path[:24].decode())
def test_an_entry_with_an_evil_name_is_made_nowhere(pair, path, entry):
    (pair.folder / "outside").mkdir()
    (pair.folder / "outside" / "precious").write_text("precious")
    (pair.here / "mine").write_text("mine")
    pair.there.mkdir()
    (pair.there / "theirs").write_text("theirs")
    before = snapshot(pair)
    lying(pair, adding([(b"sub", FOLDER), (path, entry)]))
    asyncio.run(try_to_sync(pair))
    assert snapshot(pair) == before
    assert not os.path.lexists("/tmp/afield-evil")
    assert (pair.here / "mine").read_text() == "mine"
    own = {name for name in pair.tree("here") if name.startswith((b".git", b"sub/.git"))}
    assert not own
    identity = pair.here / ".afield" / "identity"
    assert not identity.exists() or identity.read_bytes().strip() != b"evil"


@pytest.mark.parametrize("entry", [FILE, FOLDER, LINK], ids=["file", "folder", "link"])
@pytest.mark.parametrize("target", [b"../outside", b"/tmp", b"."])
def test_nothing_below_a_link_is_made_through_it(pair, target, entry):
    (pair.folder / "outside").mkdir()
    (pair.here / "mine").write_text("mine")
    pair.there.mkdir()
    before = snapshot(pair)
    link = Entry(Node("l", False, target), STAT)
    lying(pair, adding([(b"way", link), (b"way/afield-evil", entry)]))
    asyncio.run(try_to_sync(pair))
    assert snapshot(pair) == before
    assert not os.path.lexists("/tmp/afield-evil")
    assert (pair.here / "mine").read_text() == "mine"


def kept(pair, text):
    """Whether a content of ours is in the folder here, or in its history: a place may say that it deleted something."""
    for folder, _folders, files in os.walk(pair.here):
        for path in (os.path.join(folder, name) for name in files):
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    if file.read() == text:
                        return True
    return False


@pytest.mark.parametrize("value", [7, 9, 255])
def test_columns_with_a_changed_byte_are_refused_or_harmless(pair, value):
    """A kind that no node has, lengths that do not fit, a name that became another one: each byte of a block, one after the other."""
    (pair.here / "mine").write_text("mine")
    pair.there.mkdir()
    block = encode_entries([(b"node", FILE), (b"sub", FOLDER), (b"way", Entry(Node("l", False, b"node"), STAT))])
    for at in range(0, len(block), 3):
        data = block[:at] + bytes([value]) + block[at + 1 :]

        def tell(record, data=data):
            yield [record[0], "part", data] if record[1] == "part" and isinstance(record[2], bytes) else record

        lying(pair, tell)
        asyncio.run(try_to_sync(pair))
        assert kept(pair, b"mine")
    for name in pair.tree("here"):
        path = os.fsencode(pair.here) + b"/" + name
        assert os.path.islink(path) or os.path.isfile(path) or os.path.isdir(path)


@pytest.mark.parametrize(
    "answer",
    [
        b"\xff\xff\xff\xff",
        b"\x04\x00\x00\x00\xff\xff\xff\xff",
        [10**6, "done", {}],
        [1, "surprise", {}],
        [0, "changed", {"paths": ["text"], "entries": b""}],
        [0, "changed", {"paths": [b"../x"], "entries": b"garbage"}],
        [0, "changed", None],
        [],
        {"not": "a record"},
    ],
    ids=str,
)
def test_an_answer_that_is_no_answer_ends_the_worker_and_nothing_else(pair, answer):
    (pair.here / "mine").write_text("mine")
    pair.there.mkdir()
    before = snapshot(pair)
    told = []

    def tell(record):
        yield record
        told.append(record)
        if len(told) == 2:
            yield answer

    lying(pair, tell)
    asyncio.run(try_to_sync(pair))
    assert len(told) >= 2
    assert (pair.here / "mine").read_text() == "mine"
    assert snapshot(pair) == before
