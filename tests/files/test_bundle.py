"""The read side gives each file as it was scanned or marks it bad; the stream never loses its step."""

import hashlib
import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain import write

from afield.errors import ProtocolError
from afield.files.bundle import PIECE, Pack, Unpack
from afield.files.handles import Handles
from afield.files.tasks import Task
from afield.testing.files import pack
from afield.tree.entries import encode_entries


def split(data):
    """Take a bundle apart without the code under test."""
    found, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from("<Q", data, at)
        content = data[at + 8 : at + 8 + size]
        status, digest = data[at + 8 + size], data[at + 9 + size : at + 41 + size]
        assert digest == hashlib.sha256(content).digest()
        found.append((content, status))
        at += 41 + size
    return found


@pytest.mark.parametrize("form", ["list", "columns"])
def test_files_come_in_order_with_their_content(worker, root, form):
    contents = [
        b"",
        b"a",
        os.urandom(PIECE - 1),
        os.urandom(PIECE),
        os.urandom(PIECE + 1),
        os.urandom(3 * PIECE),
        b"end",
    ]
    for place, content in enumerate(contents):
        write(root + b"/%d" % place, content)
    tree = worker.tree()
    items = [[path, list(tree[path].stat)] for path in sorted(tree)]
    if form == "columns":
        items = encode_entries([(path, tree[path]) for path in sorted(tree)])
    assert split(worker.read(items)) == [(content, 0) for content in contents]


def test_a_file_that_changed_since_the_scan_is_bad_and_named(worker, root):
    for name in (b"a", b"b", b"c"):
        write(root + b"/" + name, name)
    tree = worker.tree()
    write(root + b"/a", b"other content")
    os.unlink(root + b"/b")
    answer = worker.wait(worker.send("read", items=[[path, list(tree[path].stat)] for path in (b"a", b"b", b"c")]))
    assert split(b"".join(answer.parts)) == [(b"", 1), (b"", 1), (b"c", 0)]
    assert [row[:2] for row in answer.result["failed"]] == [[b"a", "file-changed"], [b"b", "no-such-file"]]


@pytest.mark.parametrize("change", ["grow", "shrink", "overwrite"])
def test_a_large_file_that_changes_while_it_is_read_is_bad_and_keeps_its_length(folder, change):
    size = 4 * PIECE
    write(folder + b"/f", b"x" * size)
    fd = os.open(folder, os.O_RDONLY)
    handles = Handles(fd)
    work = Pack(handles, [(b"f", None), (b"f", None)])
    task = Task(1)
    task.until = float("inf")
    run = work.run(task)
    data = next(run)
    with open(folder + b"/f", "r+b") as file:
        if change == "shrink":
            file.truncate(PIECE + 10)
        else:
            file.seek(0, os.SEEK_END if change == "grow" else os.SEEK_SET)
            file.write(b"changed")
    data += b"".join(run)
    handles.forget()
    os.close(fd)
    found = split(data)
    assert len(found[0][0]) == size
    assert [status for _, status in found] == [1, 0]
    assert [row[:2] for row in work.failed] == [[b"f", "file-changed"]]


@given(st.lists(st.binary(max_size=300), max_size=8), st.data())
def test_a_bundle_cut_anywhere_comes_back(contents, data):
    whole = b"".join(pack(contents))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=10)))
    unpack, found = Unpack(), []
    for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        unpack.feed(whole[start:stop])
        while (entry := unpack.whole()) is not None:
            found.append(bytes(entry[0]))
    assert found == contents


def test_a_length_that_no_file_has_is_a_protocol_error():
    unpack = Unpack()
    unpack.feed(b"\xff" * 8)
    with pytest.raises(ProtocolError):
        unpack.length()
