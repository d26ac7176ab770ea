"""A place with real environments, a project's folder here and a store, for each test."""

import os

import pytest
from far_env import Place

from afield.envs import sources
from afield.mirror.tree import remove


class _AllBut:
    """Holds every name but a few."""

    def __init__(self, *names):
        self.names = names

    def __contains__(self, name):
        return name not in self.names


@pytest.fixture(autouse=True)
def small_stdlib(request, monkeypatch):
    """A standard library of two packages (the far worker is forked from here): a thousand files more would test nothing more."""
    if "pythons" not in request.keywords:
        monkeypatch.setattr(sources, "_NOT_STDLIB", _AllBut(b"os.py", b"asyncio"))


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path / "project" / ".afield", tmp_path / "store")
    os.makedirs(tmp_path / "project")
    yield made
    remove(os.fsencode(made.base))  # pytest cannot remove folders that nobody may write to
