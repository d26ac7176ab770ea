"""The starter's answer, found in noise."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.deploy.reply import GOOD, MOST_NOISE, NOISE_KEPT, ReplyReader, is_wrong_hash
from afield.errors import AfieldError, AgentBroken, BadShell, PythonTooOld

VALUE = {"need": 0, "py": [3, 8, 18], "exe": "/usr/bin/python3", "magic": "550d0d0a", "dir": "/c", "why": ""}


def line(**changes):
    return b"\nAFIELD1 " + json.dumps({**VALUE, **changes}).encode() + b"\n"


@given(
    noise=st.binary(max_size=300).filter(lambda data: b"AFIELD" not in data),
    rest=st.binary(max_size=100),
    cuts=st.lists(st.integers(0, 600)),
)
def test_marker_is_found_behind_any_noise_however_it_is_cut(noise, rest, cuts):
    data = noise + line() + rest
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    reader = ReplyReader()
    reply = None
    for start, end in pairwise(places):
        if reply is None:
            reply = reader.feed(data[start:end])
        else:
            reader.rest += data[start:end]
    assert reply is not None
    assert (reply.need, reply.version, reply.executable) == (False, (3, 8, 18), "/usr/bin/python3")
    assert reader.rest == rest
    assert reply.noise == noise.decode("utf-8", "replace").strip() or len(noise) > 200


def test_marker_may_come_first():
    reader = ReplyReader()
    assert reader.feed(line()[1:]) is not None


def test_noise_is_kept_from_its_beginning_and_bounded():
    reader = ReplyReader()
    assert reader.feed(b"Welcome to gpu1\n" + b"x" * 100000) is None
    assert reader.noise.startswith("Welcome to gpu1")
    reply = reader.feed(line())
    assert len(reply.noise) <= NOISE_KEPT
    assert reply.noise.startswith("Welcome to gpu1")


def test_login_that_prints_without_end_is_given_up():
    reader = ReplyReader()
    with pytest.raises(BadShell, match="without end"):
        for _ in range(MOST_NOISE // 65536 + 2):
            reader.feed(b"y\n" * 32768)
    assert len(reader._buffer) < 1000


def test_old_python_is_told():
    with pytest.raises(PythonTooOld, match=r"2\.7") as caught:
        ReplyReader().feed(b'\nAFIELD0 {"error": "python-too-old", "text": "Python 2.7.18 is too old"}\n')
    assert caught.value.exit == 255


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"need": 0}',
        b'{"need": 2, "py": [3,8,1], "exe":"","magic":"","dir":"","why":""}',
    ],
)
def test_broken_answer_is_an_error_of_the_place(bad):
    with pytest.raises(AgentBroken):
        ReplyReader().feed(GOOD + bad + b"\n")


@given(st.binary(max_size=2000))
def test_garbage_is_noise_or_an_error_and_nothing_else(data):
    reader = ReplyReader()
    try:
        reader.feed(GOOD + data)
        reader.feed(data)
    except AfieldError:
        pass


def test_endless_answer_is_given_up():
    reader = ReplyReader()
    with pytest.raises(AgentBroken, match="does not end"):
        reader.feed(GOOD + b'"' * 20000)


def test_end_before_the_answer_quotes_what_was_printed():
    reader = ReplyReader()
    reader.feed(b"This account is currently not available.\n")
    error = reader.end()
    assert isinstance(error, BadShell)
    assert "currently not available" in error.text
    assert error.hint


def test_wrong_hash_is_recognised_from_its_first_byte():
    whole = b"AFIELD-BAD hash\n"
    assert all(is_wrong_hash(whole[:count]) for count in range(1, len(whole) + 1))
    assert not is_wrong_hash(b"AFLK")
    assert not is_wrong_hash(b"")
