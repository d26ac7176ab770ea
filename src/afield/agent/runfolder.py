"""Where the agent's socket, lock, records and log live, and which agent belongs to this host  [P].

Rules: a folder is used only when it is ours, mode 0700 and no symlink. One agent per user, release and *host*; a host is told by
what a process would notice: boot, host name, process and network namespace, root file system, batch job. Two containers that
share a /tmp, or two nodes that share a home, must not meet. No sockets here.
"""

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

# A unix socket's address holds 108 bytes with its NUL on Linux, 104 on macOS.
LONGEST_ADDRESS = 100


def candidates(info: "Dict[str, Any]") -> "List[str]":
    """Give the folders to try, best first.

    /tmp before XDG_RUNTIME_DIR: that one is deleted when the user's last login ends, which is when an agent is needed most.
    """
    if info.get("home"):
        return [os.path.join(info["home"], "run")]
    found = ["/tmp/afield-%d" % os.getuid()]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and runtime.startswith("/"):
        found.append(os.path.join(runtime, "afield"))
    if info.get("cache"):
        found.append(os.path.join(info["cache"], "run"))
    return found


def make(path: "str") -> "Optional[str]":
    """Make the folder or check the one that stands there; None when it is not ours, with the reason left to the caller."""
    try:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            return None
        if stat.S_IMODE(status.st_mode) != 0o700:
            os.chmod(path, 0o700)
        if not os.access(path, os.W_OK | os.X_OK):
            return None
        return path
    except OSError:
        return None


def find(info: "Dict[str, Any]") -> "Optional[str]":
    """Give the run folder, made when missing; None when no candidate can be used."""
    for path in candidates(info):
        found = make(path)
        if found is not None:
            return found
    return None


def host_identity() -> "str":
    """Tell this host from every other one that may share files with it."""
    parts = [os.uname().nodename]
    for path in ("/proc/self/ns/pid", "/proc/self/ns/net"):
        try:
            parts.append(os.readlink(path))
        except OSError:
            parts.append("")
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            parts.append(file.read(64).strip())
    except OSError:
        parts.append("")
    root = os.stat("/")
    parts.append("%d:%d" % (root.st_dev, root.st_ino))
    # Processes of one batch job must not land in another's allocation.
    parts.append(os.environ.get("SLURM_JOB_ID", ""))
    return "|".join(parts)


def name(release: "str", identity: "str") -> "str":
    """Give the stem of the files of the agent of this release (a SHA-256) on this host."""
    from zlib import crc32

    # Not a secret and not a defence: 32 bits tell a handful of hosts apart, and the folder is private.
    return "a-%s-%08x" % (release[:12], crc32(identity.encode("utf-8", "replace")) & 0xFFFFFFFF)


def reachable(folder: "str", file: "str") -> "str":
    """Give a name for a socket in folder that fits an address; may change the working folder for that."""
    path = os.path.join(folder, file)
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        return path
    os.chdir(folder)
    return file
