"""What clean removes at a place, and what comes while it does."""

import os
import shutil

import pytest

from afield.agent import cleaning


def busy(folder, times):
    """A removal beside somebody who puts something into the folder so often."""
    plain, left = shutil.rmtree, [times]

    def remove(path):
        if left[0]:
            left[0] -= 1
            plain(path)
            os.makedirs(os.path.join(path, b".afield"))
            os.rmdir(path)
        plain(path)

    return remove


@pytest.fixture
def folder(tmp_path):
    made = os.fsencode(tmp_path / "proj")
    os.makedirs(made + b"/sub")
    return made


def test_what_comes_while_a_folder_is_removed_goes_too(folder, monkeypatch):
    monkeypatch.setattr(shutil, "rmtree", busy(folder, cleaning.TRIES - 1))
    assert cleaning.clean("", [folder]) == [folder]
    assert not os.path.lexists(folder)


def test_a_folder_that_is_never_empty_is_an_error(folder, monkeypatch):
    monkeypatch.setattr(shutil, "rmtree", busy(folder, cleaning.TRIES))
    with pytest.raises(OSError, match="not empty"):
        cleaning.clean("", [folder])
