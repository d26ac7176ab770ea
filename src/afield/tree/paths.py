"""Paths of a tree: byte strings relative to a root, ``/`` between the parts  [P].

The root itself is ``b""``; everything below it has a path that ``check`` accepts. Rules: a path that comes from a peer
or a file passes ``check`` once, where it enters; the other functions take checked paths and never look again.
No file system here: whether a path exists or is a link is not known.
"""

from afield.errors import BadPath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

ROOT = b""
MAX_NAME = 255  # NAME_MAX of every file system in common use
MAX_PATH = 4096  # PATH_MAX of Linux, with its NUL: nothing longer can be named in one call


def check(path: "bytes") -> "bytes":
    """Give the path back when it can stand below a root; raises BadPath otherwise (also for the root itself)."""
    if type(path) is not bytes:
        raise BadPath("expected a path as bytes, got %s" % type(path).__name__)
    if not path or len(path) > MAX_PATH or b"\0" in path:
        raise BadPath(_why(path))
    for part in path.split(b"/"):
        if len(part) > MAX_NAME or part in (b"", b".", b".."):
            raise BadPath(_why(path))
    return path


def check_or_root(path: "bytes") -> "bytes":
    """As ``check``, and ``b""`` is allowed."""
    return path if type(path) is bytes and not path else check(path)


def _why(path: "bytes") -> "str":
    if not path:
        fault = "it is empty"
    elif b"\0" in path:
        fault = "it holds a NUL byte"
    elif len(path) > MAX_PATH:
        fault = "it has %d bytes, more than %d" % (len(path), MAX_PATH)
    elif path.startswith(b"/"):
        fault = "it is absolute"
    elif max(map(len, path.split(b"/"))) > MAX_NAME:
        fault = "a part of it has more than %d bytes" % MAX_NAME
    else:
        fault = "it has an empty part, . or .."
    return "expected a path below the root, got %r: %s" % (path[:200], fault)


def join(folder: "bytes", name: "bytes") -> "bytes":
    """Give the path of ``name`` in ``folder``; either may be the root."""
    if not folder:
        return name
    return folder + b"/" + name if name else folder


def parent(path: "bytes") -> "bytes":
    """Give the folder that holds the path; the root holds itself."""
    return path.rpartition(b"/")[0]


def name(path: "bytes") -> "bytes":
    """Give the last part."""
    return path.rpartition(b"/")[2]


def parents(path: "bytes") -> "Iterator[bytes]":
    """Give the folders above the path, the nearest first, without the root."""
    cut = path.rfind(b"/")
    while cut > 0:
        yield path[:cut]
        cut = path.rfind(b"/", 0, cut)


def is_below(path: "bytes", folder: "bytes") -> "bool":
    """Tell whether the path is strictly below the folder; everything but the root is below the root."""
    if not folder:
        return bool(path)
    return path.startswith(folder + b"/")


def fold(path: "bytes") -> "bytes":
    """Give a key that is equal for two paths which a case-insensitive or normalising file system takes for one.

    Caseless matching of the Unicode standard (3.13, D145) in form NFC; bytes that are not UTF-8 stay as they are.
    """
    try:
        path.decode("ascii")
    except UnicodeDecodeError:
        return _fold_unicode(path)
    return path.lower()


def _fold_unicode(path: "bytes") -> "bytes":
    from unicodedata import normalize  # a megabyte of tables, for names outside ASCII only

    text = path.decode("utf-8", "surrogateescape")
    text = normalize("NFD", normalize("NFD", text).casefold()).casefold()
    return normalize("NFC", text).encode("utf-8", "surrogateescape")
