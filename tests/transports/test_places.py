"""The text of a place: what is read, what comes back, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import ConfigError
from afield.transports.base import Place, parse_place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("ssh://me@gpu1", Place("ssh", "me", "gpu1")),
        ("ssh://gpu1:2222", Place("ssh", None, "gpu1", 2222)),
        ("ssh://me@gpu1:2222/srv/work", Place("ssh", "me", "gpu1", 2222, "/srv/work")),
        ("ssh://gpu1/~/work", Place("ssh", None, "gpu1", None, "~/work")),
        ("ssh://gpu1/", Place("ssh", None, "gpu1")),
        ("gpu1", Place("ssh", None, "gpu1")),
        ("me@gpu1", Place("ssh", "me", "gpu1")),
        ("ssh://me@[2001:db8::1]:22/x", Place("ssh", "me", "2001:db8::1", 22, "/x")),
        ("ssh://DOM\\me@host", Place("ssh", "DOM\\me", "host")),
        ("ssh://first@site@host", Place("ssh", "first@site", "host")),
        ("local://", Place("local")),
        ("local:///srv/a%20b", Place("local", path="/srv/a b")),
        ("slurm://?gres=gpu:1", Place("slurm", query={"gres": "gpu:1"})),
        ("docker://trainer", Place("docker", None, "trainer")),
    ],
)
def test_a_place_is_taken_apart(text, place):
    assert parse_place(text) == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ssh://x",
        "ssh://",
        "ssh://me@",
        "ssh://-oProxyCommand=x",
        "-oProxyCommand=x",
        "ssh://-lroot@host",
        "ssh://host:0",
        "ssh://host:99999",
        "ssh://host:abc",
        "host:folder",
        "folder/host",
        "ssh://@host",
        "ssh://[::1",
        "ssh://[::1]22",
        "ssh://a b",
        "ssh://a\nb",
        "ssh://a;rm",
        "local://host",
        "local://~/x",
    ],
)
def test_what_cannot_be_a_place_is_refused_with_a_hint(text):
    with pytest.raises(ConfigError) as caught:
        parse_place(text)
    assert caught.value.hint


NAMES = st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True)


@given(NAMES | st.none(), NAMES, st.integers(1, 65535) | st.none(), st.sampled_from(["", "/srv/x", "~/work", "/a/~b"]))
def test_a_place_survives_its_own_text(user, host, port, path):
    place = Place("ssh", user, host, port, path)
    assert parse_place(str(place)) == place


@given(st.text(max_size=40))
def test_any_text_gives_a_place_or_a_config_error_and_never_an_option(text):
    try:
        place = parse_place(text)
    except ConfigError:
        return
    assert not (place.host or "x").startswith("-")
    assert not (place.user or "x").startswith("-")
