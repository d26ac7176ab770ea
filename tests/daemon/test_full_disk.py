"""A full disk for what the daemon remembers: told with a hint, and over when there is room, without a new daemon."""

import contextlib
import os
import subprocess

import pytest

from afield.cli.main import main


@pytest.fixture
def box(sandbox, monkeypatch):
    """A project; ``fill`` and ``free`` take and give the room where the daemon keeps what both sides agreed on."""
    sandbox.here = sandbox.project()
    sandbox.there = os.path.join(sandbox.place, "work", "proj")
    folder = os.path.join(sandbox.state, "sync")
    os.makedirs(folder, mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting is not possible here")
    filler = os.path.join(folder, "filler")

    def fill():
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    sandbox.fill, sandbox.free = fill, lambda: os.unlink(filler)
    monkeypatch.chdir(sandbox.here)
    yield sandbox
    subprocess.run(["umount", "-l", folder], check=True)


def write(folder, name, text=""):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(text)


def test_a_first_sync_and_a_later_one_wait_for_room(box, capsys):
    write(box.here, "a")
    box.fill()
    assert main(["up"]) != 0
    assert "disk is full here" in capsys.readouterr().err
    pid = box.pid()
    box.free()
    assert main(["up"]) == 0
    assert os.path.exists(os.path.join(box.there, "a"))
    assert main(["down"]) == 0
    os.unlink(os.path.join(box.here, "a"))
    write(box.here, "b")
    box.fill()
    for _ in range(2):
        assert main(["up"]) != 0
        assert "disk is full here" in capsys.readouterr().err
    assert os.path.exists(os.path.join(box.there, "a"))
    box.free()
    assert main(["up"]) == 0
    assert sorted(name for name in os.listdir(box.there) if not name.startswith(".")) == ["afield.toml", "b"]
    assert box.pid() == pid


def test_a_live_sync_goes_on_by_itself(box, capsys, wait):
    write(box.here, "a")
    assert main(["up"]) == 0
    box.fill()
    for number in range(300):
        write(box.here, f"{number}{'x' * 200}")
    wait(
        lambda: main(["status"]) is not None and "disk is full here" in capsys.readouterr().out,
        "the full disk to be told",
    )
    box.free()
    assert main(["sync"]) == 0
    assert len(os.listdir(box.there)) >= 300
    capsys.readouterr()
    wait(lambda: main(["status"]) == 0 and "disk is full" not in capsys.readouterr().out, "the end of it to be told")
