"""A full disk, a read-only one, a killed worker: the old content or the new one, never a torn one, and a way on."""

import os
import random
import subprocess
import time

import pytest
from plain import read, write

from afield import errors
from afield.testing.files import FilesWorker, op, pack, put
from afield.wire.records import encode_record


@pytest.fixture
def disk(folder):
    """A disk of 1 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    path = folder + b"/disk"
    os.mkdir(path)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", os.fsdecode(path)], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield path
    subprocess.run(["umount", os.fsdecode(path)], check=True)


@pytest.mark.parametrize("size", [500_000, 3_000_000], ids=["small", "streamed"])
def test_a_full_disk_leaves_the_old_file_and_no_litter(disk, size):
    root = disk + b"/root"
    with FilesWorker() as worker:
        worker.open(root)
        write(root + b"/f", b"old" * 200_000)
        tree = worker.tree()
        new = os.urandom(size)
        ops = [put(b"f", new, tree[b"f"]), put(b"g", new), op("dir", b"d"), put(b"d/h", new), put(b"small", b"s")]
        found = worker.apply(ops, [new, new, new, b"s"])
        assert [item[0] for item in found] == ["error", "error", "ok", "error", "ok"]
        assert {item[1]["code"] for item in found if item[0] == "error"} == {"disk-full"}
        assert read(root + b"/f") == b"old" * 200_000
        assert found[4][0] == "ok"
        (own,) = os.listdir(root + b"/.afield/staging")
        assert os.listdir(root + b"/.afield/staging/" + own) == []


def test_a_read_only_disk_is_named(disk):
    root = disk + b"/root"
    with FilesWorker() as worker:
        worker.open(root)
        write(root + b"/f", b"old")
        tree = worker.tree()
        subprocess.run(["mount", "-o", "remount,ro", os.fsdecode(disk)], check=True)
        ops = [put(b"f", b"new", tree[b"f"]), put(b"g", b"new"), op("remove", b"f", tree[b"f"]), op("dir", b"d")]
        found = worker.apply(ops, [b"new", b"new"])
        assert [item[1]["code"] for item in found] == ["read-only"] * 4
        assert read(root + b"/f") == b"old"
    with FilesWorker() as worker, pytest.raises(errors.ReadOnly):
        worker.open(root)
    with FilesWorker() as worker, pytest.raises(errors.ReadOnly):
        worker.open(disk + b"/other")


def test_a_killed_worker_leaves_only_whole_files_and_the_next_run_repairs(root):
    random.seed(7)
    paths = [b"%s/%d" % (folder, place) for folder in (b"old", b"new/deep") for place in range(150)]
    old = {path: b"old %s " % path * 50 for path in paths[:150]}
    new = {path: b"new %s " % path * 60 for path in paths}
    os.makedirs(root + b"/old")
    for path, content in old.items():
        write(root + b"/" + path, content)
    done = False
    for round_ in range(12):
        worker = FilesWorker()
        worker.open(root)
        tree = worker.tree()
        missing = [path for path in paths if path not in tree or tree[path].stat.size != len(new[path])]
        if not missing:
            done = True
            worker.close()
            break
        ops = [op("dir", folder) for folder in (b"new", b"new/deep") if folder not in tree]
        ops += [put(path, new[path], tree.get(path)) for path in missing]
        number = worker.send("apply", ops=ops)
        data = b"".join(pack([new[path] for path in missing]))
        for at in range(0, len(data), 4096):
            worker.write(encode_record([number, "data", data[at : at + 4096]]))
        if round_ < 8:
            time.sleep(random.random() * 0.02)
            worker.kill()
            worker.close()
        else:
            worker.send_data(number, [])
            worker.wait(number)
            worker.close()
        for where, _, names in os.walk(root):
            if b"/.afield" in where:
                continue
            for name in names:
                path = os.path.relpath(os.path.join(where, name), root)
                assert read(os.path.join(where, name)) in (old.get(path), new[path])
        for path in old:
            assert os.path.exists(root + b"/" + path)
    assert done
    assert os.listdir(root + b"/.afield/staging") == []
    for where, _, names in os.walk(root + b"/.afield/history"):
        for name in names:
            path = os.path.join(where, name).split(b"/replaced/")[1]
            assert read(os.path.join(where, name)) in (old[path], new[path])
