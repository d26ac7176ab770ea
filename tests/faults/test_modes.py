"""Modes, further folders, several machines and guards over a real sshd, also while the link is cut."""

import json
import shutil

import pytest
from world import wait_for

pytestmark = [pytest.mark.ssh, pytest.mark.slow, pytest.mark.timeout(180)]


def add(world, text):
    with open(world.project / "afield.toml", "a", encoding="utf-8") as file:
        file.write(text)


def test_paths_with_a_rule_folders_and_a_second_machine(world):
    second, common, far = world.root / "second", world.root / "common", world.root / "lib"
    add(
        world,
        f"""
[sync]
pull = ["runs/**"]
keep-there = ["data/**"]
[machines.gpu2]
place = "ssh://gpu1"
ssh = ["-F", "{world.box.config}"]
folder = "{second}"
[machines.gpu2.sync]
mode = "push"
[folders.common]
here = "../common"
there = "{far}"
[machines.gpu2.folders.common]
there = "{second}-lib"
mode = "push-exact"
""",
    )
    common.mkdir()
    (common / "util.py").write_text("u = 1\n")
    (world.project / "a.py").write_text("x = 1\n")
    for folder in (world.there, second):
        (folder / "runs").mkdir(parents=True)
        (folder / "runs" / folder.name).write_text("result")
        (folder / "data").mkdir()
        (folder / "data" / "big.bin").write_text("stays")
    far.mkdir()
    (far / "theirs.py").write_text("t")
    world.afield("up", "--all")
    assert (world.project / "runs" / "there").read_text() == "result"
    assert (world.project / "runs" / "second").read_text() == "result"
    assert not (world.project / "data" / "big.bin").exists()
    assert (second / "a.py").read_text() == (world.there / "a.py").read_text() == "x = 1\n"
    assert (common / "theirs.py").read_text() == "t"
    wait_for(lambda: (world.root / "second-lib" / "theirs.py").exists(), what="the folder on the second machine")
    # Cut the link of both machines (it is one), change things, and see them arrive.
    world.kill_link()
    (world.project / "a.py").write_text("x = 2\n")
    (common / "util.py").unlink()
    wait_for(lambda: (world.there / "a.py").read_text() == (second / "a.py").read_text() == "x = 2\n", what="the edit")
    wait_for(lambda: not (far / "util.py").exists(), what="the removal in the further folder")
    wait_for(lambda: not (world.root / "second-lib" / "util.py").exists(), what="the removal on the second machine")
    (second / "a.py").write_text("changed there\n")
    world.afield("sync", "--all")
    assert (second / "a.py").read_text() == "x = 2\n"
    assert len(json.loads(world.afield("status", "--json").stdout)["projects"]) == 2
    for folder in (world.there, second):
        assert (folder / "data" / "big.bin").read_text() == "stays"


def test_a_place_whose_disk_is_gone_after_a_cut_is_not_made_anew(world):
    for number in range(30):
        (world.project / f"f{number}").write_text(str(number))
    world.afield("up")
    world.there.rename(world.root / "unmounted")
    world.kill_link()
    status = wait_for(
        lambda: (found := world.afield("sync", check=False)).returncode == 3 and found, what="the guard to say no"
    )
    assert "afield sync --yes" in status.stderr
    assert not world.there.exists()
    assert len(list(world.project.glob("f*"))) == 30
    (world.root / "unmounted").rename(world.there)
    (world.project / "f0").write_text("again")
    world.afield("sync")
    # Meanwhile there was nothing that a view could show: it is tried again.
    assert world.afield("python", "-c", "import os; print(os.getcwd())").stdout == f"{world.project}\n"
    assert (world.there / "f0").read_text() == "again"
    shutil.rmtree(world.there)
    refused = world.afield("sync", check=False)
    assert refused.returncode == 3
    assert len(list(world.project.glob("f*"))) == 30
    world.afield("sync", "--yes")
    assert len(list(world.there.glob("f*"))) == 30
