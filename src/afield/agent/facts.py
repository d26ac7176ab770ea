"""What there is to know about a place, read from files and the C library  [P].

Runs in a forked child: any of these may hang on a dead network disk. Nothing is started but ``nvidia-smi``.
A fact that cannot be had is null or an empty list; never an error.
"""

import errno
import os
import sys
from time import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional

# nvidia-smi takes 0.1 to 2 s; on a broken driver it hangs.
GPU_WAIT = 5.0
# The whole: a dead network disk must not hold a question open for ever.
FACTS_WAIT = 15.0
# A cluster's module tree may show hundreds; more helps nobody to choose.
MOST_PYTHONS = 200


def facts() -> "Dict[str, Any]":
    """Gather everything; takes some ms, up to GPU_WAIT where nvidia-smi hangs."""
    uname = os.uname()
    user = _user()
    home = os.path.expanduser("~")
    return {
        "user": user.pw_name if user else None,
        "uid": os.getuid(),
        "home": os.fsencode(home),
        "shell": os.fsencode(user.pw_shell if user else os.environ.get("SHELL") or ""),
        "host": _text(uname.nodename),
        "os": _text(uname.sysname),
        "kernel": _text(uname.release),
        "machine": _text(uname.machine),
        "libc": _try(libc),
        "cpus": _try(cpus),
        "load": _try(lambda: list(os.getloadavg())),
        "memory": _try(memory),
        "disks": _try(lambda: disks(home)) or [],
        "quota": _try(lambda: quota(home)),
        "pythons": _try(pythons) or [],
        "gpus": _try(gpus) or [],
        "boot_id": _try(lambda: _read("/proc/sys/kernel/random/boot_id").strip()),
        "time": time(),
        "python": {"path": os.fsencode(sys.executable or ""), "version": "%d.%d.%d" % sys.version_info[:3]},
    }


def _try(ask: "Callable[[], Any]") -> "Any":
    try:
        return ask()
    except Exception:
        return None


def _text(value: "str") -> "str":
    return value.encode("utf-8", "replace").decode("utf-8")


def _read(path: "str", limit: "int" = 65536) -> "str":
    with open(path, "rb") as file:
        return file.read(limit).decode("utf-8", "replace")


def _user() -> "Any":
    try:
        import pwd

        return pwd.getpwuid(os.getuid())
    except (ImportError, KeyError):
        return None


def libc() -> "Optional[str]":
    """Give "glibc 2.36" or "musl"."""
    try:
        name = os.confstr("CS_GNU_LIBC_VERSION")
        if name:
            return name
    except (ValueError, OSError):
        pass
    if any(name.startswith("ld-musl-") for name in os.listdir("/lib")):
        return "musl"
    return None


def cpus() -> "int":
    """Give the number of processors that this login may use (affinity, as a batch system sets it)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> "Dict[str, Optional[int]]":
    """Give total and available bytes (Linux: /proc/meminfo, proc(5))."""
    try:
        fields = {}
        for line in _read("/proc/meminfo").splitlines():
            name, _, rest = line.partition(":")
            words = rest.split()
            if words:
                fields[name] = int(words[0]) * 1024
        return {"total": fields["MemTotal"], "available": fields.get("MemAvailable", fields.get("MemFree"))}
    except (OSError, KeyError):
        return {"total": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "available": None}


def disks(home: "str") -> "List[Dict[str, Any]]":
    """Give the file systems that matter: home, /tmp and the usual scratch places, each once."""
    kinds = _try(_mounts) or {}
    found: "Dict[int, Dict[str, Any]]" = {}
    for path in [
        home,
        "/",
        "/tmp",
        *_scratch(),
        *[entry for entry in ("/scratch", "/data", "/work") if os.path.isdir(entry)],
    ]:
        try:
            number = os.stat(path).st_dev
            status = os.statvfs(path)
        except OSError:
            continue
        if number not in found:
            found[number] = {
                "path": os.fsencode(path),
                "total": status.f_frsize * status.f_blocks,
                "free": status.f_frsize * status.f_bavail,
                "fs": kinds.get(number),
            }
    return list(found.values())


def _scratch() -> "List[str]":
    names = ("SCRATCH", "WORK", "TMPDIR", "PROJECT")
    return [os.environ[name] for name in names if os.path.isdir(os.environ.get(name, ""))]


def _mounts() -> "Dict[int, str]":
    """Give the kind of file system by device number (proc(5), mountinfo)."""
    kinds = {}
    for line in _read("/proc/self/mountinfo", 1 << 20).splitlines():
        left, _, right = line.partition(" - ")
        words, kind = left.split(" "), right.split(" ")[0]
        major, _, minor = words[2].partition(":")
        kinds[os.makedev(int(major), int(minor))] = kind
    return kinds


def quota(home: "str") -> "Optional[Dict[str, int]]":
    """Give the user's block quota on the home's file system (quotactl(2)), null where there is none or it is remote."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes
    import struct

    device = _device_of(home)
    if device is None:
        return None
    reply = ctypes.create_string_buffer(128)
    command = (0x800007 << 8) | 0  # Q_GETQUOTA for USRQUOTA
    failed = ctypes.CDLL(None, use_errno=True).quotactl(command, device, os.getuid(), reply)
    if failed:
        return None
    hard, soft, used = struct.unpack_from("=QQQ", reply.raw)
    if not hard and not soft:
        return None
    return {"used": used, "soft": soft * 1024, "hard": hard * 1024}


def _device_of(path: "str") -> "Optional[bytes]":
    number = os.stat(path).st_dev
    for line in _read("/proc/self/mountinfo", 1 << 20).splitlines():
        left, _, right = line.partition(" - ")
        major, _, minor = left.split(" ")[2].partition(":")
        source = right.split(" ")[1]
        if os.makedev(int(major), int(minor)) == number and source.startswith("/dev/"):
            return os.fsencode(source)
    return None


# Pythons


def pythons() -> "List[Dict[str, Any]]":
    """Give the interpreters of PATH and of the usual tools' folders, each once; version null when files do not tell."""
    found: "Dict[str, Dict[str, Any]]" = {}
    for folder in _python_folders():
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in sorted(names):
            path = os.path.join(folder, name)
            if _is_python(name) and os.access(path, os.X_OK):
                real = os.path.realpath(path)
                if real not in found and os.path.isfile(real):
                    found[real] = {"path": os.fsencode(path), "version": python_version(real)}
                    if len(found) >= MOST_PYTHONS:
                        break
    return list(found.values())


def _python_folders() -> "List[str]":
    home = os.path.expanduser("~")
    folders = [folder for folder in os.environ.get("PATH", os.defpath).split(":") if folder.startswith("/")]
    folders += ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", os.path.join(home, ".local/bin")]
    for base, below in (
        (os.path.join(home, ".pyenv/versions"), "bin"),
        (os.path.join(home, ".local/share/uv/python"), "bin"),
        ("/opt", "bin"),
    ):
        try:
            folders += [os.path.join(base, name, below) for name in sorted(os.listdir(base))]
        except OSError:
            pass
    for name in ("miniconda3", "anaconda3", "miniforge3", "mambaforge"):
        folders.append(os.path.join(home, name, "bin"))
    return list(dict.fromkeys(folder for folder in folders if not folder.endswith("/shims")))


def _is_python(name: "str") -> "bool":
    return name.startswith("python") and name[6:].replace(".", "").strip("0123456789") == ""


def python_version(path: "str") -> "Optional[str]":
    """Tell the version of a real interpreter file by its neighbours: patchlevel.h, else the file's own name."""
    folder, name = os.path.split(path)
    short = name[6:] if _is_python(name) else ""
    root = os.path.dirname(folder)
    for part in path.split("/"):  # pyenv and uv name the version folder
        digits = part[8:].split("-")[0] if part.startswith("cpython-") else part
        if digits.count(".") == 2 and digits.replace(".", "").isdigit():
            return digits
    if "." not in short:
        return short or None
    for suffix in ("", "m"):
        try:
            text = _read(os.path.join(root, "include", "python%s%s" % (short, suffix), "patchlevel.h"))
        except (OSError, UnicodeError):
            continue
        for line in text.splitlines():
            words = line.split()
            if words[:2] == ["#define", "PY_VERSION"]:
                return words[2].strip('"')
    return short


# GPUs


def gpus() -> "List[Dict[str, Any]]":
    """Ask nvidia-smi where there is one; memory in bytes, utilization in percent."""
    program = _which("nvidia-smi")
    if program is None:
        return []
    text = run_briefly(
        [program, "--query-gpu=name,memory.total,memory.used,utilization.gpu", "--format=csv,noheader,nounits"],
        GPU_WAIT,
    )
    found = []
    for line in text.splitlines():
        words = [word.strip() for word in line.split(",")]
        if len(words) == 4:
            total, used, busy = [int(word) if word.isdigit() else None for word in words[1:]]
            found.append(
                {
                    "name": words[0],
                    "memory_total": total * 1048576 if total is not None else None,
                    "memory_used": used * 1048576 if used is not None else None,
                    "utilization": busy,
                }
            )
    return found


def _which(name: "str") -> "Optional[str]":
    for folder in [*os.environ.get("PATH", os.defpath).split(":"), "/usr/bin", "/usr/local/bin"]:
        path = os.path.join(folder, name)
        if folder and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def run_briefly(argv: "List[str]", limit: "float") -> "str":
    """Run a program without input and give what it prints; empty when it fails or takes longer than limit seconds."""
    import select
    import signal

    inward, outward = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(outward, 1)
            os.dup2(null, 2)
            os.execv(argv[0], argv)
        finally:
            os._exit(127)
    os.close(outward)
    data = b""
    end = time() + limit
    while True:
        ready = select.select([inward], [], [], max(end - time(), 0))[0]
        piece = os.read(inward, 65536) if ready else b""
        data += piece
        if not ready:
            os.kill(pid, signal.SIGKILL)
            data = b""
        if not piece or len(data) > 1 << 20:
            break
    os.close(inward)
    try:
        status = os.waitpid(pid, 0)[1]
    except OSError as error:
        if error.errno != errno.ECHILD:
            raise
        status = 0
    return data.decode("utf-8", "replace") if status == 0 else ""
