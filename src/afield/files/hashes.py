"""SHA-256 of files, in slices: a digest counts only if the file was the same before and after it was read  [P]."""

import hashlib
import os
from time import monotonic

from afield.errors import AfieldError, NoSuchFile, WrongKind
from afield.files.bundle import PIECE, open_file, stat_of
from afield.files.faults import from_os_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, List, Optional

    from afield.files.handles import Handles

# A row has about 150 bytes: far below a record, and often enough for a progress bar.
PART = 1000


def hash_files(handles: "Handles", paths: "List[bytes]", task: "Any") -> "Iterator[Optional[List[List[Any]]]]":
    """Yield lists of [path, digest or None, stat or None], None to give way.

    Without a digest it vanished or changed meanwhile; a code of an error in place of the stat: it cannot be read.
    """
    rows: "List[List[Any]]" = []
    for path in paths:
        digest: "Optional[bytes]" = None
        stat: "Any" = None
        try:
            fd, found = open_file(handles, path)
        except AfieldError as error:
            rows.append([path, None, None if isinstance(error, (NoSuchFile, WrongKind)) else error.code])
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
        except OSError as error:
            stat = from_os_error(error, path).code
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
