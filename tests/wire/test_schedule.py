"""Which frame leaves next."""

from afield.testing.wire import link_pair
from afield.wire.frames import DATA, ERR, HEADER_SIZE, MSG, FrameReader, frame
from afield.wire.limits import LIMITS, Limits
from afield.wire.schedule import Schedule
from afield.wire.streams import Stream


def make(number, bulk=None):
    stream = Stream(number, window=1 << 22, bulk=bulk, limits=LIMITS)
    stream.credit = 1 << 40
    return stream


def put(schedule, stream, size, kind=DATA, sent=0, acked=0):
    stream.put(kind, bytes(size))
    schedule.wake(stream, sent, acked)


def read(out):
    return [(kind, number, len(piece)) for kind, number, piece in FrameReader().feed(memoryview(b"".join(out)))]


def test_bulk_streams_take_turns_of_a_frame():
    schedule = Schedule(LIMITS)
    one, two = make(1), make(3)
    put(schedule, one, 300000)
    put(schedule, two, 300000)
    out, moved = [], []
    size = schedule.take_bulk(out, 4 * 65536, moved)
    assert [number for _, number, _ in read(out)] == [1, 3, 1, 3]
    assert size == sum(map(len, out)) == 4 * (65536 + HEADER_SIZE)
    assert moved == [one, two, one, two]


def test_turns_are_fair_by_bytes_when_frames_are_smaller():
    schedule = Schedule(LIMITS)
    small, large = make(1), make(3)
    for _ in range(80):
        small.put(DATA, bytes(10000))
    schedule.wake(small, 0, 0)
    put(schedule, large, 800000)
    sent = {1: 0, 3: 0}
    while schedule.bulk and all(each.queue for each in (small, large)):
        out = []
        schedule.take_bulk(out, 1, [])
        for _, number, size in read(out):
            sent[number] += size
    assert abs(sent[1] - sent[3]) <= 2 * 65536 + 10000


def test_what_is_small_goes_first_and_a_stream_that_sends_much_is_not_small():
    schedule = Schedule(LIMITS)
    bulk, chat = make(1), make(3)
    put(schedule, bulk, LIMITS.sparse + 1)
    put(schedule, chat, 64)
    assert list(schedule.sparse) == [chat]
    assert list(schedule.bulk) == [bulk]
    out, moved = [], []
    schedule.take_sparse(out, 1000, moved)
    assert read(out) == [(DATA, 3, 64)]
    assert moved == [chat]
    assert not schedule.sparse


def test_a_stream_that_uses_up_its_share_of_a_round_trip_waits_with_the_bulk():
    schedule = Schedule(LIMITS)
    chat = make(1)
    put(schedule, chat, 10000, sent=50, acked=0)
    schedule.take_sparse([], 1 << 20, [])
    put(schedule, chat, 10000, sent=10066, acked=0)  # nothing was acknowledged since: the same round trip
    assert list(schedule.bulk) == [chat]
    schedule.take_bulk([], 1 << 20, [])
    put(schedule, chat, 10000, sent=20082, acked=20082)
    assert list(schedule.sparse) == [chat]


def test_a_waiting_sparse_stream_that_grows_becomes_bulk():
    schedule = Schedule(LIMITS)
    chat = make(1)
    put(schedule, chat, 10)
    put(schedule, chat, 10)
    assert list(schedule.sparse) == [chat]
    put(schedule, chat, LIMITS.sparse)
    put(schedule, chat, 10)
    out, moved = [], []
    assert schedule.take_sparse(out, 1000, moved) == 0
    assert (out, moved, list(schedule.sparse)) == ([], [], [])
    schedule.take_bulk(out, 1 << 20, [])
    assert sum(size for _, _, size in read(out)) == LIMITS.sparse + 30


def test_a_stream_may_be_told_what_it_is():
    schedule = Schedule(LIMITS)
    low, high = make(1, bulk=True), make(3, bulk=False)
    put(schedule, low, 1)
    put(schedule, high, 200000)
    assert (list(schedule.bulk), list(schedule.sparse)) == ([low], [high])
    out, moved = [], []
    schedule.take_sparse(out, 65536, moved)
    assert (read(out)[0], moved) == ((DATA, 3, 65536), [])
    schedule.take_sparse(out, 1 << 20, moved)
    assert moved == [high]


def test_small_writes_share_a_frame_and_the_two_channels_do_not():
    schedule = Schedule(LIMITS)
    chat = make(1)
    for text, kind in ((b"a", DATA), (b"b", DATA), (b"c", ERR), (b"d", ERR), (b"e", DATA)):
        chat.put(kind, text)
    chat.put_frame(frame(MSG, 1, b"\xf6"))
    chat.put(DATA, b"f")
    schedule.wake(chat, 0, 0)
    out = []
    schedule.take_sparse(out, 1000, [])
    assert read(out) == [(DATA, 1, 2), (ERR, 1, 2), (DATA, 1, 1), (MSG, 1, 1), (DATA, 1, 1)]
    assert b"".join(out)[8:10] == b"ab"
    assert (chat.pending, chat.emitted, chat.queued) == (0, 6, 6)


def test_large_data_is_not_copied():
    schedule = Schedule(LIMITS)
    stream = make(1)
    data = bytes(65536)
    stream.put(DATA, data)
    schedule.wake(stream, 0, 0)
    out = []
    schedule.take_bulk(out, 1 << 20, [])
    assert len(out) == 2
    assert out[1] is data


def test_many_control_frames_make_few_buffers_in_their_order():
    schedule = Schedule(LIMITS)
    for number in range(1, 2001):
        schedule.put_control(frame(MSG, number, b"\xf6"))
    schedule.put_control(frame(MSG, 2001, bytes(5000)))
    out = []
    size = schedule.take_control(out, 10000)
    assert 10000 <= size <= 10000 + 4096
    size += schedule.take_control(out, 1 << 20)
    assert [number for _, number, _ in read(out)] == list(range(1, 2002))
    assert len(out) <= 8
    assert (size, schedule.control_size) == (sum(map(len, out)), 0)


def test_buffers_per_write_are_bounded():
    schedule = Schedule(Limits(batch=4))
    for number in range(1, 41):
        put(schedule, make(number), 5000, sent=1, acked=1)
        put(schedule, make(number + 100, bulk=True), 5000)
        schedule.put_control(bytes(5000))
    out = []
    schedule.take_control(out, 1 << 20)
    assert len(out) == 4
    for take in (schedule.take_sparse, schedule.take_bulk):
        out = []
        take(out, 1 << 20, [])
        assert len(out) == 4


def test_a_keystroke_beside_a_bulk_stream_leaves_before_the_next_frame_of_bulk():
    pair = link_pair()
    bulk = pair.client.open({"do": "bulk"})
    chat = pair.client.open({"do": "chat"})
    pair.pump()
    pair.client.send(bulk, bytes(200000))
    first = pair.client.data_to_send(1, pair.clock.now)
    assert sum(map(len, first)) <= LIMITS.frame + HEADER_SIZE
    pair.client.send(chat, b"k" * 64)
    second = pair.client.data_to_send(1, pair.clock.now)
    assert b"".join(second)[8:] == b"k" * 64


def test_a_keystroke_leaves_though_the_window_is_full():
    pair = link_pair()
    bulk = pair.client.open({"do": "bulk"}, bulk=True)
    chat = pair.client.open({"do": "chat"})
    pair.pump()
    pair.client.send(bulk, bytes(LIMITS.window_start))
    before = pair.client.sendable(bulk)
    while pair.client.data_to_send(1 << 20, pair.clock.now):
        pass
    assert before == 0
    pair.client.send(chat, b"k" * 64)
    assert b"".join(pair.client.data_to_send(1 << 20, pair.clock.now))[8:] == b"k" * 64
