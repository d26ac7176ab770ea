"""The built-in transports and how they are found."""

import sys

import pytest

from afield import plugins
from afield.errors import ConfigError
from afield.transports.base import parse_place
from afield.transports.local import LocalTransport
from afield.transports.ssh import SshTransport


def test_a_place_finds_its_transport_by_scheme():
    assert isinstance(plugins.transport_for("local:///tmp/x"), LocalTransport)
    assert isinstance(plugins.transport_for("me@gpu1"), SshTransport)


def test_an_unknown_scheme_is_refused_and_the_known_ones_are_named():
    with pytest.raises(ConfigError, match=r"expected one of the transports local, ssh.*got 'gopher'"):
        plugins.transport_for("gopher://x")


def test_a_plugin_that_cannot_be_loaded_is_named(monkeypatch):
    monkeypatch.setitem(plugins.BUILT_IN["afield.transports"], "broken", "afield.nosuch:Thing")
    with pytest.raises(ConfigError, match="broken") as caught:
        plugins.load("afield.transports", "broken")
    assert caught.value.hint


def test_names_are_listed():
    assert plugins.names("afield.transports")[:1] == ["local"]


def test_transport_modules_are_not_imported_before_they_are_asked_for():
    import subprocess

    code = "import sys, afield.plugins; print([m for m in sys.modules if m.startswith('afield.transports.')])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "['afield.transports.base']"


def test_local_gives_the_place_a_home_of_its_own(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nosuch")
    dial = plugins.transport_for("local:///srv/box").command(None, "STARTER")
    assert dial.argv == [sys.executable, "-I", "-S", "-c", "STARTER"]
    assert dial.env is not None
    assert dial.env["AFIELD_HOME"] == dial.env["HOME"] == "/srv/box"
    assert "PYTHONPATH" not in dial.env


def test_local_without_a_folder_lives_below_the_data_folder(monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    dial = LocalTransport(parse_place("local://")).command(None, "S")
    assert dial.env is not None
    assert dial.env["AFIELD_HOME"] == "/data/afield/local"


def test_ssh_says_only_what_the_stream_needs(monkeypatch):
    monkeypatch.delenv("AFIELD_SSH", raising=False)
    dial = plugins.transport_for("ssh://me@gpu1:2222").command("python3", "STARTER")
    assert dial.argv[0] == "ssh"
    assert dial.argv[-6:-2] == ["me", "-p", "2222", "--"]
    assert dial.argv[-2:] == ["gpu1", "exec python3 -I -S -c STARTER"]
    assert "-T" in dial.argv
    assert not [word for word in dial.argv if "StrictHostKey" in word or "Identity" in word or "Compression" in word]


def test_an_own_ssh_command_keeps_its_arguments(monkeypatch):
    monkeypatch.setenv("AFIELD_SSH", "ip netns exec cli ssh -F 'my config'")
    assert plugins.transport_for("gpu1").command(None, "S").argv[:7] == [
        "ip",
        "netns",
        "exec",
        "cli",
        "ssh",
        "-F",
        "my config",
    ]
    assert plugins.transport_for("gpu1", {"ssh": "/opt/ssh -4"}).command(None, "S").argv[:2] == ["/opt/ssh", "-4"]


@pytest.mark.parametrize("text", ["ssh '", "  "])
def test_an_ssh_command_that_cannot_be_split_is_refused(text):
    with pytest.raises(ConfigError) as caught:
        plugins.transport_for("gpu1", {"ssh": text})
    assert caught.value.hint


def test_a_dial_after_silence_uses_no_shared_connection():
    transport = plugins.transport_for("gpu1")
    assert "-oControlPath=none" in transport.command(None, "S", fresh=True).argv
    assert "-oControlPath=none" not in transport.command(None, "S").argv


def test_nobody_to_ask_is_said_to_ssh():
    transport = plugins.transport_for("gpu1")
    assert "-oBatchMode=no" in transport.command(None, "S").argv
    transport.batch = True
    assert "-oBatchMode=yes" in transport.command(None, "S").argv


def test_a_python_of_the_settings_is_used_and_not_searched_for():
    transport = plugins.transport_for("gpu1", {"python": "~/venv/bin/python"})
    assert transport.command(None, "S").argv[-1] == "exec ~/venv/bin/python -I -S -c S"
    assert transport.command("/usr/bin/python3", "S").argv[-1].startswith("exec ~/venv")
