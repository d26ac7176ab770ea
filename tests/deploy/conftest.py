"""Homes for starters."""

import tempfile

import pytest
import pythons


@pytest.fixture
def home():
    with tempfile.TemporaryDirectory(prefix="afield-test-", dir="/tmp") as folder:
        yield folder


@pytest.fixture(params=pythons.found().values(), ids=[f"3.{minor}" for minor in pythons.found()])
def any_python(request):
    return request.param
