"""A folder to work in that is gone afterwards, a worker on it, every Python that was found."""

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from afield.testing.files import FilesWorker


def find_pythons():
    found = sorted(
        Path.home().glob(".pyenv/versions/3.*/bin/python"), key=lambda path: int(path.parts[-3].split(".")[1])
    )
    return [str(path) for path in found] or [sys.executable]


def writable(function, path, _):
    os.chmod(os.path.dirname(path), stat.S_IRWXU)
    os.chmod(path, stat.S_IRWXU)
    function(path)


@pytest.fixture
def folder():
    path = tempfile.mkdtemp(prefix="afield-files-")
    yield os.fsencode(path)
    shutil.rmtree(path, onerror=writable)


@pytest.fixture
def root(folder):
    return folder + b"/root"


@pytest.fixture
def worker(root):
    with FilesWorker() as found:
        found.open(root)
        yield found


@pytest.fixture(params=find_pythons(), ids=lambda path: path.split("/")[-3] if "/.pyenv/" in path else "this")
def python(request):
    return request.param
