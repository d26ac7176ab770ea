"""The far end's housekeeping: what of the store of carried files goes, and when.

Part of the courier's text (courier_there.py). Last use is the ctime of a content: its mtime must stay (compiled code is believed by it),
atime is off on many disks. Rules: what was used within a day stays, and so does what lies where a running process names something,
has it mapped, open or mounted; else the longest unused goes first, by age and by size. What must not go in: what is put there.
"""

# ruff: noqa: D103, ANN001, ANN201, ANN202
# mypy: ignore-errors

import fcntl
import os
import re
import stat
import time

KEPT = 14 * 86400  # seconds without use: a vacation
SPARED = 86400  # seconds: longer than a daemon believes that something is there (carrying.BELIEVED), and than most runs
MOST = 512 << 20  # bytes: the largest tool's helpers (27 MB) in a version each month, twice
SWEEP = 86400  # seconds between two looks

_NAMED = re.compile(rb"/carried/(h-[0-9a-f]{12}/[^\0\n\\:;,'\"() ]*)")


def renew(path):
    """Note that it is used: a change of its times to what they are changes its ctime."""
    status = os.stat(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def hold(root, how):
    """Lock the store, shared to put something into it, exclusive to sweep; None where the disk knows no locks. Raises BlockingIOError."""
    lock = os.open(os.path.join(root, b"lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, how)
        return lock
    except BlockingIOError:
        os.close(lock)
        raise
    except OSError:
        os.close(lock)
        return None


def entries(root):
    """Give [last use, bytes, paths] of each content; compiled code counts with its source, what a killed courier left by itself."""
    found, compiled = {}, []
    for where, folders, names in os.walk(root):
        if where == root:
            folders[:] = [name for name in folders if name == b"blobs" or name[:2] == b"h-"]
            continue
        for name in names:
            path = os.path.join(where, name)
            try:
                status = os.lstat(path)
            except OSError:
                continue
            if os.path.basename(where) == b"__pycache__":
                source = os.path.join(os.path.dirname(where), name.split(b".")[0] + b".py")
                compiled.append((source, path, status))
            else:
                _add(found.setdefault((status.st_dev, status.st_ino), [status.st_ctime, 0, []]), path, status)
    sources = {path: entry for entry in found.values() for path in entry[2]}
    for source, path, status in compiled:
        entry = sources.get(source)
        if entry is None:
            entry = found[status.st_dev, status.st_ino] = [status.st_ctime, 0, []]
        _add(entry, path, status)
    return list(found.values())


def _add(entry, path, status):
    # Links of one content share its bytes.
    if not entry[2] or os.path.basename(os.path.dirname(path)) == b"__pycache__":
        entry[1] += status.st_size
    entry[2].append(path)


def in_use(root):
    """Give the folders of the store where running processes have or name something; None when no process can be looked at."""
    if not os.path.exists("/proc/self/mountinfo"):
        return None
    found = set()
    for pid in os.listdir(b"/proc"):
        if pid.isdigit():
            for name in _names_of(b"/proc/" + pid):
                found.add(os.path.dirname(os.path.join(root, name)))
    return found


def _names_of(process):
    texts = []
    for name in (b"cmdline", b"environ", b"maps", b"mountinfo"):
        try:
            with open(os.path.join(process, name), "rb") as file:
                texts.append(file.read())
        except OSError:  # somebody else's, or just ended
            continue
    try:
        links = [b"fd/" + name for name in os.listdir(process + b"/fd")]
    except OSError:
        links = []
    for name in [b"cwd", *links]:
        try:
            texts.append(os.readlink(os.path.join(process, name)) + b"\0")
        except OSError:
            continue
    return set(_NAMED.findall(b"\0".join(texts)))


def going(known, now, used, most):
    """Give the paths that go. Pure."""
    total = sum(entry[1] for entry in known)
    found = []
    for last, size, paths in sorted(known):
        if now - last <= SPARED:
            break
        # Without a look at the processes only what nobody used for long goes.
        due = now - last > KEPT or (total > most and used is not None)
        if due and not any(path.startswith(folder + b"/") for path in paths for folder in used or ()):
            found += paths
            total -= size
    return found


def prune(root, now, used, most=MOST):
    for path in going(entries(root), now, used, most):
        try:
            os.unlink(path)
        except OSError:
            continue
    for name in os.listdir(root):
        if name[:2] == b"h-":
            _drop_empty(os.path.join(root, name), now, used or ())


def _drop_empty(top, now, used):
    """Remove folders that nobody put anything into for a day: a run's results may still come into a younger one."""
    for where, _, _ in os.walk(top, topdown=False):
        try:
            status = os.lstat(where)
            kept = any((where + b"/").startswith(folder + b"/") for folder in used)
            if stat.S_ISDIR(status.st_mode) and now - status.st_mtime > SPARED and not kept:
                os.rmdir(where)
        except OSError:
            continue


def sweep(root):
    """Do it once a day, in a child that outlives the courier: no run waits for it."""
    mark = os.path.join(root, b"swept")
    try:
        if abs(time.time() - os.stat(mark).st_mtime) < SWEEP:
            return
    except OSError:
        pass
    if os.fork():
        return
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.nice(10)
        hold(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
        now = touched(mark + b".new")
        prune(root, now, in_use(root))
        os.rename(mark + b".new", mark)
    finally:
        os._exit(0)


def touched(path):
    """Make a file anew and give its time: now, by the clock of the disk."""
    with open(path, "wb") as file:
        file.truncate()
        os.utime(file.fileno())
        return os.fstat(file.fileno()).st_mtime
