"""Ranges of data and holes cover a file once, begin and end where they must, and holes hold nothing but zeros."""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afield.files import sparse
from afield.files.sparse import ranges

SPOTS = st.lists(st.tuples(st.integers(0, 600_000), st.integers(1, 30_000)), max_size=6)


@given(SPOTS, st.integers(0, 700_000), st.sampled_from([4096, 8192, 65536]), st.integers(0, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ranges_cover_the_file_and_holes_are_zeros(tmp_path, spots, size, align, begin):
    path = tmp_path / "file"
    with open(path, "wb") as file:
        for at, length in spots:
            file.seek(at)
            file.write(b"x" * length)
        file.truncate(size)
    content, start = path.read_bytes(), min(begin * align, size)
    fd = os.open(path, os.O_RDONLY)
    try:
        found = list(ranges(fd, start, size, align))
    finally:
        os.close(fd)
    assert [stop for _, stop, _ in found][:-1] == [first for first, _, _ in found][1:]
    if start < size:
        assert (found[0][0], found[-1][1]) == (start, size)
    for first, stop, is_hole in found:
        assert first < stop
        if is_hole:
            assert content[first:stop].count(0) == stop - first
            assert first % align == 0
            assert stop % align == 0 or stop == size


def test_a_file_system_that_cannot_say_gives_data(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"")
    os.truncate(path, 1 << 20)

    def refuse(fd, at, how):
        raise OSError(22, "not here")

    monkeypatch.setattr(sparse.os, "lseek", refuse)
    fd = os.open(path, os.O_RDONLY)
    try:
        assert list(ranges(fd, 0, 1 << 20, 4096)) == [(0, 1 << 20, False)]
    finally:
        os.close(fd)
