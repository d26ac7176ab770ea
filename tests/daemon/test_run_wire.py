"""The run protocol's bytes: any cut gives the same frames, anything else is a ProtocolError within the limit."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.daemon import run_wire
from afield.errors import CommandNotFound, ConfigError, ProtocolError

WORD = st.binary(max_size=20).map(lambda data: data.replace(b"\0", b""))
NAME = st.binary(min_size=1, max_size=8).map(lambda data: data.replace(b"\0", b"x").replace(b"=", b"y"))


def frame(kind, payload):
    return kind + struct.pack("<I", len(payload)) + payload


def request(argv, env, mode=b"python", cwd=b"/p"):
    fields = [b"1", mode, b"/p/.afield/bin/python", b"/p", b"", cwd, b"012", b"24", b"80", b"xterm"]
    fields += [b"%d" % len(argv), *argv, b"%d" % len(env), *(name + b"=" + value for name, value in env.items())]
    return b"".join(field + b"\0" for field in fields)


@given(st.lists(WORD, max_size=5), st.dictionaries(NAME, WORD, max_size=5))
def test_a_request_is_read_back_as_it_was_written(argv, env):
    found = run_wire.parse_request(request(argv, env))
    assert list(found.argv) == argv
    assert found.env == env
    assert (found.mode, found.cwd, found.flags, found.rows, found.cols) == ("python", b"/p", "012", 24, 80)


FRAMES = st.lists(
    st.sampled_from(
        [(b"i", b"x"), (b"i", b"y" * 300), (b"I", b""), (b"s", b"\x02"), (b"w", b"\x18\0\x50\0"), (b"a", bytes(16))]
    ),
    max_size=8,
)


@given(FRAMES, st.lists(st.integers(1, 40), min_size=1))
def test_any_cut_gives_the_same_frames(frames, cuts):
    data = run_wire.MAGIC + b"".join(frame(kind, payload) for kind, payload in frames)
    reader = run_wire.RunReader()
    found = []
    index = 0
    while data:
        size = cuts[index % len(cuts)]
        index += 1
        found += reader.feed(data[:size])
        data = data[size:]
    assert found == frames


@given(st.binary(max_size=400))
def test_garbage_is_frames_or_a_protocol_error(data):
    reader = run_wire.RunReader()
    try:
        for kind, payload in reader.feed(run_wire.MAGIC + data):
            if kind == b"R":
                run_wire.parse_request(payload)
            elif kind == b"T":
                run_wire.parse_resume(payload)
            elif kind == b"a":
                run_wire.parse_ack(payload)
            elif kind == b"s":
                run_wire.parse_signal(payload)
            elif kind == b"w":
                run_wire.parse_window(payload)
    except ProtocolError:
        pass


@given(st.binary(max_size=400))
def test_a_garbled_request_is_a_request_or_a_protocol_error(data):
    for payload in (data, data + b"\0", b"1\0python\0" + data + b"\0"):
        with contextlib.suppress(ProtocolError):
            run_wire.parse_request(payload)


@pytest.mark.parametrize("data", [b"GET /", b"AFX", b"AFR2R"])
def test_another_protocol_is_refused_at_its_first_wrong_byte(data):
    with pytest.raises(ProtocolError):
        run_wire.RunReader().feed(data)


def test_a_frame_above_its_limit_is_refused_by_its_head_alone():
    with pytest.raises(ProtocolError, match="at most"):
        run_wire.RunReader().feed(run_wire.MAGIC + b"s" + struct.pack("<I", 1 << 31))


@pytest.mark.parametrize(
    "payload",
    [
        request([], {}, mode=b"exec"),
        request([], {}, mode=b"run"),
        request([], {}, cwd=b"relative"),
        request([b"a"], {}) + b"more\0",
        request([b"a"], {})[:-5],
        b"",
        b"2\0",
    ],
)
def test_a_wrong_request_is_refused(payload):
    with pytest.raises(ProtocolError):
        run_wire.parse_request(payload)


def test_a_resume_is_read_back():
    payload = bytes(range(16)) + struct.pack("<QQQ", 1, 2, 3) + b"/p\0gpu\0"
    assert run_wire.parse_resume(payload) == (bytes(range(16)), 1, 2, 3, b"/p", "gpu")
    for wrong in (payload[:-1], payload[:30], payload + b"x\0"):
        with pytest.raises(ProtocolError):
            run_wire.parse_resume(wrong)


def test_answers_have_the_documented_bytes():
    assert run_wire.ended(-9) == b"x\x04\0\0\0" + struct.pack("<i", -9)
    assert run_wire.credit(5) == b"c\x08\0\0\0" + struct.pack("<Q", 5)
    assert run_wire.refused(127, "no", "yes") == b"E\x0d\0\0\0\x7fno\nhint: yes"
    assert run_wire.not_ready() == b"U\0\0\0\0"


def test_a_refusal_cannot_drive_the_terminal_and_says_whose_word_it_is():
    no = CommandNotFound(b"no\x1b[2J\xff".decode("utf-8", "surrogateescape") + "é: no such command there")
    assert run_wire.refusal(no)[5:] == "\x7fno\\x1b[2J\\xffé: no such command there".encode()
    assert run_wire.refusal(ConfigError("no machine", hint="a\nb"))[5:] == b"\x02afield: no machine\nhint: a\nb"
    assert run_wire.refusal(ProtocolError("odd"))[5:6] == b"\xff"
    assert run_wire.notice("a\x9bm\n")[5:] == b"a\\x9bm\n"
