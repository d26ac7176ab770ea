"""The journal against a model: two lists of bytes."""

import os
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from afield.agent.journal import ERR, OUT, Journal
from afield.errors import ProtocolError


class JournalAgainstModel(RuleBasedStateMachine):
    """Whatever is appended, handed over, consumed and asked for again: each channel's bytes come back exactly."""

    @initialize(memory=st.integers(1, 200), spill=st.sampled_from([0, 50, 10000]))
    def begin(self, memory, spill):
        self.journal = Journal(self.open_spill if spill else None, memory=memory, spill=spill)
        self.all = [b"", b""]
        self.got = [0, 0]  # by the client of now
        self.order = []  # what was handed over since the rewind, not consumed: (channel, length)
        self.consumed_total = 0
        self.consumed = [0, 0]
        self.serial = 0

    def open_spill(self):
        fd, path = tempfile.mkstemp()
        os.unlink(path)
        return fd

    def fresh(self, size):
        self.serial += 1
        return bytes((self.serial * 7 + n) % 256 for n in range(size))

    @rule(channel=st.sampled_from([OUT, ERR]), size=st.integers(1, 400))
    def append(self, channel, size):
        size = min(size, self.journal.room())
        if size:
            data = self.fresh(size)
            self.journal.append(channel, data)
            self.all[channel] += data

    @precondition(lambda self: not self.journal.waiting)
    @rule(channel=st.sampled_from([OUT, ERR]), size=st.integers(1, 400))
    def append_sent(self, channel, size):
        data = self.fresh(size)
        self.journal.append_sent(channel, data)
        self.all[channel] += data
        self.got[channel] += size
        self.order.append((channel, size))

    @rule(limit=st.integers(0, 300))
    def take(self, limit):
        piece = self.journal.take(limit)
        if piece is None:
            assert not limit or not self.journal.waiting
            return
        channel, data = piece
        assert 0 < len(data) <= limit
        assert data == self.all[channel][self.got[channel] : self.got[channel] + len(data)]
        self.got[channel] += len(data)
        self.order.append((channel, len(data)))

    @rule(share=st.floats(0, 1))
    def consume(self, share):
        count = int(sum(length for _, length in self.order) * share)
        self.consumed_total += count
        self.journal.consumed(self.consumed_total)
        while count:
            channel, length = self.order.pop(0)
            used = min(length, count)
            self.consumed[channel] += used
            count -= used
            if used < length:
                self.order.insert(0, (channel, length - used))

    @rule(out=st.floats(0, 1), err=st.floats(0, 1))
    def rewind(self, out, err):
        offsets = [
            low + int((len(data) - low) * share)
            for low, data, share in zip(self.consumed, self.all, (out, err), strict=True)
        ]
        self.journal.rewind(*offsets)
        self.got = list(offsets)
        self.consumed = list(offsets)  # the journal drops what lies before
        self.order = []
        self.consumed_total = 0

    @rule()
    def refuse_what_is_gone(self):
        for channel in (OUT, ERR):
            for bad in (self.consumed[channel] - 1, len(self.all[channel]) + 1):
                offsets = list(self.consumed)
                offsets[channel] = bad
                if bad >= 0:
                    with pytest.raises(ProtocolError):
                        self.journal.rewind(*offsets)

    @invariant()
    def counts_agree(self):
        if hasattr(self, "journal"):
            assert self.journal.produced == [len(self.all[0]), len(self.all[1])]
            assert self.journal.waiting == sum(map(len, self.all)) - sum(self.got)
            assert self.journal.kept == sum(map(len, self.all)) - sum(self.consumed)
            assert self.journal.room() >= 0

    def teardown(self):
        if hasattr(self, "journal"):
            self.journal.close()


TestJournal = JournalAgainstModel.TestCase
TestJournal.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_small_pieces_are_joined():
    journal = Journal()
    for _ in range(20000):
        journal.append(OUT, b"x" * 10)
    for _ in range(20000):
        journal.append_sent(ERR, b"y" * 10)
    assert len(journal._waiting) < 10
    assert len(journal._sent) < 10


def test_full_disk_makes_the_program_wait_and_loses_nothing():
    def full():
        raise OSError(28, "no space")

    journal = Journal(full, memory=100, spill=1000)
    journal.append(OUT, b"a" * 90)
    assert journal.room() > 0
    journal.append(OUT, b"b" * 50)  # read before the disk was known to be full
    assert journal.room() == 0
    assert journal.take(1000)[1] + (journal.take(1000) or (0, b""))[1] == b"a" * 90 + b"b" * 50


@given(st.integers(1, 300))
def test_file_shrinks_when_it_is_emptied(size):
    files = []

    def spill():
        fd, path = tempfile.mkstemp()
        os.unlink(path)
        files.append(fd)
        return fd

    journal = Journal(spill, memory=10, spill=100000)
    journal.append(OUT, b"m" * 10)
    journal.append(OUT, b"f" * size)
    assert os.fstat(files[0]).st_size == size
    while journal.take(1000):
        pass
    assert os.fstat(files[0]).st_size == 0
    assert journal.room() >= 100000
    journal.close()
