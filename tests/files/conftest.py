"""A folder to work in that is gone afterwards, a worker on it, every Python that was found."""

import os
import shutil
import stat
import tempfile

import pytest
import pythons

from afield.testing.files import FilesWorker


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


@pytest.fixture(params=pythons.found().values(), ids=[f"3.{minor}" for minor in pythons.found()])
def python(request):
    return request.param
