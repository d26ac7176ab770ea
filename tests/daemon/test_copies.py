"""get and put: patterns, many files, and copies that were cut off go on where they stopped."""

import os

import pytest

from afield.control.client import Events
from afield.daemon.copies import RESUMED
from afield.errors import AfieldError, FileChanged, NoSuchFile

# Takes many times longer than the 0.1 s between two reports of progress, so that a cut falls into the middle.
BIG = 192 << 20


class Stop(Exception):
    """Raised by a face that goes away."""


class CutAt(Events):
    """A face that goes away once so many bytes are reported; ``seen`` are the bytes that were."""

    def __init__(self, limit=None):
        self.limit = limit
        self.seen = []

    def event(self, event):
        if "progress" in event:
            self.seen.append(event["progress"]["bytes"])
            if self.limit is not None and self.seen[-1] >= self.limit:
                raise Stop


@pytest.fixture
def box(sandbox):
    sandbox.here = sandbox.project()
    sandbox.there = os.path.join(sandbox.place, "work", "proj")
    os.makedirs(sandbox.there)
    sandbox.args = {"project": sandbox.here}
    return sandbox


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    path = tmp_path_factory.mktemp("big") / "big"
    with open(path, "wb") as file:
        # Holes: every MiB is another one and the disk is spared.
        for number in range(BIG >> 20):
            file.seek(number << 20)
            file.write(number.to_bytes(8, "big"))
        file.truncate(BIG)
    yield path
    path.unlink()


def same(one, other):
    with open(one, "rb") as first, open(other, "rb") as second:
        return first.read() == second.read()


def ask(box, verb, events=None, **args):
    with box.connect() as client:
        return client.request(verb, {**box.args, **args}, events=events, timeout=60)


@pytest.mark.parametrize("cut", ["face", "daemon"])
def test_a_put_that_was_cut_off_goes_on_where_it_stopped(box, big, wait, cut):
    if cut == "face":
        with pytest.raises(Stop):
            ask(box, "put", CutAt(1), path="big", **{"from": str(big)})
    else:

        class Kill(CutAt):
            def event(self, event):
                try:
                    super().event(event)
                except Stop:
                    self.limit = None
                    box.kill_daemon()

        with pytest.raises(AfieldError):
            ask(box, "put", Kill(1), path="big", **{"from": str(big)})

    def part():
        names = [name for name in os.listdir(box.there) if name.endswith(".afield-part")]
        return names and os.stat(os.path.join(box.there, names[0])).st_size

    size = wait(part, "the part")
    assert 0 < size < BIG
    look = CutAt()
    done = ask(box, "put", look, path="big", **{"from": str(big)})
    assert look.seen[0] >= size
    assert done["bytes"] == BIG
    assert same(big, box.there + "/big")
    assert os.listdir(box.there) == ["big"]


def test_a_get_that_was_cut_off_goes_on_where_it_stopped(box, big, tmp_path):
    os.link(big, box.there + "/big")
    to = tmp_path / "back"
    with pytest.raises(Stop):
        ask(box, "get", CutAt(1), path="big", to=str(to))
    ask(box, "ls")
    (part,) = os.listdir(tmp_path)
    size = os.stat(tmp_path / part).st_size
    assert 0 < size < BIG
    look = CutAt()
    ask(box, "get", look, path="big", to=str(to))
    assert look.seen[0] >= size
    assert same(big, to)
    assert os.listdir(tmp_path) == ["back"]


def test_a_part_with_other_bytes_is_not_gone_on_with(box, big, tmp_path):
    os.link(big, box.there + "/big")
    info = os.stat(big)
    stamp = f"{info.st_size:x}-{info.st_mtime_ns:x}"
    part = tmp_path / f".back.{stamp}.afield-part"
    part.write_bytes(b"x" * (5 << 20))
    with pytest.raises(FileChanged):
        ask(box, "get", path="big", to=str(tmp_path / "back"))
    assert os.listdir(tmp_path) == []
    ask(box, "get", path="big", to=str(tmp_path / "back"))
    assert same(big, tmp_path / "back")
    os.unlink(box.there + "/big")
    with open(f"{box.there}/.big.{stamp}.afield-part", "wb") as file:
        file.write(b"x" * RESUMED)
    ask(box, "put", path="big", **{"from": str(big)})
    assert same(big, box.there + "/big")
    assert os.listdir(box.there) == ["big"]


def test_the_part_of_another_version_goes(box, tmp_path):
    (tmp_path / ".back.5-1.afield-part").write_bytes(b"old")
    (tmp_path / ".back.notes.afield-part").write_bytes(b"not ours")
    with open(box.there + "/f", "wb") as file:
        file.write(b"new")
    ask(box, "get", path="f", to=str(tmp_path / "back"))
    assert sorted(os.listdir(tmp_path)) == [".back.notes.afield-part", "back"]


def test_a_pattern_is_expanded_there(box, tmp_path):
    for name in ("runs/1/m.csv", "runs/2/m.csv", "runs/2/deep/m.csv", "runs/2/x.txt", "runs/.hid/m.csv"):
        os.makedirs(os.path.dirname(f"{box.there}/{name}"), exist_ok=True)
        with open(f"{box.there}/{name}", "w") as file:
            file.write(name)

    def got(pattern):
        to = tmp_path / str(len(os.listdir(tmp_path)))
        ask(box, "get", path=pattern, to=str(to), glob=True)
        return {str(path.relative_to(to)) for path in to.rglob("*") if path.is_file()}

    assert got("runs/*/m.csv") == {"1/m.csv", "2/m.csv"}
    assert got("runs/**/m.csv") == {"1/m.csv", "2/m.csv", "2/deep/m.csv"}
    assert got("runs/[2-9]") == {"2/m.csv", "2/x.txt", "2/deep/m.csv"}
    assert got(box.there + "/r*s/1/*") == {"runs/1/m.csv"}
    with pytest.raises(NoSuchFile):
        got("runs/*/nothing")


def test_a_name_that_looks_like_a_pattern_is_found_as_what_it_is(box, tmp_path):
    for name in ("a[1].txt", "a1.txt"):
        with open(f"{box.there}/{name}", "w") as file:
            file.write(name)
    ask(box, "get", path="a[1].txt", to=str(tmp_path), glob=True)
    assert os.listdir(tmp_path) == ["a[1].txt"]


def test_a_thousand_files_go_and_come_back(box, tmp_path):
    root = tmp_path / "tree"
    for number in range(1000):
        path = root / str(number % 10) / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    (root / "0" / "0").chmod(0o755)
    done = ask(box, "put", path="tree", **{"from": str(root)})
    assert done["files"] == 1000
    done = ask(box, "get", path="tree", to=str(tmp_path / "back"))
    assert (done["files"], done["bytes"]) == (1000, sum(len(str(number)) for number in range(1000)))
    for path in root.rglob("*"):
        if path.is_file():
            back = tmp_path / "back" / path.relative_to(root)
            assert back.read_text() == path.read_text()
    assert os.access(tmp_path / "back" / "0" / "0", os.X_OK)
    assert (
        not os.access(tmp_path / "back" / "1" / "1", os.X_OK)
        or os.stat(tmp_path / "back" / "1" / "1").st_mode & 0o111 == 0
    )


def test_one_bad_file_of_many_ends_the_copy_with_its_name(box, tmp_path):
    root = tmp_path / "tree"
    root.mkdir()
    for number in range(20):
        (root / str(number)).write_text("x")
    os.makedirs(box.there + "/tree/7")
    with pytest.raises(AfieldError, match="7"):
        ask(box, "put", path="tree", **{"from": str(root)})


def test_a_put_can_insist_on_the_version_it_replaces(box, tmp_path):
    source = tmp_path / "f"
    source.write_text("mine")
    with open(box.there + "/f", "w") as file:
        file.write("old")
    info = os.stat(box.there + "/f")
    with pytest.raises(FileChanged):
        ask(box, "put", path="f", was=[info.st_size, info.st_mtime_ns - 1], **{"from": str(source)})
    ask(box, "put", path="f", was=[info.st_size, info.st_mtime_ns], **{"from": str(source)})
    with open(box.there + "/f") as file:
        assert file.read() == "mine"
