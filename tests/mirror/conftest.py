"""A place with real environments, a project's folder here and a store, for each test."""

import os

import pytest
from far_env import Place

from afield.mirror.tree import remove


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path / "project" / ".afield", tmp_path / "store")
    os.makedirs(tmp_path / "project")
    yield made
    remove(os.fsencode(made.base))  # pytest cannot remove folders that nobody may write to
