"""Large files through real workers: patched, taken up after a cut, sparse, squeezed; damaged streams put nothing in place."""

import hashlib
import os

import pytest
from plain import read, write

from afield.errors import AfieldError, FileChanged, ProtocolError
from afield.files import patch, squeeze
from afield.files.blocks import block_size
from afield.testing.files import FilesWorker, put

MEGA = 1 << 20


@pytest.fixture
def source(folder):
    with FilesWorker() as found:
        found.open(folder + b"/source")
        yield found


def noise(size: int) -> bytes:
    return os.urandom(size)


def make_patch(source, target, path: bytes, *, level: int = 0, was=None, ask: bool = True) -> tuple[list, dict]:
    """The parts of a patch for ``path``, made with the tables of the target."""
    entry = source.tree()[path]
    tables = []
    if ask:
        block = block_size(entry.stat.size)
        tables = target.parts("signature", path=path, was=None if was is None else list(was.stat), block=block)
    number = source.send("patch", path=path, stat=list(entry.stat), squeeze=level)
    source.send_data(number, tables)
    answer = source.wait(number)
    return answer.parts, answer.result


def send(target, op: dict, pieces: list[bytes]) -> list:
    number = target.send("apply", ops=[op], form="patch")
    target.send_data(number, pieces)
    return target.wait(number).parts[0][0]


def carry(source, target, path: bytes, content: bytes, was=None, **how) -> int:
    """Carry one file over and give the bytes on the wire."""
    parts, done = make_patch(source, target, path, was=was, **how)
    assert done["digest"] == hashlib.sha256(content).digest()
    assert sum(covered for covered, _ in parts) == len(content)
    index, outcome, value = send(target, {**put(path, content, was), "digest": None}, [piece for _, piece in parts])
    assert (index, outcome) == (0, "ok"), value
    return sum(len(piece) for _, piece in parts)


def test_a_new_file_arrives_whole(folder, root, source, worker):
    content = noise(3 * MEGA + 17)
    write(folder + b"/source/big", content)
    assert carry(source, worker, b"big", content) < len(content) + 1000
    assert read(root + b"/big") == content
    assert os.listdir(root + b"/.afield/staging") != []
    assert not [name for name in os.listdir(root + b"/.afield/staging") if name.endswith(b".part")]


def test_a_changed_file_costs_what_changed_and_the_old_one_is_in_history(folder, root, source, worker):
    old = noise(8 * MEGA)
    new = old[: 2 * MEGA] + b"inserted" + old[2 * MEGA : 6 * MEGA] + old[7 * MEGA :] + b"appended"
    write(root + b"/big", old)
    write(folder + b"/source/big", new)
    was = worker.tree()[b"big"]
    assert carry(source, worker, b"big", new, was) < 150_000
    assert read(root + b"/big") == new
    assert [event[3] for event in worker.request("history")] == ["replaced"]


def test_an_old_file_that_changes_meanwhile_is_not_replaced(folder, root, source, worker):
    old = noise(2 * MEGA)
    write(root + b"/big", old)
    write(folder + b"/source/big", old + b"new")
    was = worker.tree()[b"big"]
    parts, _ = make_patch(source, worker, b"big", was=was)
    write(root + b"/big", b"somebody else")
    _, outcome, value = send(worker, {**put(b"big", old + b"new", was), "digest": None}, [p for _, p in parts])
    assert (outcome, value["code"]) == ("error", FileChanged.code)
    assert read(root + b"/big") == b"somebody else"


@pytest.mark.parametrize("how", ["cancel", "kill", "close"])
def test_an_interrupted_file_goes_on_where_it_was(folder, root, source, how):
    content = noise(8 * MEGA)
    write(folder + b"/source/big", content)
    with FilesWorker() as first:
        first.open(root)
        parts, _ = make_patch(source, first, b"big")
        number = first.send("apply", ops=[{**put(b"big", content), "digest": None}], form="patch")
        for _, piece in parts[:24]:
            first.send_piece(number, piece)
        staged = wait_staged(root, 5 * MEGA)
        if how == "cancel":
            first.cancel(number)
            with pytest.raises(AfieldError):
                first.wait(number)
        elif how == "kill":
            first.kill()
    assert not os.path.exists(root + b"/big")
    with FilesWorker() as second:
        second.open(root)
        assert carry(source, second, b"big", content) < len(content) - 5 * MEGA + 1000
        assert read(root + b"/big") == content
        assert not os.path.exists(staged)
        assert not [name for name in os.listdir(root + b"/.afield/staging") if name.endswith(b".part")]


def wait_staged(root: bytes, size: int) -> bytes:
    """Wait until so many bytes of an unfinished file are on the disk."""
    import time

    end = time.monotonic() + 20
    while time.monotonic() < end:
        for folder, _, names in os.walk(root + b"/.afield/staging"):
            for name in names:
                path = os.path.join(folder, name)
                if name.endswith(b".part") and os.path.getsize(path) >= size:
                    return path
        time.sleep(0.005)
    raise AssertionError("nothing was staged")


def test_what_a_worker_of_a_lost_session_holds_is_used_and_that_one_cannot_spoil_it(folder, root, source):
    content = noise(8 * MEGA)
    write(folder + b"/source/big", content)
    with FilesWorker() as lost, FilesWorker() as target:
        lost.open(root)
        parts, _ = make_patch(source, lost, b"big")
        number = lost.send("apply", ops=[{**put(b"big", content), "digest": None}], form="patch")
        for _, piece in parts[:24]:
            lost.send_piece(number, piece)
        staged = wait_staged(root, 5 * MEGA)
        assert target.open(root)["begun"] == [os.path.basename(staged).decode()]
        assert carry(source, target, b"big", content) < len(content) - 5 * MEGA + 1000
        assert not os.path.exists(staged)
        lost.send_data(number, [piece for _, piece in parts[24:]])
        assert lost.wait(number).parts[0][0][1] != "ok"
        assert read(root + b"/big") == content


def test_what_was_left_of_another_content_is_not_used(folder, root, source):
    content = noise(4 * MEGA)
    write(folder + b"/source/big", content)
    with FilesWorker() as target:
        target.open(root)
        parts, _ = make_patch(source, target, b"big")
        number = target.send("apply", ops=[{**put(b"big", content), "digest": None}], form="patch")
        for _, piece in parts[:12]:
            target.send_piece(number, piece)
        wait_staged(root, 2 * MEGA)
        target.cancel(number)
        changed = b"other" + content[5 : 3 * MEGA]
        write(folder + b"/source/big", changed)
        carry(source, target, b"big", changed)
        assert read(root + b"/big") == changed


def test_a_sparse_file_stays_sparse_and_an_edit_of_it_is_small(folder, root, source, worker):
    path = folder + b"/source/image"
    with open(path, "wb") as file:
        file.truncate(64 * MEGA)
        file.seek(20 * MEGA + 5)
        file.write(noise(MEGA))
    content = read(path)
    if os.stat(path).st_blocks * 512 >= len(content):
        pytest.skip("the file system has no holes")
    assert carry(source, worker, b"image", content) < 1.2 * MEGA
    assert read(root + b"/image") == content
    assert os.stat(root + b"/image").st_blocks * 512 < 4 * MEGA
    with open(path, "r+b") as file:
        file.seek(40 * MEGA)
        file.write(b"X")
    content = read(path)
    assert carry(source, worker, b"image", content, worker.tree()[b"image"]) < 100_000
    assert read(root + b"/image") == content
    assert os.stat(root + b"/image").st_blocks * 512 < 4 * MEGA


def test_every_python_makes_and_takes_patches(folder, root, python):
    old = noise(2 * MEGA)
    new = old[:MEGA] + b"inserted" + old[MEGA:]
    with FilesWorker(python) as source, FilesWorker(python) as target:
        source.open(folder + b"/source")
        target.open(root)
        write(root + b"/big", old)
        write(folder + b"/source/big", new)
        assert carry(source, target, b"big", new, target.tree()[b"big"], level=1) < 100_000
        assert read(root + b"/big") == new
        number = target.send("apply", ops=[{**put(b"next", new), "digest": None}], form="patch")
        parts, _ = make_patch(source, source, b"big", ask=False)
        for _, piece in parts[:6]:
            target.send_piece(number, piece)
        wait_staged(root, MEGA)
        target.cancel(number)
        os.rename(folder + b"/source/big", folder + b"/source/next")
        assert carry(source, target, b"next", new) < len(new) - MEGA + 200_000


def test_a_squeezed_file_is_small_on_the_way(folder, root, source, worker):
    content = b"".join(b"%d,text,0.5\n" % number for number in range(300_000))
    write(folder + b"/source/big", content)
    assert carry(source, worker, b"big", content, level=1) < len(content) / 3
    assert read(root + b"/big") == content


def test_a_squeezed_bundle_is_applied(folder, root, source, worker):
    content = b"small\n" * 100
    write(folder + b"/source/a", content)
    pieces = source.parts("read", items=[[b"a", None]], squeeze=6)
    assert sum(map(len, pieces)) < len(content)
    number = worker.send("apply", ops=[put(b"a", content)], form="squeezed")
    worker.send_data(number, pieces)
    worker.wait(number)
    assert read(root + b"/a") == content


def test_a_file_that_changes_while_it_is_read_is_not_put_in_place(folder, root, source, worker):
    content = noise(6 * MEGA)
    write(folder + b"/source/big", content)
    entry = source.tree()[b"big"]
    number = source.send("patch", path=b"big", stat=list(entry.stat))
    source.send_data(number, [])
    first = source.wait_part(number)
    write(folder + b"/source/big", b"x" * 100)
    with pytest.raises(FileChanged):
        source.wait(number)
    assert first is not None


def test_a_digest_that_is_wrong_is_found_by_the_other_end(folder, root, source, worker):
    content = noise(MEGA)
    write(folder + b"/source/big", content)
    stat = list(source.tree()[b"big"].stat)
    for digest, outcome in ((hashlib.sha256(b"other").digest(), "error"), (hashlib.sha256(content).digest(), "ok")):
        number = source.send("patch", path=b"big", stat=stat, digest=digest)
        source.send_data(number, [])
        answer = source.wait(number)
        assert answer.result == {"digest": digest}
        found = send(worker, {**put(b"big", content), "digest": digest}, [piece for _, piece in answer.parts])
        assert found[1] == outcome
    assert read(root + b"/big") == content


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]), "file-failed"),
        (lambda whole: whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], "file-failed"),
        (lambda whole: whole[:-34] + patch.end(hashlib.sha256(whole).digest()), "file-failed"),
        (lambda whole: whole[:-33] + b"\1" + whole[-32:], "file-changed"),
        (lambda whole: whole[:-34], "file-failed"),
    ],
    ids=["digest", "content", "other-digest", "bad", "short"],
)
def test_a_damaged_stream_puts_nothing_in_place(root, worker, damage, code):
    content = noise(1000)
    whole = patch.data(len(content)) + content + patch.end(hashlib.sha256(content).digest())
    _, outcome, value = send(worker, {**put(b"big", content), "digest": None}, [b"R" + damage(whole)])
    assert (outcome, value["code"]) == ("error", code)
    assert not os.path.exists(root + b"/big")


@pytest.mark.parametrize(
    "piece",
    [
        b"Q",
        b"R" + patch.data(1001) + bytes(1001),
        b"R" + patch.copy(0, 10),
        b"R" + patch.keep(10),
        b"R" + patch.hole(1 << 60),
        b"Z" + b"rubbish",
    ],
)
def test_a_hostile_stream_is_refused_and_leaves_nothing(root, worker, piece):
    number = worker.send("apply", ops=[put(b"big", noise(1000))], form="patch")
    worker.send_data(number, [piece])
    with pytest.raises(ProtocolError):
        worker.wait(number)
    assert not os.path.exists(root + b"/big")
    assert worker.request("history") == []


@pytest.mark.parametrize("path", [b"../x", b"/etc/x", b".afield/x", b".git/config", b"a/../../x"])
def test_a_large_file_cannot_leave_the_root(root, worker, path):
    number = worker.send("apply", ops=[{**put(path, b""), "digest": None}], form="patch")
    worker.send_data(number, [squeeze.Squeezer(0).pack(patch.end(hashlib.sha256().digest()))])
    with pytest.raises(AfieldError):
        answer = worker.wait(number)
        raise AfieldError(str(answer.parts))
    assert not os.path.exists(root + b"/x")
