"""The kit for authors of transports accepts the built-in ones and refuses broken ones."""

import importlib.util
import shlex
import sys
from pathlib import Path

import pytest

from afield import plugins
from afield.errors import AfieldError
from afield.testing.transport import MemoryTransport, check_transport
from afield.transports.base import Dial, parse_place
from afield.transports.local import LocalTransport


def test_local_keeps_its_promises(tmp_path):
    check_transport(plugins.transport_for(f"local://{tmp_path}"))


@pytest.mark.ssh
@pytest.mark.parametrize("shell", [None, "/usr/bin/fish", "/usr/bin/tcsh"])
def test_ssh_keeps_its_promises_through_every_kind_of_login_shell(tmp_path, shell):
    path = Path(__file__).parents[2] / "bench" / "hosts.py"
    spec = importlib.util.spec_from_file_location("bench_hosts_kit", path)
    hosts = importlib.util.module_from_spec(spec)
    sys.modules["bench_hosts_kit"] = hosts
    spec.loader.exec_module(hosts)
    if hosts.SSHD is None or (shell and not Path(shell).exists()):
        pytest.skip("no sshd or no such shell on this machine")
    with hosts.Sshd(tmp_path / "sshd", shell=shell) as box:
        check_transport(plugins.transport_for(box.place, {"ssh": shlex.join(box.ssh)}))


def test_the_one_in_memory_keeps_its_promises():
    check_transport(MemoryTransport(), dial=False)


class Broken(LocalTransport):
    """Local, with one promise broken by each subclass."""


class WithoutHint(Broken):
    def explain(self, status, stderr, noise):
        return AfieldError("no")


class Changing(Broken):
    def command(self, python, starter, *, fresh=False):
        dial = super().command(python, starter, fresh=fresh)
        return Dial(["/bin/sh", "-c", shlex.join(dial.argv) + " | tr a b"], dial.env)


class Swallowing(Broken):
    def command(self, python, starter, *, fresh=False):
        dial = super().command(python, starter, fresh=fresh)
        return Dial(["/bin/sh", "-c", shlex.join(dial.argv) + " 2>&1"], dial.env)


class Numbers(Broken):
    def command(self, python, starter, *, fresh=False):
        return Dial([1, 2])


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (WithoutHint, "what to do"),
        (Changing, "unchanged"),
        (Swallowing, "every byte|stderr"),
        (Numbers, "words of a command"),
    ],
)
def test_a_broken_promise_is_named(tmp_path, kind, promise):
    with pytest.raises(AssertionError, match=promise):
        check_transport(kind(parse_place(f"local://{tmp_path}")))
