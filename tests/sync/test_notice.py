"""What a first sync would carry is shown before it goes: by bytes and by files, with the biggest folders, in words of one line."""

import pytest

from afield.errors import NeedsConfirmation
from afield.sync.notice import check, notice, show


def put(path, size):
    return {"op": "put", "path": path, "size": size}


OPS = [put(b"data/a", 700), put(b"data/b", 200), put(b"src/a.py", 10), put(b"top", 5), {"op": "dir", "path": b"data"}]


def test_puts_are_counted_by_their_folder_at_the_top():
    found = notice(OPS)
    assert (found.files, found.size) == (4, 915)
    assert found.biggest == [(b"data", 2, 900), (b"src", 1, 10)]


@pytest.mark.parametrize(
    ("allowed", "limits", "asks"),
    [
        (None, (915, 4), False),
        (None, (914, 4), True),
        (None, (915, 3), True),
        (914, (0, 0), True),
        (915, (0, 0), False),
    ],
)
def test_more_bytes_or_more_files_than_the_limit_are_asked_about_unless_agreed_to(allowed, limits, asks):
    if not asks:
        check(notice(OPS), allowed, limits=limits)
        return
    with pytest.raises(NeedsConfirmation) as caught:
        check(notice(OPS), allowed, limits=limits)
    assert "4 files, 915 bytes; the biggest folders: data/ (900 bytes), src/ (10 bytes)" in caught.value.text
    assert "afield up --yes" in caught.value.hint


@pytest.mark.parametrize("path", [b"new\nline", b"\x1b[31mred", b"\xff", "\u202egnp".encode()])
def test_a_name_cannot_drive_the_terminal(path):
    assert show(path).isprintable()
    assert show(b"plain \xc3\xa9") == "plain \u00e9"
