"""SHA-256 of files, in slices: a digest counts only if the file was the same before and after it was read  [P]."""

import hashlib
import os
from time import monotonic

from afield.errors import AfieldError
from afield.files.bundle import PIECE, open_file, stat_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, List, Optional

    from afield.files.handles import Handles

# A row has about 150 bytes: far below a record, and often enough for a progress bar.
PART = 1000


def hash_files(handles: "Handles", paths: "List[bytes]", task: "Any") -> "Iterator[Optional[List[List[Any]]]]":
    """Yield lists of [path, digest or None, stat or None] (None: it vanished or changed meanwhile), None to give way."""
    rows: "List[List[Any]]" = []
    for path in paths:
        digest, stat = None, None
        try:
            fd, found = open_file(handles, path)
        except AfieldError:
            rows.append([path, None, None])
            continue
        try:
            hasher = hashlib.sha256()
            while True:
                data = os.read(fd, PIECE)
                hasher.update(data)
                if len(data) < PIECE:
                    break
                if monotonic() >= task.until:
                    yield None
            after = os.fstat(fd)
            if stat_of(after) == stat_of(found):
                digest, stat = hasher.digest(), list(stat_of(after))
        except OSError:
            digest = stat = None
        finally:
            os.close(fd)
        rows.append([path, digest, stat])
        if monotonic() >= task.until or len(rows) >= PART:
            handles.forget()
            yield rows
            rows = []
    handles.forget()
    if rows:
        yield rows
