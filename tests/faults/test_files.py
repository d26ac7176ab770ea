"""Hostile names, odd files and broken transfers: both sides agree in the end, or say why not, and nothing is lost."""

import os
import signal
import subprocess

import pytest
from world import tree_of, wait_for

pytestmark = [pytest.mark.ssh, pytest.mark.slow, pytest.mark.timeout(180)]


def agree(world):
    world.afield("sync", check=False)
    wait_for(world.same, what="the same trees on both sides")


def test_hostile_names_and_odd_links_arrive_as_they_are(world):
    base = os.fsencode(str(world.project))
    for name in (
        b"new\nline",
        b"not-utf8-\xff\xfe",
        b"n" * 255,
        "\u00e9 \u2603".encode(),
        b"-rf",
        b"a b'\"$HOME`x`",
        b"\x1b[31m",
    ):
        with open(os.path.join(base, name), "wb") as file:
            file.write(name)
    os.symlink("loop", os.path.join(base, b"loop"))
    os.symlink("/etc/passwd", os.path.join(base, b"out"))
    os.symlink("nowhere", os.path.join(base, b"dangling"))
    os.mkdir(os.path.join(base, b"empty"))
    with open(os.path.join(base, b"tool"), "wb") as file:
        file.write(b"#!/bin/sh\n")
    os.chmod(os.path.join(base, b"tool"), 0o755)
    world.afield("up", "--yes")
    wait_for(world.same, what="the same trees on both sides")
    assert tree_of(world.there, (".afield",))[b"out"] == ("link", b"/etc/passwd")


def test_a_case_only_rename_arrives(world):
    (world.project / "Readme.md").write_text("text")
    world.afield("up", "--yes")
    os.rename(world.project / "Readme.md", world.project / "README.md")
    agree(world)
    assert sorted(name for name in os.listdir(world.there) if name.lower() == "readme.md") == ["README.md"]


def test_a_file_that_grows_while_it_is_sent_arrives_whole_in_the_end(world):
    world.afield("up", "--yes")
    grow = "import sys, time\nwith open('log.txt', 'w') as f:\n    for i in range(3000):\n        f.write('line %d\\n' % i * 40); f.flush()\n        time.sleep(0.001)\n"
    process = world.start("python3", "-c", grow)
    process.wait(60)
    agree(world)
    assert (world.there / "log.txt").stat().st_size == (world.project / "log.txt").stat().st_size


def test_a_huge_first_upload_is_shown_and_not_begun(world):
    (world.project / "data").mkdir()
    with open(world.project / "data" / "huge.bin", "wb") as file:
        file.truncate(100 << 30)
    done = world.afield("up", check=False)
    assert done.returncode == 3, done.stderr
    assert "data" in done.stderr
    assert "2 files, 107 GB" in done.stderr
    assert "hint: answer with --yes" in done.stderr
    assert not (world.there / "data" / "huge.bin").exists()


@pytest.mark.parametrize("victim", ["ssh", "daemon", "agent"])
def test_a_kill_in_the_middle_of_the_first_upload_loses_nothing(world, victim):
    for number in range(3000):
        folder = world.project / f"d{number % 50}"
        folder.mkdir(exist_ok=True)
        (folder / f"f{number}").write_bytes(os.urandom(2000))
    before = tree_of(world.project, (".afield",))
    process = world.start(*world.argv("up", "--yes"))
    wait_for(lambda: len(list(world.there.glob("d*/f*"))) > 50, what="the first files there")
    if victim == "ssh":
        world.kill_link()
    else:
        os.kill(world.daemon_pid() if victim == "daemon" else world.agent_pid(), signal.SIGKILL)
    process.communicate(timeout=60)
    world.afield("up", "--yes")
    agree(world)
    assert tree_of(world.project, (".afield",)) == before
    staging = world.there / ".afield" / "staging"
    wait_for(
        lambda: not [path for path in staging.rglob("*") if not path.is_dir()], 10, what="staging without leftovers"
    )


def test_edits_on_both_sides_while_the_link_is_down_meet_afterwards(world):
    (world.project / "shared.txt").write_text("base\n")
    world.afield("up", "--yes")
    world.valve.write_text("cut")
    world.kill_link()
    wait_for(lambda: world.link_state() != "connected", what="the lost link")
    (world.project / "here.txt").write_text("here\n")
    (world.there / "there.txt").write_text("there\n")
    (world.project / "shared.txt").write_text("from here\n")
    (world.there / "shared.txt").write_text("from there\n")
    world.valve.write_text("open")
    wait_for(
        lambda: (world.project / "there.txt").exists() and (world.there / "here.txt").exists(),
        what="both files on both sides",
    )
    found = wait_for(lambda: world.afield("conflicts", check=False).stdout, what="the conflict")
    assert "shared.txt" in found
    assert (world.project / "shared.txt").read_text() == "from here\n"
    assert (world.there / "shared.txt").read_text() == "from there\n"


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a file system needs root")
def test_a_full_disk_there_is_a_clear_problem_and_heals(world):
    world.there.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(world.there)], check=True)
    try:
        (world.project / "big.bin").write_bytes(os.urandom(4 << 20))
        (world.project / "small.txt").write_text("small\n")
        done = world.afield("up", "--yes", check=False)
        assert "Traceback" not in done.stderr
        text = wait_for(
            lambda: (t := world.afield("status").stdout) and ("full" in t or "space" in t) and t,
            what="the problem in status",
        )
        assert "big.bin" in text
        assert not (world.there / "big.bin").exists()
        subprocess.run(["mount", "-o", "remount,size=32m", str(world.there)], check=True)
        agree(world)
    finally:
        world.afield("down", "--stop-agent", check=False)
        subprocess.run(["umount", "-l", str(world.there)], check=True)


def test_an_emptied_project_is_not_emptied_there(world):
    for number in range(40):
        (world.project / f"f{number}.txt").write_text(str(number))
    world.afield("up", "--yes")
    world.afield("down")
    for number in range(40):
        (world.project / f"f{number}.txt").unlink()
    done = world.afield("up", check=False)
    assert done.returncode == 3, (done.stdout, done.stderr)
    assert len(list(world.there.glob("f*.txt"))) == 40


def test_what_was_deleted_there_by_a_sync_can_be_undone(world):
    (world.project / "notes.txt").write_text("precious\n")
    world.afield("up", "--yes")
    (world.project / "notes.txt").unlink()
    wait_for(lambda: not (world.there / "notes.txt").exists(), what="the deletion there")
    world.afield("undo", "notes.txt")
    wait_for(lambda: (world.project / "notes.txt").exists(), what="the file again")
    assert (world.project / "notes.txt").read_text() == "precious\n"
