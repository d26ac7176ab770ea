"""The calls of Linux that make and enter private mount views: unshare, setns, mount, pivot_root, by ctypes  [P].

The standard library has no mount(2) in any release, and unshare and setns only from 3.12 on. Rules: each function raises OSError with
its name; nothing is decided here. Sources: user_namespaces(7), mount_namespaces(7), pivot_root(2).
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

# linux/sched.h and linux/mount.h: the same on every architecture.
NEW_MOUNTS = 0x00020000
NEW_USER = 0x10000000
READ_ONLY, NO_SUID, NO_DEVICES, REMOUNT, BIND, RECURSIVE, SLAVE = 1, 2, 4, 32, 4096, 16384, 1 << 19
# The same numbers in mount(2) and statvfs(3), but for the last.
NO_PROGRAMS, NO_TIMES, NO_FOLDER_TIMES = 8, 1024, 2048
RELATIVE_TIMES, ST_RELATIVE_TIMES = 1 << 21, 4096
DETACH = 2

_libc: "Any" = None


def load() -> "Any":
    """Give the C library; done once before a fork, since importing ctypes takes 5 to 15 ms. Raises OSError where there is none."""
    global _libc
    if _libc is None:
        try:
            import ctypes
        except ImportError as error:  # a Python that was built without libffi
            raise OSError(38, "the Python that carries the agent has no ctypes: %s" % error) from None
        _libc = ctypes.CDLL(None, use_errno=True)
        _libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]
    return _libc


def _call(name: "str", *arguments: "Any") -> "None":
    import ctypes

    if getattr(load(), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (name, os.strerror(number)))


def unshare(flags: "int") -> "None":
    """Leave namespaces for new ones (unshare(2))."""
    _call("unshare", flags)


def enter(descriptor: "int", kind: "int") -> "None":
    """Enter a namespace (setns(2)); the process must have one thread."""
    _call("setns", descriptor, kind)


def mount(
    source: "bytes", target: "bytes", kind: "Optional[bytes]", flags: "int", data: "Optional[bytes]" = None
) -> "None":
    """Mount (mount(2)); the paths are of this view."""
    _call("mount", source, target, kind, flags, data)


def bind(source: "bytes", target: "bytes") -> "None":
    """Show source at target, with everything that is mounted below: without that the system refuses what it locked together."""
    mount(source, target, None, BIND | RECURSIVE)


def read_only(target: "bytes") -> "None":
    """Let nothing be written through a bind mount, as far as the system allows it; what is mounted below stays as it is.

    The other flags must be named again: in a user namespace they are locked (mount_namespaces(7)).
    """
    found = os.statvfs(target).f_flag
    kept = found & (NO_SUID | NO_DEVICES | NO_PROGRAMS | NO_TIMES | NO_FOLDER_TIMES)
    relative = RELATIVE_TIMES if found & ST_RELATIVE_TIMES else 0
    try:
        mount(b"none", target, None, BIND | REMOUNT | READ_ONLY | kept | relative)
    except OSError:
        pass


def unmount(target: "bytes") -> "None":
    """Take a tree of mounts away, at the latest when nobody uses it any more."""
    _call("umount2", target, DETACH)


def change_root(new: "bytes", old: "bytes") -> "None":
    """Make new the root; the old one is seen at old, a folder below new. A chroot would not do: it forbids further user namespaces."""
    load().pivot_root.restype = int
    _call("pivot_root", new, old)


def map_identity(inside: "int", outside: "int", group_inside: "int", group_outside: "int") -> "None":
    """Say who this process is in its new user namespace. Groups beyond the first keep their rights and lose their names."""
    for name, text in (
        ("setgroups", "deny"),  # without it the system does not let a user map a group
        ("uid_map", "%d %d 1" % (inside, outside)),
        ("gid_map", "%d %d 1" % (group_inside, group_outside)),
    ):
        with open("/proc/self/" + name, "wb", 0) as file:
            file.write(text.encode("ascii"))
