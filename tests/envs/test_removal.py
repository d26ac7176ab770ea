"""Removing takes away one environment and refuses everything else."""

import os

import pytest

from afield.envs.removal import remove


def take(files, path, *, foreign=False, keep=()):
    return remove(str(path), files.where().made, [str(files.home), *map(str, keep)], foreign=foreign)


def test_ours_goes(files):
    env = files.venv("home/me/.local/share/afield/envs/ml")
    assert take(files, env) == {"removed": True, "why": ""}
    assert not env.exists()
    assert (files.root / "base/bin/python3.11").exists()


def test_the_last_of_ours_takes_its_empty_folder_along(files):
    first, last = (files.venv(f"home/me/.local/share/afield/envs/{name}") for name in ("a", "b"))
    take(files, first)
    assert last.exists()
    other = files.venv("home/me/envs/mine")
    take(files, other, foreign=True)
    assert other.parent.exists()
    take(files, last)
    assert os.listdir(files.root / "home/me/.local/share") == []


def test_ours_goes_also_when_its_making_was_cut_off(files):
    assert take(files, files.folder("home/me/.local/share/afield/envs/half"))["removed"]


def test_what_is_not_ours_needs_a_word(files):
    env = files.venv("home/me/envs/ml")
    assert take(files, env)["why"] == "afield did not make it"
    assert env.exists()
    assert take(files, env, foreign=True)["removed"]


@pytest.mark.parametrize(
    "path", ["home/me", "home", "home/me/plain", "home/me/missing", "home/me/.local/share/afield/envs"]
)
def test_what_is_no_environment_stays(files, path):
    files.folder("home/me/plain")
    files.venv("home/me/.local/share/afield/envs/ml")
    done = take(files, files.root / path, foreign=True)
    assert not done["removed"]
    assert (files.home / ".local/share/afield/envs/ml/pyvenv.cfg").exists()


def test_what_no_word_removes_is_not_said_to_need_one(files):
    python = files.folder("home/me/.pyenv/versions/3.12.1/bin")
    assert take(files, python.parent)["why"] == "it is a Python of its own, not an environment"


def test_a_folder_that_holds_the_project_stays_even_if_it_looks_like_an_environment(files):
    env = files.venv("home/me/odd")
    project = files.folder("home/me/odd/project")
    assert "is in it" in take(files, env, foreign=True, keep=[project])["why"]


def test_a_link_stays_and_so_does_what_it_leads_to(files):
    env = files.venv("home/me/envs/ml")
    made = files.folder("home/me/.local/share/afield/envs")
    os.symlink(env, made / "ml")
    assert not take(files, made / "ml", foreign=True)["removed"]
    assert env.exists()


def test_pythons_and_conda_installations_stay(files):
    base = files.base("home/me/.pyenv/versions/3.11.9")
    conda = files.conda("home/me/miniconda3")
    files.conda("home/me/miniconda3/envs/ml")
    assert not take(files, base, foreign=True)["removed"]
    assert not take(files, conda, foreign=True)["removed"]
    assert take(files, conda / "envs/ml", foreign=True)["removed"]
