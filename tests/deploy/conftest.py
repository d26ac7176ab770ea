"""Homes for starters."""

import tempfile

import pytest

from afield.testing.agent import find_pythons


@pytest.fixture
def home():
    with tempfile.TemporaryDirectory(prefix="afield-test-", dir="/tmp") as folder:
        yield folder


@pytest.fixture(params=list(find_pythons()), ids=lambda path: path.rpartition("/versions/")[2].split("/")[0])
def any_python(request):
    return request.param
