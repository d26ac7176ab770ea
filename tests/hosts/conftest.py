"""Real hosts for the tests of this folder."""

import tempfile

import pytest
from host_fixtures import lab, lab_of_worker, private_sshd
from lab_world import LabWorld

__all__ = ["lab", "lab_of_worker", "private_sshd"]


@pytest.fixture
def world(lab):
    """A user at the lab's client; the daemon and all it started end with the test."""
    # A short path: a socket's address holds 107 bytes.
    with tempfile.TemporaryDirectory(prefix="lw-") as folder:
        made = LabWorld(lab, folder)
        yield made
        made.close()
