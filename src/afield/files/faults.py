"""What the system's error numbers mean here: OSError in, one of ``afield.errors`` out  [P].

Rule: every failure of the file system that leaves this package is an ``AfieldError`` that names the path. No I/O.
"""

import errno

from afield.errors import (
    DiskFull,
    FileChanged,
    FileFailed,
    FilesError,
    NameTooLong,
    NoSuchFile,
    NotAllowed,
    ReadOnly,
    WrongKind,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional, Tuple, Type

MEANING: "Dict[int, Tuple[Type[FilesError], str, Optional[str]]]" = {
    errno.ENOENT: (NoSuchFile, "there is no such file", "it was removed meanwhile; the next scan sees it"),
    errno.EACCES: (NotAllowed, "access is not allowed", "check the permissions of the file and of its folder"),
    errno.EPERM: (NotAllowed, "the system does not permit this", "check owner, permissions and file attributes"),
    errno.EROFS: (ReadOnly, "the file system is read-only", "choose another folder or mount it writable"),
    errno.ENOSPC: (DiskFull, "the disk is full", "free some space there and try again"),
    errno.EDQUOT: (DiskFull, "the disk quota is used up", "free some space there and try again"),
    errno.EFBIG: (DiskFull, "the file is larger than the file system allows", None),
    errno.ENAMETOOLONG: (NameTooLong, "the name is too long for the file system", "use a shorter name"),
    errno.EILSEQ: (NameTooLong, "the file system does not take this name", "use another name"),
    errno.ELOOP: (WrongKind, "a symlink stands where none may be", None),
    errno.ENOTDIR: (WrongKind, "something that is not a folder stands in the way", None),
    errno.EISDIR: (WrongKind, "a folder stands there", None),
    errno.EEXIST: (FileChanged, "something stands there already", "the next scan sees it"),
    errno.ENOTEMPTY: (FileChanged, "the folder is not empty", "ignored files in it keep it"),
}


def show(path: "bytes") -> "str":
    """Give a path as printable text on one line: names that are not UTF-8 or hold control characters are escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def from_os_error(error: "OSError", path: "bytes") -> "FilesError":
    """Give the error class for a failed system call on ``path`` (details: ``path``, bytes)."""
    kind, text, hint = MEANING.get(error.errno or 0, (FileFailed, error.strerror or str(error), None))
    return kind("%s: %s" % (show(path) or ".", text), hint=hint, path=path)
