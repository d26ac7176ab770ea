"""What people see of environments."""

import pytest

from afield.cli.commands.env import ACTIONS, configure
from afield.cli.parse import _Parser
from afield.cli.render_envs import diff_text, differences, envs_text, export_lines, export_value, installed_text
from afield.errors import UsageError


def env(name, **more):
    return {
        "name": name,
        "kind": "venv",
        "version": "3.11.7",
        "packages": 3,
        "path": f"/e/{name}",
        "broken": None,
        **more,
    }


def test_the_one_in_use_and_the_broken_ones_are_marked_and_explained():
    text = envs_text(
        {
            "envs": [env("ml", ipykernel="6.29"), env("old", broken="bin/python leads to /x, which does not exist")],
            "use": "/e/ml",
            "complete": False,
        }
    )
    lines = text.splitlines()
    assert lines[1].startswith("*  ml")
    assert "ipykernel 6.29" in lines[1]
    assert lines[2].startswith("!  old")
    assert lines[3] == "! old (/e/old): bin/python leads to /x, which does not exist"
    assert "cut short" in lines[4]


def test_names_from_there_cannot_drive_the_terminal():
    assert "\x1b" not in envs_text({"envs": [env("\x1b[31mred")], "use": None})


def test_an_empty_place():
    assert envs_text({"envs": []}) == "no Python was found there"


def test_exports_are_requirements():
    rows = [["a", "1.0", ""], ["b", "", ""], ["c", "1", "-e /src/c"], ["d", "1", "git+https://x@abc"]]
    lines = ["a==1.0", "b", "-e /src/c", "d @ git+https://x@abc"]
    assert export_lines(rows) == lines
    env = {"name": "ml", "kind": "venv", "version": "3.11.2", "path": "/e", "python": "/e/bin/python"}
    told = {"env": {**env, "broken": None, "made": True}, "packages": rows, "stage": "/e/wheels-1", "refused": None}
    found = export_value({**told, "system": {"os": "Linux"}})
    assert (found["env"], found["requirements"], set(found)) == (env, lines, {"env", "packages", "requirements"})
    assert found["packages"][0] == {"name": "a", "version": "1.0", "origin": ""}


def test_differences_are_told_by_normalised_names():
    here = {"a": ("A", "1"), "b": ("b", "1"), "c": ("c", "1")}
    there = {"a": ("a", "1"), "b": ("b", "2"), "d": ("d", "1")}
    rows = differences(here, there)
    assert [(row["package"], row["here"], row["there"]) for row in rows] == [
        ("b", "1", "2"),
        ("c", "1", None),
        ("d", None, "1"),
    ]
    assert diff_text({"differences": rows, "same": 1}).splitlines()[2].split() == ["c", "1", "-"]
    assert diff_text({"differences": [], "same": 2}) == "the same 2 packages on both sides"


def test_what_an_install_brought():
    assert installed_text({"env": {"name": "ml"}, "installed": [["a", "1", ""], ["b", "2", ""]]}) == "ml: a 1, b 2"
    assert "there already" in installed_text({"env": {"name": "ml"}, "installed": []})


def test_every_action_has_its_arguments():
    parser = _Parser(prog="afield env")
    configure(parser)
    words = {"use": ["x"], "create": ["x"], "remove": ["x"]}
    for name in ACTIONS:
        assert parser.parse_args([name, *words.get(name, [])]).action == name
    with pytest.raises(SystemExit):
        parser.parse_args(["dance"])


def test_use_without_a_name_says_what_to_do():
    from afield.cli.envs import use

    args = _Parser()
    configure(args)
    with pytest.raises(UsageError):
        use(args.parse_args(["use"]), None, None)
