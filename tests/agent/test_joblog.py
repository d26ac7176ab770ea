"""The journal of a job on disk: what was written is read again, from anywhere, also while it is cut short or full."""

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.agent import joblog
from afield.agent.joblog import ERR, HEAD, NOTE, OUT, Reader, Writer


def read_all(folder, position=0, limit=262144):
    reader, found = Reader(str(folder)), []
    while True:
        records, behind = reader.read(position, limit)
        if not records:
            reader.close()
            return found
        assert behind > position or not found
        found += [(stream, bytes(data)) for _, stream, _, data in records]
        position = behind


pieces = st.lists(st.tuples(st.sampled_from([OUT, ERR]), st.binary(min_size=1, max_size=3000)), max_size=60)


@given(pieces=pieces, limit=st.sampled_from([64, 1000, 262144]))
def test_what_was_written_is_read_in_order(tmp_path_factory, pieces, limit):
    folder = tmp_path_factory.mktemp("j")
    writer = Writer(str(folder))
    for stream, data in pieces:
        writer.write(stream, data, 1.0)
    writer.close()
    assert read_all(folder, limit=limit) == pieces


@given(
    lines=st.lists(st.text("ab", max_size=30), max_size=200),
    cuts=st.integers(1, 50),
    count=st.integers(0, 250),
    whole=st.booleans(),
)
def test_the_tail_is_that_of_the_text(tmp_path_factory, lines, cuts, count, whole):
    folder = tmp_path_factory.mktemp("j")
    text = "\n".join(lines).encode() + (b"\n" if whole else b"")
    writer = Writer(str(folder))
    for at in range(0, len(text), cuts):
        writer.write(OUT, text[at : at + cuts], 1.0)
    writer.close()
    reader = Reader(str(folder))
    at, skip = reader.seek(reader.tail(count))
    shown = b"".join(data for _, data in read_all(folder, at))[skip:] if count else b""
    reader.close()
    kept = text.split(b"\n")[:-1] if text.endswith(b"\n") else text.split(b"\n")
    expected = b"\n".join(kept[-count:]) + (b"\n" if text.endswith(b"\n") else b"") if count else b""
    assert shown == expected


def test_the_oldest_segment_goes_first_and_the_size_is_bounded(tmp_path):
    writer = Writer(str(tmp_path), limit=1 << 20)
    for number in range(3000):
        writer.write(OUT, b"%08d\n" % number * 100, float(number))
    writer.close()
    kept = sum(path.stat().st_size for path in tmp_path.glob("out-*"))
    assert kept <= 1 << 20
    assert writer.dropped > 0
    reader = Reader(str(tmp_path))
    assert reader.output() == 3000 * 900
    assert reader.first() == writer.dropped
    assert reader.end() == writer.position
    assert read_all(tmp_path, reader.first())[-1][1].endswith(b"00002999\n")
    # A position that is kept no more moves to the oldest.
    assert reader.read(0)[0][0][0] == reader.first()
    reader.close()


def test_the_journal_of_an_older_afield_has_the_size_that_it_has(tmp_path):
    writer = Writer(str(tmp_path))
    writer.write(OUT, b"output", 1.0)
    writer.close()
    assert Reader(str(tmp_path)).output() == len(b"output")
    os.unlink(tmp_path / joblog.SIZE)
    assert Reader(str(tmp_path)).output() == writer.position > len(b"output")


def test_a_time_is_found(tmp_path):
    writer = Writer(str(tmp_path), limit=1 << 20)
    for number in range(2000):
        writer.write(OUT, b"%d\n" % number + bytes(100), float(number + 1))
    writer.close()
    reader = Reader(str(tmp_path))
    assert read_all(tmp_path, reader.since(1_500_000_000))[0][1].startswith(b"1499\n")
    assert reader.since(10**15) == reader.end()
    reader.close()


def test_a_record_that_was_cut_short_ends_the_journal(tmp_path):
    writer = Writer(str(tmp_path))
    writer.write(OUT, b"whole", 1.0)
    writer.write(OUT, b"cut short", 1.0)
    writer.close()
    (path,) = tmp_path.glob("out-*")
    os.truncate(path, HEAD.size * 2 + 8)
    assert read_all(tmp_path) == [(OUT, b"whole")]


def test_what_a_full_disk_does_not_take_is_counted_and_told_at_its_place(tmp_path, monkeypatch):
    writer = Writer(str(tmp_path))
    writer.write(OUT, b"before", 1.0)
    real = os.writev

    def full(fd, parts):
        real(fd, [bytes(parts[0])[:7]])  # a part fits
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(joblog.os, "writev", full)
    writer.write(OUT, b"lost", 1.0)
    writer.write(ERR, b"lost as well", 1.0)
    monkeypatch.undo()
    writer.write(OUT, b"after", 1.0)
    writer.close()
    assert (writer.lost, writer.output) == (16, len(b"beforeafter"))
    assert Reader(str(tmp_path)).output() == len(b"beforeafter")
    assert read_all(tmp_path) == [(OUT, b"before"), (NOTE, (16).to_bytes(8, "little")), (OUT, b"after")]


@pytest.mark.parametrize("lines", [1, 24, 1000])
def test_the_end_of_output_without_line_ends_is_found_without_reading_all(tmp_path, lines):
    writer = Writer(str(tmp_path))
    for _ in range(40):
        writer.write(OUT, b"\r50 %" * 50000, 1.0)
    writer.close()
    reader = Reader(str(tmp_path))
    assert 0 < reader.end() - reader.tail(lines) <= joblog.LOOK_BACK + 3 * joblog.INDEX_EVERY
    reader.close()
