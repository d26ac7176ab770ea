"""A place that lies: nothing is written outside the mirror, nothing grows without bound, and a plain error says why."""

import hashlib
import os
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import AfieldError, BadPath, FilesError, LinkLost, ProtocolError
from afield.files.squeeze import Squeezer
from afield.mirror import layout
from afield.mirror.far import Far
from afield.mirror.fetch import read_files
from afield.mirror.listing import LARGEST, Listing
from afield.wire.records import RecordReader, encode_record

KEY = bytes(32)
SITE = b"/there/lib/python3.12/site-packages"
ROOTS = {
    "version": "3.12.1",
    "name": b"python3.12",
    "prefix": b"/there",
    "roots": [[SITE, SITE, "site"], [b"/there/src", b"/there/src", "path"]],
}


def unit(name, files, kind="d", **more):
    return {
        "root": 0,
        "unit": name,
        "kind": kind,
        "key": KEY,
        "more": False,
        "paths": b"\0".join(files),
        "sizes": struct.pack(f"<{len(files)}I", *(len(data) for data in files.values())),
        "digests": b"".join(hashlib.sha256(data).digest() for data in files.values()),
        **more,
    }


class Liar:
    """Answers requests with given parts, in a thread; contents as they are told."""

    def __init__(self, look, contents=(), cut=None):
        self.look, self.contents, self.cut = look, contents, cut

    def __enter__(self):
        self.requests, to_worker = os.pipe()
        from_worker, self.answers = os.pipe()
        self.fds = (to_worker, from_worker)
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        return Far(from_worker, to_worker)

    def __exit__(self, *_):
        for fd in self.fds:
            os.close(fd)
        self.thread.join(20)
        assert not self.thread.is_alive()

    def _serve(self):
        reader = RecordReader()
        try:
            while data := os.read(self.requests, 65536):
                for number, verb, _ in reader.feed(data):
                    for part in self.look if verb == "look" else self.contents:
                        self._send([number, "part", part])
                    if verb == self.cut:
                        return
                    self._send([number, "done", {}])
        except OSError:
            pass
        finally:
            os.close(self.requests)
            os.close(self.answers)

    def _send(self, value):
        view = memoryview(encode_record(value))
        while view:
            view = view[os.write(self.answers, view) :]


def packed(*files):
    data = b"".join(struct.pack("<I", len(file)) + file for file in files)
    return [Squeezer(0).pack(data)] if data else []


def everything(folder):
    return sorted(
        os.path.relpath(os.path.join(top, name), folder) for top, _, names in os.walk(folder) for name in names
    )


def sync(place, look, contents=(), cut=None):
    with Liar([ROOTS, *look], contents, cut) as far:
        return place.do("sync", far=far, python="/there/bin/python")


def test_what_is_told_is_here_and_what_was_listed_twice_is_stored_once(place):
    done = sync(place, [unit(b"a", {b"a/x.py": b"1", b"a/y.py": b"1"})], packed(b"1"))
    assert (done["files"], done["fetched"]) == (2, 1)
    assert everything(place.here("lib/python3.12/site-packages")) == ["a/x.py", "a/y.py", "afield_mirror.pth"]


@pytest.mark.parametrize(
    "bad",
    [
        unit(b"a", {b"../x.py": b"1"}),
        unit(b"a", {b"a/../../x.py": b"1"}),
        unit(b"a", {b"/etc/x.py": b"1"}),
        unit(b"a", {b"a//x.py": b"1"}),
        unit(b"a", {b"b/x.py": b"1"}),
        unit(b"a", {b"a": b"1"}),
        unit(b"..", {b"../x.py": b"1"}),
        unit(b"a/b", {b"a/b/x.py": b"1"}),
        unit(b"", {b"/x.py": b"1"}),
        unit(b"a", {b"a/x": b"1", b"a/x/y.py": b"2"}),
        unit(b"a", {b"b": b"1"}, kind="f"),
        unit(b"a", {b"a": b"1", b"b": b"1"}, kind="f"),
        unit(b"a" * 256, {b"a" * 256 + b"/x.py": b"1"}),
        unit(b"a", {b"a" + b"/b" * 70: b"1"}),
        unit(b"a", {b"a/x.py": b"1"}, kind="l"),
        unit(b"a", {b"a/x.py": b"1"}, key=b"short"),
        unit(b"a", {b"a/x.py": b"1"}, sizes=struct.pack("<I", LARGEST + 1)),
        unit(b"a", {b"a/x.py": b"1"}, digests=b"short"),
        unit(b"a", {b"a/x.py": b"1"}, root=2),
        unit(b"a", {b"a/x.py": b"1"}, root=-1),
        unit(b"a", {b"a/x.py": b"1"}, more=True),
        {"root": 0, "same": [b"../a"]},
        {"root": 0, "same": b"a"},
        [],
    ],
    ids=range(24),
)
def test_a_hostile_listing_is_refused_before_anything_is_written(place, bad):
    sync(place, [unit(b"good", {b"good/x.py": b"1"})], packed(b"1"))
    before = everything(os.path.dirname(place.base))
    with pytest.raises((ProtocolError, BadPath)):
        sync(place, [bad], packed(b"1"))
    assert everything(os.path.dirname(place.base)) == before
    assert not os.path.exists(os.path.join(os.path.dirname(os.path.dirname(place.base)), "x.py"))


@pytest.mark.parametrize(
    "change",
    [
        {"roots": [[b"relative", b"/x", "path"]]},
        {"roots": [[b"/x/../../etc", b"/x", "path"]]},
        {"roots": [[b"/", b"/", "path"]]},
        {"roots": [[SITE, SITE, "site"], [SITE, SITE, "site"]]},
        {"roots": [[SITE, SITE, "elsewhere"]]},
        {"roots": [[b"/x%d" % number, b"/x", "path"] for number in range(300)]},
        {"version": "3.12.1/../.."},
        {"prefix": "text"},
    ],
    ids=range(8),
)
def test_hostile_roots_are_refused(change):
    with pytest.raises((ProtocolError, BadPath)):
        layout.read({**ROOTS, **change})


def test_contents_are_checked_and_one_that_differs_is_shown_as_it_is(place):
    done = sync(place, [unit(b"a", {b"a/x.py": b"1", b"a/y.py": b"2"})], packed(b"1", b"other"))
    with open(place.here("lib/python3.12/site-packages/a/y.py"), "rb") as file:
        assert file.read() == b"other"
    assert done["missing"] == 0


@pytest.mark.parametrize(
    "contents",
    [
        packed(b"1"),
        packed(b"1", b"2", b"3"),
        [b"Rab"],
        [b"?"],
        ["text"],
        [b"R" + struct.pack("<I", LARGEST + 1)],
        [b"R" + struct.pack("<I", 10) + b"short"],
    ],
    ids=["fewer", "more", "half a length", "no piece", "no bytes", "too large", "cut"],
)
def test_broken_contents_change_nothing(place, contents):
    sync(place, [unit(b"good", {b"good/x.py": b"0"})], packed(b"0"))
    before = everything(place.here("lib"))
    with pytest.raises(ProtocolError):
        sync(place, [unit(b"a", {b"a/x.py": b"1", b"a/y.py": b"2"})], contents)
    assert everything(place.here("lib")) == before


def test_the_end_in_the_middle_is_a_lost_link_and_what_came_stays(place):
    with pytest.raises(LinkLost):
        sync(place, [unit(b"a", {b"a/x.py": b"1", b"a/y.py": b"2"})], packed(b"1"), cut="contents")
    assert not os.path.exists(place.here("mirror.json"))
    # The second time only the other one is asked for.
    done = sync(place, [unit(b"a", {b"a/x.py": b"1", b"a/y.py": b"2"})], packed(b"2"))
    assert (done["fetched"], done["files"]) == (1, 2)


def test_a_link_in_the_way_is_not_followed(place, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    os.makedirs(place.base)
    os.symlink(outside, place.here("lib"))
    with pytest.raises(FilesError, match="something else stands there"):
        sync(place, [unit(b"a", {b"a/x.py": b"1"})], packed(b"1"))
    assert everything(outside) == []
    os.unlink(place.here("lib"))


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 1 << 40) | st.binary(max_size=40) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*unit(b"a", {}), "same"]), inner, max_size=6)
    ),
    max_leaves=12,
)
names = st.sampled_from([b"a", b"b", b"..", b".", b"a/..", b"../a", b"a/b", b"", b"a\0b", b"\xff", b"a.py", b"/a"])


@given(values)
def test_any_value_as_a_part_is_taken_or_refused_in_words(value):
    listing = Listing(2)
    try:
        listing.take(value)
        listing.end()
    except AfieldError:
        pass


@given(names, st.lists(st.lists(names, min_size=1, max_size=4).map(b"/".join), max_size=5), st.sampled_from("df"))
def test_what_is_taken_stays_below_its_unit(name, paths, kind):
    listing = Listing(1)
    try:
        listing.take(unit(name, dict.fromkeys(paths, b""), kind=kind))
    except AfieldError:
        return
    for told in listing.units:
        for path in told.paths:
            resolved = os.path.normpath(os.path.join(b"/root", path))
            assert resolved == b"/root/" + path
            assert path == told.name or path.startswith(told.name + b"/")


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_as_contents_are_files_or_an_error(data, step):
    try:
        for found in read_files(data[at : at + step] for at in range(0, len(data), step)):
            assert found is None or len(found) <= len(data)
    except ProtocolError:
        pass
