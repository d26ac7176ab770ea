"""What shall be installed: words, files, projects."""

import pytest

from afield.errors import ConfigError, NoSuchFile, UsageError
from afield.wheels.requirements import arguments, asked_names

PROJECT = """
[project]
name = "app"
dependencies = ["numpy>=2", "attrs"]
[project.optional-dependencies]
plot = ["matplotlib"]
[dependency-groups]
test = ["pytest", {include-group = "base"}]
base = ["hypothesis"]
loop = [{include-group = "loop"}]
"""


@pytest.fixture
def project(tmp_path):
    path = tmp_path / "pyproject.toml"
    path.write_text(PROJECT)
    return str(path)


def test_words_and_files_are_pips_own(tmp_path):
    path = tmp_path / "r.txt"
    path.write_text("x\n")
    assert arguments(["numpy>=2"], [str(path)], [], []) == ["numpy>=2", "-r", str(path)]


def test_a_project_gives_its_dependencies_with_extras_and_groups(project):
    assert arguments([], [project], [], []) == ["numpy>=2", "attrs"]
    assert arguments([], [project], ["plot"], ["test"]) == ["numpy>=2", "attrs", "matplotlib", "pytest", "hypothesis"]


@pytest.mark.parametrize(
    ("extras", "groups", "why"), [(["no"], [], "extra 'no'"), ([], ["no"], "group 'no'"), ([], ["loop"], "itself")]
)
def test_wrong_names_are_told(project, extras, groups, why):
    with pytest.raises(ConfigError, match=why):
        arguments([], [project], extras, groups)


def test_dynamic_dependencies_are_refused_with_a_way_out(tmp_path):
    path = tmp_path / "pyproject.toml"
    path.write_text('[project]\nname = "x"\ndynamic = ["dependencies"]\n')
    with pytest.raises(ConfigError, match="dynamic") as caught:
        arguments([], [str(path)], [], [])
    assert "requirements" in caught.value.hint
    path.write_text("[project\n")
    with pytest.raises(ConfigError):
        arguments([], [str(path)], [], [])


def test_nothing_and_missing_files_are_errors(tmp_path):
    with pytest.raises(UsageError, match="nothing to install"):
        arguments([], [], [], [])
    with pytest.raises(NoSuchFile):
        arguments([], [str(tmp_path / "no.txt")], [], [])
    with pytest.raises(UsageError, match="pyproject"):
        arguments(["x"], [], ["plot"], [])


def test_names_that_are_asked_for(tmp_path):
    path = tmp_path / "r.txt"
    path.write_text("Foo_Bar==1 # pinned\n# note\n-c other\nplain\nmarked; python_version<'3.9'\n")
    words = ["numpy>=2", "attrs", "-r", str(path)]
    assert asked_names(words, only_pinned=True) == {"numpy", "foo-bar"}
    assert asked_names(words, only_pinned=False) == {"numpy", "attrs", "foo-bar", "plain", "marked"}
