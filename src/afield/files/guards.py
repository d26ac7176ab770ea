"""Small checks of an apply that say no: paths that nobody may write to, content that is not what was announced  [P].

Pure: no file is looked at here.
"""

import errno

from afield.errors import BadPath, FileChanged, FileFailed, ProtocolError
from afield.files.faults import show
from afield.files.state import NAME
from afield.tree.paths import check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List

    from afield.files.columns import Row


def raise_again(error: "Exception") -> "None":
    """Raise what was caught before, where it is turned into a result."""
    raise error


def kind_in_the_way(error: "OSError") -> "bool":
    """Tell whether a folder on the way is missing, a link or no folder."""
    return error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def forbid(path: "bytes") -> "None":
    """Raise BadPath for paths that no peer may write to: our own state, and git's (its hooks are run by others)."""
    check(path)
    lower = path.lower()
    if b".git" in lower and b".git" in lower.split(b"/"):
        raise BadPath("%s: .git is not synced" % show(path), path=path)
    if lower == NAME or lower.startswith(NAME + b"/"):
        raise BadPath("%s: .afield belongs to afield" % show(path), path=path)


def check_form(form: "Any", rows: "List[Row]") -> "None":
    """Raise ProtocolError unless contents can come in this form: a patch is that of one file."""
    if form not in ("bundle", "squeezed", "patch") or (form == "patch" and [row[0] for row in rows] != ["P"]):
        raise ProtocolError("expected a bundle, or the patch of one put, got %d ops as %.40r" % (len(rows), form))


def check_content(path: "bytes", row: "Row", size: "int", status: "int", promised: "bytes", digest: "bytes") -> "None":
    """Raise FileChanged or FileFailed unless the content is good and is what the op announced."""
    if status:
        raise FileChanged("%s: it changed while it was read" % show(path), path=path)
    if promised != digest:
        raise FileFailed("%s: its content was damaged on the way" % show(path), path=path)
    if size != row[4] or row[7] not in (None, digest):
        raise FileChanged(
            "%s: expected %d bytes as scanned, got %d or other ones" % (show(path), row[4], size), path=path
        )
