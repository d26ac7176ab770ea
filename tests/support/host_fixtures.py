"""Fixtures for tests that need real hosts: ``private_sshd`` (one server on loopback, the current user) and ``lab`` (three hosts).

A folder's conftest takes what it needs: ``from host_fixtures import lab, lab_of_worker``.
"""

import os

import pytest
from lab import Lab, base_of, why_not

from hosts import SSHD, Sshd


@pytest.fixture(scope="session")
def private_sshd(tmp_path_factory):
    """A server that takes the current user by a key of its own; see bench/hosts.py."""
    if SSHD is None:
        pytest.skip("no sshd on this machine")
    with Sshd(tmp_path_factory.mktemp("sshd")) as box:
        yield box


@pytest.fixture(scope="session")
def lab_of_worker(tmp_path_factory):
    reason = why_not()
    if reason:
        pytest.skip(reason)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "m")
    made = Lab(tmp_path_factory.mktemp("lab"), base=base_of(worker)).up()
    yield made
    made.down()


@pytest.fixture
def lab(lab_of_worker):
    """Three hosts as they began: up, all cables in, login by key. What a test leaves in home folders stays."""
    yield lab_of_worker
    lab_of_worker.restore()
