"""A signal overtakes bytes: Ctrl-C ends a program that prints without end, and one that does not read what it is sent."""

import contextlib
import signal

import pytest

WINDOW = 1 << 20


@pytest.fixture
def linked(sandbox):
    folder = sandbox.project()
    with sandbox.connect() as client:
        client.request("connect", {"project": folder}, timeout=60)
    sandbox.folder_here = folder
    return sandbox


def test_ctrl_c_ends_a_program_that_prints_without_end(linked):
    with linked.raw() as client:
        client.request(linked.folder_here, ["yes", "x" * 1000], flags="n")
        while len(client.out) < 3 * WINDOW:
            client.until(b"o")
        before = len(client.out)
        client.send(b"s", bytes([signal.SIGINT]))
        assert client.finish() == -signal.SIGINT
        # What was under way when it was sent: a pipe, and a window of output that nobody had acknowledged, twice on its way.
        assert len(client.out) - before < 8 * WINDOW


def test_ctrl_c_reaches_a_program_that_does_not_read_its_input(linked):
    with linked.raw() as client:
        client.request(linked.folder_here, ["sh", "-c", "echo ready; exec sleep 1000"], flags="n")
        client.until(b"o")
        for _ in range(16):
            client.send(b"i", b"x" * (WINDOW // 16))
        client.send(b"s", bytes([signal.SIGINT]))
        assert client.finish() == -signal.SIGINT


def test_both_at_once_over_a_client_that_reads_nothing(linked):
    with linked.raw() as client:
        client.ack = False
        client.request(linked.folder_here, ["sh", "-c", "trap 'exit 7' INT; yes & wait"], flags="n")
        while len(client.out) < WINDOW:
            client.until(b"o")
        with contextlib.suppress(BlockingIOError):
            client.send(b"i", b"x" * (WINDOW - 1))
        client.send(b"s", bytes([signal.SIGINT]))
        client.ack = True
        client.send(b"a", len(client.out).to_bytes(8, "little") + bytes(8))
        assert client.finish() == 7
