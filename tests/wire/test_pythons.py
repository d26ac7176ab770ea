"""The wire under every Python that is found, straight from its sources: it compiles, and two ends understand each other."""

import pathlib
import subprocess
import sys

import pytest
import pythons

import afield

SOURCES = pathlib.Path(afield.__file__).parent


def pythons_of_this_machine():
    """Give the interpreters from 3.6 on, and this one."""
    return sorted({sys.executable, *pythons.found().values()})


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
from afield.testing.wire import link_pair
from afield.wire import events, messages, records, retry

before = set(sys.modules)
for name in ("asyncio", "socket", "subprocess", "threading", "random", "logging", "json", "typing", "dataclasses"):
    assert name not in before, name + " was imported"

def cut(data):
    return [data[at : at + 7] for at in range(0, len(data), 7)]

pair = link_pair(cut=cut)
stream = pair.client.open({"do": "process", "argv": [b"true"], "id": bytes(16)})
assert messages.read_header({"do": "process", "argv": [b"true"], "id": bytes(16)})["login"] is False
pair.pump()
pair.client.send(stream, b"x" * 100000)
pair.client.data_to_send(1)
pair.drop()
pair.connect()
pair.client.send_message(stream, {"exit": 0, "f": 1.5, "n": None, "i": -(1 << 63), "t": "\\u00fc"})
pair.client.send_end(stream)
pair.client.close(stream)
pair.settle(1)
got = pair.take_events()[1]
data = b"".join(event.data for event in got if isinstance(event, events.Data))
assert data == b"x" * 100000, len(data)
assert got[-1] == events.Closed(stream, None), got[-1]
reader = records.RecordReader()
assert reader.feed(records.encode_record([1, b"two"])) == [[1, b"two"]]
assert retry.Retry().next(0.0) == 0.2
print("good")
"""


@pytest.mark.pythons
@pytest.mark.parametrize(
    "python", pythons_of_this_machine(), ids=lambda path: "-".join(pathlib.Path(path).parts[-3:-2])
)
def test_two_ends_understand_each_other(python, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [python, "-I", "-S", str(script), str(SOURCES.parent)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "good"), done.stderr


@pytest.mark.parametrize("path", sorted((SOURCES / "wire").glob("*.py")), ids=lambda path: path.name)
def test_the_sources_touch_nothing_outside(path):
    words = path.read_text(encoding="utf-8")
    for line in words.splitlines():
        if line.startswith(("import ", "from ")):
            assert line.split()[1].split(".")[0] in {"struct", "collections", "zlib", "afield"}, line
    assert len(words.splitlines()) < 400
