"""The text of a forward."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import UsageError
from afield.link.forward import End, Forward, parse_forward

HERE = "127.0.0.1"


@pytest.mark.parametrize(
    ("text", "source", "target"),
    [
        ("8000", End(HERE, 8000), End("localhost", 8000)),
        ("8001:8000", End(HERE, 8001), End("localhost", 8000)),
        ("0:8000", End(HERE, 0), End("localhost", 8000)),
        ("8001:db:5432", End(HERE, 8001), End("db", 5432)),
        ("0.0.0.0:8001:db:5432", End("0.0.0.0", 8001), End("db", 5432)),
        ("*:8001:db:5432", End("0.0.0.0", 8001), End("db", 5432)),
        ("[::1]:8001:[2001:db8::2]:80", End("::1", 8001), End("2001:db8::2", 80)),
        ("8001:[::1]:80", End(HERE, 8001), End("::1", 80)),
        ("/run/a.sock:8000", End(unix="/run/a.sock"), End("localhost", 8000)),
        ("8000:/run/b.sock", End(HERE, 8000), End(unix="/run/b.sock")),
        ("./a:/b", End(unix="./a"), End(unix="/b")),
        ("/a:db:5432", End(unix="/a"), End("db", 5432)),
    ],
)
def test_a_forward_is_read(text, source, target):
    assert parse_forward(text) == Forward(source, target)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "0",
        "8000:0",
        "70000",
        "1:2:3",
        "a:b:c:d:e",
        "8000:",
        ":8000",
        "host:8000",
        "8001:host",
        "8001:host:x",
        "-1",
        "8000:8001:",
        "/a",
    ],
)
def test_what_is_no_forward_is_refused_with_examples(text):
    with pytest.raises(UsageError) as caught:
        parse_forward(text)
    assert "8001:host:8000" in caught.value.hint or "0" in caught.value.hint


@given(st.text(max_size=30))
def test_any_text_is_a_forward_or_a_usage_error(text):
    try:
        forward = parse_forward(text)
    except UsageError:
        return
    assert forward.target.unix or 0 < forward.target.port < 65536


@given(st.integers(0, 65535), st.integers(1, 65535))
def test_nothing_listens_beyond_loopback_unless_it_is_written_out(first, second):
    assert parse_forward(f"{first}:{second}").source.host == HERE
