"""The tables of services, calls and messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import ProtocolError
from afield.wire.messages import (
    CALLS,
    FIRST,
    KINDS,
    MESSAGES,
    SERVICES,
    Field,
    exists_in,
    read_call,
    read_header,
    read_message,
)

ID = bytes(16)


def test_defaults_are_filled_in_and_unknown_fields_left_out():
    read = read_header({"do": "process", "argv": [b"true"], "id": ID, "of the future": 1})
    assert read == {
        "do": "process", "argv": [b"true"], "cwd": None, "env": {}, "unset": [], "tty": None,
        "login": False, "id": ID, "label": "", "mkdir": False, "path": [], "view": None, "ports": False,
    }  # fmt: skip


def test_a_reader_may_change_what_it_got():
    header = {"do": "process", "argv": [b"true"], "id": ID}
    read_header(header)["env"]["A"] = b"1"
    assert read_header(header)["env"] == {}


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"do": "dance"}, "service"), ({}, "service"), ({"do": ["x"]}, "service"), ({"do": "process", "id": ID}, "argv"),
        ({"do": "process", "argv": "true", "id": ID}, "list of bytes"), ({"do": "process", "argv": [b"x"], "id": b"short"}, "16 bytes"),
        ({"do": "process", "argv": [b"x"], "id": ID, "env": {"A": "text"}}, "map of bytes"),
        ({"do": "process", "argv": [b"x"], "id": ID, "login": None}, "boolean"), ({"do": "attach", "id": ID, "out": -1}, "offset"),
        ({"do": "attach", "id": ID, "out": True}, "offset"), ({"do": "connect", "port": 65536}, "port"), ({"do": "connect", "port": False}, "port"),
        ({"do": "accepted", "listener": True}, "integer"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(header, why):
    with pytest.raises(ProtocolError, match=why):
        read_header(header)


def test_calls_are_checked_with_their_arguments():
    assert read_call({"do": "call", "name": "which", "args": {"name": "python3"}}) == ("which", {"name": "python3"})
    assert read_call({"do": "call", "name": "facts"}) == ("facts", {})
    for bad in ({"name": "dance"}, {"name": "kill", "args": {"id": ID}}, {"name": "facts", "args": []}, {}, []):
        with pytest.raises(ProtocolError):
            read_call(bad)


def test_messages_are_known_by_their_key():
    assert read_message({"exit": 3}) == ("exit", 3)
    assert read_message({"resize": [24, 80]}) == ("resize", [24, 80])
    assert read_message({"of the future": 1}) == (None, None)
    for bad in (7, {"exit": "3"}, {"listening": -1}):
        with pytest.raises(ProtocolError):
            read_message(bad)


def test_fields_are_left_out_for_a_peer_that_does_not_know_them():
    fields = {"old": Field("text", "", FIRST), "new": Field("text", "", (0, 3))}
    assert set(exists_in((0, 2), fields)) == {"old"}
    assert set(exists_in((0, 3), fields)) == {"old", "new"}


def test_every_default_of_the_tables_is_of_its_kind():
    for fields in [*SERVICES.values(), *CALLS.values()]:
        for name, field in fields.items():
            assert field.kind in KINDS, name
            read_like = field.default
            assert read_like is None or KINDS[field.kind](read_like) or type(read_like) is object
    assert set(MESSAGES.values()) <= set(KINDS)


@given(
    st.dictionaries(
        st.sampled_from(["do", "argv", "id", "env", "host", "port", "name", "args", "root", "out"]),
        st.sampled_from(["call", "process", "connect", ID, [b"x"], {"a": b"b"}, 7, None, True]),
    )
)
def test_no_header_gives_anything_but_fields_or_a_protocol_error(header):
    for read in (read_header, read_call, read_message):
        try:
            read(header)
        except ProtocolError:
            pass
