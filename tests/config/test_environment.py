"""The settings about environments, and the one line of afield.toml that `afield env use` changes."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.config import write
from afield.config.explain import explain_machine
from afield.config.load import load_project
from afield.errors import ConfigError


@pytest.fixture
def project(tmp_path):
    def load(text):
        (tmp_path / "afield.toml").write_text(text)
        return load_project(str(tmp_path), user_file=str(tmp_path / "none"))

    return load


def test_an_environment_and_its_setup_lines(project):
    text = """
[machines.a]
place = "local://"
env = "ml"
[machines.a.envs.ml]
setup = ["module load cuda"]
[envs.ml]
setup = ["general"]
[envs.other]
setup = ["x"]
[run]
setup = ["source env.sh"]
env = {A = "1"}
"""
    machine = project(text).machine()
    assert machine.environment == "ml"
    assert machine.env == {"A": "1"}
    assert machine.envs == {"ml": ("module load cuda",), "other": ("x",)}
    assert machine.setup == ("source env.sh",)
    rows = {row["key"]: row for row in explain_machine(machine)}
    assert rows["env"]["value"] == "ml"
    assert rows["run.env"]["value"] == {"A": "1"}


@pytest.mark.parametrize(
    "line", ["env = 3", "env = {A = 1}", "envs = 1", "envs.ml.setup = 1", "envs.ml.other = []", "envs.ml = 1"]
)
def test_wrong_environments_are_told(project, line):
    with pytest.raises(ConfigError, match="env"):
        project(f'[machines.a]\nplace = "local://"\n{line}\n')


TWO = """# mine
machine = "a"   # this one

[machines.a]  # first
place = "local://"
env = "old" # was

[machines."b.c"]
place = "local://"
[machines."b.c".run]
env = {X = "1"}
"""


@given(st.text(max_size=30).filter(lambda text: text and "\0" not in text))
def test_one_line_is_set_and_everything_else_stays(value):
    for name in ("a", "b.c"):
        text = write.set_in_machine(TWO, name, "env", value)
        assert tomllib.loads(text)["machines"][name]["env"] == value
        assert sum(a != b for a, b in zip(text.splitlines(), TWO.splitlines(), strict=False)) >= 1
        without = write.set_in_machine(text, name, "env", None)
        assert "env" not in tomllib.loads(without)["machines"][name]
    assert write.set_in_machine(TWO, "b.c", "env", value).startswith(
        TWO[: TWO.index('[machines."b.c".run]')].rstrip("\n")
    )


@pytest.mark.parametrize(
    "text",
    [
        'machines.a.place = "local://"\n',
        'machines = {a = {place = "local://"}}\n',
        '[machines.a]\nplace = "local://"\nenv = """\nx"""\n',
        '[machines]\na.place = "local://"\n',
    ],
)
def test_a_file_of_another_form_is_left_to_its_writer(text):
    with pytest.raises(ConfigError, match="another form") as caught:
        write.set_in_machine(text, "a", "env", "ml")
    assert 'env = "ml"' in caught.value.hint
