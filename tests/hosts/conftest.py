"""Real hosts for the tests of this folder."""

from host_fixtures import lab, lab_of_worker, private_sshd

__all__ = ["lab", "lab_of_worker", "private_sshd"]
