"""The table of verbs: what passes is complete and typed, what does not is refused by name."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.control import VERSION, schema
from afield.errors import UsageError

GOOD = {
    "text": "a/b",
    "folder": "/p",
    "name": "gpu1",
    "count": 7,
    "bool": True,
    "texts": ["a", "b"],
    "side": "here",
    "way": "merge",
    "counts": [1, 2],
    "hex": "ab" * 16,
    "base64": "YQ==",
    "event": "20260101/removed/a",
}
BAD = {
    "text": "a\0b",
    "folder": "p",
    "name": "a/b",
    "count": -1,
    "bool": 1,
    "texts": ["a", 1],
    "side": "both",
    "way": "newest",
    "counts": [1, -2],
    "hex": "AB",
    "base64": "é",
    "event": -1,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def request(**changes):
    return {"v": VERSION, "id": 1, "do": "hello", "args": {}, **changes}


@given(JSON)
def test_a_json_value_that_is_no_request_is_a_usage_error(value):
    with pytest.raises(UsageError):
        schema.check_request(value)


@given(
    st.fixed_dictionaries(
        {
            "v": st.just(VERSION),
            "id": st.integers(0, 9),
            "do": st.sampled_from(sorted(schema.VERBS)),
            "args": st.dictionaries(st.sampled_from(["project", "machine", "path", "env", "id"]), JSON, max_size=3),
        }
    )
)
def test_a_request_that_passes_has_every_argument_of_its_verb_and_no_other(value):
    number = None
    try:
        checked = schema.check_request(value)
    except UsageError as error:
        number = error.details["id"]
    if number is not None:
        assert number == value["id"]
        return
    assert set(checked.args) == {arg.name for arg in schema.VERBS[value["do"]].args}


@pytest.mark.parametrize("verb", schema.VERBS.values(), ids=lambda verb: verb.name)
def test_each_verb_takes_good_arguments_and_refuses_bad_ones_by_name(verb):
    good = {arg.name: GOOD[arg.kind] for arg in verb.args}
    assert schema.check_args(verb, good) == good
    for arg in verb.args:
        with pytest.raises(UsageError, match=arg.name):
            schema.check_args(verb, {**good, arg.name: BAD[arg.kind]})
        if arg.required:
            with pytest.raises(UsageError, match=arg.name):
                schema.check_args(verb, {name: value for name, value in good.items() if name != arg.name})


def test_defaults_are_of_their_kind():
    for verb in schema.VERBS.values():
        for arg in verb.args:
            if arg.default is not None:
                schema.check_args(verb._replace(args=(arg,)), {arg.name: arg.default})


@pytest.mark.parametrize("version", [0, 2, "1", None, True, 1.5])
def test_another_version_is_answered_with_the_code_version(version):
    with pytest.raises(UsageError) as caught:
        schema.check_request(request(v=version))
    assert caught.value.code == "version"
    assert caught.value.details["id"] == 1


def test_names_that_are_not_utf8_pass_as_surrogate_escapes():
    folder = os.fsdecode(b"/p/\xff")
    line = json.dumps(request(do="connect", args={"project": folder}))
    assert schema.check_request(json.loads(line)).args["project"] == folder


def test_the_manual_of_the_socket_names_every_verb():
    path = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "development", "control.md")
    if not os.path.exists(path):
        pytest.skip("the manual is not beside the tests")
    with open(path, encoding="utf-8") as file:
        manual = file.read()
    missing = [name for name in schema.VERBS if f"`{name}`" not in manual and f'"do":"{name}"' not in manual]
    assert not missing
