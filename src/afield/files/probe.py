"""What the file system of a root can do: tried out in the state folder, not guessed from names  [P].

Answers one map (see files-service.md, ``open``). Leaves nothing behind.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Tuple

# Where changes can be made from elsewhere without an event reaching this kernel.
NETWORK = frozenset(
    "nfs nfs4 cifs smb3 smbfs 9p lustre gpfs beegfs ceph afs glusterfs orangefs pvfs2 panfs wekafs virtiofs vboxsf "
    "prl_fs osxfs acfs ocfs2 gfs2 quobyte".split()
)
# Layers of images, as in containers: a file that was opened before its first change is another one afterwards, and
# what is changed in a layer below gives no event above (overlayfs documentation, "Non-standard behavior").
LAYERED = frozenset("overlay overlayfs fuse.fuse-overlayfs fuse-overlayfs aufs".split())
FINE_NS = 123456789
# One letter in two forms (NFC and NFD of the Unicode standard, annex 15).
COMPOSED, DECOMPOSED = b"\xc3\xa9", b"e\xcc\x81"


def probe(state: "int", path: "bytes") -> "Dict[str, Any]":
    """Try the file system in the folder handle ``state`` whose absolute path is ``path``. Raises OSError."""
    name = b".probe-%d" % os.getpid()
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=state)
    try:
        case, executable, granularity = _try_file(fd, name, state)
    finally:
        os.close(fd)
        os.unlink(name, dir_fd=state)
    room = os.statvfs(state)
    return {
        "case_sensitive": case,
        "unicode_exact": _try_unicode(name, state),
        "exec_bit": executable,
        "symlinks": _try_symlink(name, state),
        "mtime_ns": granularity,
        "fs": file_system(path),
        "free": room.f_bavail * room.f_frsize,
    }


def glance(root: "int", path: "bytes") -> "Dict[str, Any]":
    """Tell the same of a root in which nothing may be tried, as far as its names show it. Raises OSError."""
    exact, room = True, os.statvfs(root)
    for text in os.listdir(root):
        if text.swapcase() != text:
            exact = not _is_same(root, os.fsencode(text), os.fsencode(text.swapcase()))
            break
    return {
        "case_sensitive": exact,
        "unicode_exact": exact,
        "exec_bit": True,
        "symlinks": True,
        "mtime_ns": 1,
        "fs": file_system(path),
        "free": room.f_bavail * room.f_frsize,
    }


def _is_same(folder: "int", one: "bytes", other: "bytes") -> "bool":
    try:
        stats = [os.stat(name, dir_fd=folder, follow_symlinks=False) for name in (one, other)]
    except OSError:
        return False
    return os.path.samestat(*stats)


def _try_unicode(name: "bytes", state: "int") -> "bool":
    """Tell whether a name in another form of Unicode is another name."""
    composed, decomposed = name + COMPOSED, name + DECOMPOSED
    try:
        os.close(os.open(composed, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=state))
    except OSError:
        return True  # names are not UTF-8 there: nothing normalises them
    try:
        os.stat(decomposed, dir_fd=state, follow_symlinks=False)
        return False
    except OSError:
        return True
    finally:
        os.unlink(composed, dir_fd=state)


def _try_file(fd: "int", name: "bytes", state: "int") -> "Tuple[bool, bool, int]":
    try:
        os.stat(name.upper(), dir_fd=state, follow_symlinks=False)
        case = False
    except FileNotFoundError:
        case = True
    try:
        os.fchmod(fd, 0o700)
        executable = bool(os.fstat(fd).st_mode & 0o100)
        os.fchmod(fd, 0o600)
        executable = executable and not os.fstat(fd).st_mode & 0o100
    except OSError:
        executable = False
    os.utime(fd, ns=(FINE_NS, FINE_NS))
    return case, executable, granularity_of(os.fstat(fd).st_mtime_ns)


def granularity_of(kept: "int") -> "int":
    """Give the step of modification times in ns, from what the file system made of 123456789 ns."""
    step = 1
    while step < 10**9 and FINE_NS // step * step != kept:
        step *= 10
    # FAT keeps two seconds.
    return step if FINE_NS // step * step == kept else 2 * 10**9


def _try_symlink(name: "bytes", state: "int") -> "bool":
    try:
        os.symlink(b"target", name, dir_fd=state)
    except OSError:
        return False
    os.unlink(name, dir_fd=state)
    return True


def file_system(path: "bytes") -> "str":
    """Give the type name of the file system that holds ``path`` (absolute), "" when the system does not tell."""
    try:
        with open("/proc/self/mountinfo", "rb") as lines:
            return from_mountinfo(lines.read(), path)
    except OSError:
        return ""


def from_mountinfo(text: "bytes", path: "bytes") -> "str":
    """Pick the type of the longest mount point above ``path`` out of mountinfo (proc(5)); later lines lie on top."""
    best, found = -1, b""
    for line in text.splitlines():
        left, _, right = line.partition(b" - ")
        parts = left.split(b" ")
        if len(parts) < 5 or not right:
            continue
        point = _unescape(parts[4]).rstrip(b"/")
        if len(point) >= best and (path == point or path.startswith(point + b"/")):
            best, found = len(point), right.split(b" ")[0]
    return found.decode("ascii", "replace")


def _unescape(point: "bytes") -> "bytes":
    for code, byte in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        point = point.replace(code, byte)
    return point


def is_network(fs: "str") -> "bool":
    """Tell whether changes on this file system may come from another machine and give no event."""
    return fs in NETWORK or fs.startswith("fuse")


def is_layered(fs: "str") -> "bool":
    """Tell whether this file system is made of layers whose own changes give no event."""
    return fs in LAYERED
