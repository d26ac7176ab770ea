"""What an interrupted transfer of a large file left: kept in staging, taken up by the next one  [P].

One file for each path, ``<hash of the path>.part``: while it is written it lies in the staging folder of its worker, and
whoever ends or sweeps that folder moves it up to where the next worker finds it. Rules: it is only ever the beginning of
a file, and nothing of it is used before its blocks were compared with the source's; only files of some size are kept,
the newest few, for a week.
"""

import hashlib
import os
import time

from afield.files.handles import kind_of, open_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Tuple

END = b".part"
# Less is sent again faster than it is compared.
LEAST = 1 << 20
# A few broken transfers at a time are plausible, more would only fill the disk.
MOST = 8
SECONDS = 7 * 86400
READ_WRITE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def name_of(path: "bytes") -> "bytes":
    """Give the name that the unfinished file for ``path`` has."""
    return hashlib.sha256(path).hexdigest()[:32].encode("ascii") + END


def open_kept(folder: "int", path: "bytes", own: "int") -> "int":
    """Open what is kept for ``path`` in the folder handle for reading; -1 when there is nothing.

    What a worker of a lost session still holds (an agent keeps those for an hour) counts, that of ``own`` does not.
    """
    name = name_of(path)
    best, most = -1, 0
    for place in [name] + [other + b"/" + name for other in others(folder, own)]:
        fd = open_file(folder, place)
        size = os.fstat(fd).st_size if fd >= 0 else 0
        if size > most:
            fd, best, most = best, fd, size
        if fd >= 0:
            os.close(fd)
    return best


def open_file(folder: "int", place: "bytes") -> "int":
    """Open a plain file at one or two names below the folder handle, never through a link; -1 when there is none."""
    above, _, name = place.rpartition(b"/")
    try:
        inner = open_folder(above, folder) if above else folder
        try:
            fd = os.open(name, READ, dir_fd=inner)
        finally:
            if above:
                os.close(inner)
    except OSError:
        return -1
    if kind_of(os.fstat(fd).st_mode) != "f":
        os.close(fd)
        return -1
    return fd


def others(folder: "int", own: "int") -> "List[bytes]":
    """Give the names of the staging folders of other workers."""
    mine = os.fstat(own).st_ino if own >= 0 else 0
    found = []
    for text in os.listdir(folder):
        name = os.fsencode(text)
        try:
            if not name.endswith(END) and os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino != mine:
                found.append(name)
        except OSError:
            continue  # its worker ended right now
    return found


def take(folder: "int", staging: "int", path: "bytes", name: "bytes") -> "int":
    """Move what is kept for ``path`` to ``name`` in staging, so that nobody else uses it, and open it. Raises OSError."""
    os.rename(name_of(path), name, src_dir_fd=folder, dst_dir_fd=staging)
    return os.open(name, READ_WRITE, dir_fd=staging)


def drop(folder: "int", path: "bytes", own: "int") -> "None":
    """Forget what is kept for ``path``, also by workers of lost sessions: the whole file is in place."""
    name = name_of(path)
    for above in [b""] + others(folder, own):
        try:
            inner = open_folder(above, folder) if above else folder
            try:
                os.unlink(name, dir_fd=inner)
            finally:
                if above:
                    os.close(inner)
        except OSError:
            continue  # there was none


def keep(staging: "int", name: "bytes", folder: "int", kept: "bytes") -> "None":
    """Move an unfinished file up, unless it is small or a longer one is there."""
    try:
        size = os.stat(name, dir_fd=staging, follow_symlinks=False).st_size
        try:
            other = os.stat(kept, dir_fd=folder, follow_symlinks=False).st_size
        except FileNotFoundError:
            other = 0
        if size >= LEAST and size > other:
            os.rename(name, kept, src_dir_fd=staging, dst_dir_fd=folder)
    except OSError:
        pass  # then it is sent again


def rescue(staging: "int", folder: "int") -> "None":
    """Move all unfinished files of a staging folder up, before the rest of it is removed."""
    for text in os.listdir(staging):
        name = os.fsencode(text)
        if name.endswith(END):
            keep(staging, name, folder, name)


def prune(folder: "int") -> "List[str]":
    """Remove what is too old or too much; give the names of what stays."""
    stays: "List[str]" = []
    found: "List[Tuple[float, bytes]]" = []
    for text in os.listdir(folder):
        name = os.fsencode(text)
        if name.endswith(END):
            try:
                found.append((os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime, name))
            except OSError:
                continue
    found.sort(reverse=True)
    limit = time.time() - SECONDS
    for place, (at, name) in enumerate(found):
        if place < MOST and at >= limit:
            stays.append(name.decode("utf-8", "replace"))
        else:
            try:
                os.unlink(name, dir_fd=folder)
            except OSError:
                continue
    for other in others(folder, -1):
        try:
            inner = open_folder(other, folder)
        except OSError:
            continue
        try:
            stays += [name for name in os.listdir(inner) if os.fsencode(name).endswith(END)]
        finally:
            os.close(inner)
    return stays
