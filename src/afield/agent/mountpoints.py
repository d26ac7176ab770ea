"""Mount points that a view had to make at the place: they go with the last who uses them, views of agents and keepers of jobs  [P].

A mount point that is removed takes the mounts of all other namespaces with it (rmdir(2) since Linux 3.18), so nobody may do that while a job
of an earlier agent runs there. Each user holds a shared lock on a file that belongs to the project's path and names what was
made; who can have it alone at the end removes that. Rules: where no lock can be had nothing is removed.
"""

import fcntl
import os

from afield.agent.naming import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, List, Tuple

TRIES = 5


def folder_beside(jobs: "str") -> "str":
    """Give the folder of the lock files; ``jobs``: that of the jobs."""
    return os.path.join(os.path.dirname(jobs), "views")


class Held:
    """One user of what was made for the folder that is shown at ``shown``; ``release`` when it is one no more."""

    def __init__(self, folder: "str", shown: "bytes") -> "None":
        self.path = os.path.join(folder, sha256(shown).hex()[:32])
        self.fd = -1

    def hold(self, made: "Iterable[Tuple[bytes, bytes]]") -> "bool":
        """Be a user; ``made``: (shown, real) of what was made. False when nothing was made by anybody, or no lock can be had."""
        made = list(made)
        if self.fd < 0 and (made or os.path.exists(self.path)):
            self._open()
        if self.fd >= 0 and made:
            try:
                os.write(self.fd, b"".join(b"%s\n" % real.hex().encode("ascii") for _, real in made))
            except OSError:  # a full disk: they stay
                pass
        return self.fd >= 0

    def _open(self) -> "None":
        for _ in range(TRIES):
            fd = -1
            try:
                os.makedirs(os.path.dirname(self.path), 0o700, exist_ok=True)
                fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                fcntl.flock(fd, fcntl.LOCK_SH)
                if os.fstat(fd).st_nlink:
                    self.fd = fd
                    return
            except OSError:
                if fd < 0:
                    return
            os.close(fd)  # of somebody who was the last one just now

    def release(self) -> "None":
        """Remove what was made when nobody else uses it, as far as it is empty."""
        fd, self.fd = self.fd, -1
        if fd < 0:
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in sorted(_read(fd), key=len, reverse=True):
                try:
                    os.rmdir(path)
                except OSError:
                    pass
            os.unlink(self.path)
            folder = os.path.dirname(self.path)
            os.rmdir(folder)
            os.rmdir(os.path.dirname(folder))
        except OSError:
            pass
        finally:
            os.close(fd)


def _read(fd: "int") -> "List[bytes]":
    data, found = os.pread(fd, 1 << 20, 0), []
    for line in data.split(b"\n")[:-1]:
        try:
            found.append(bytes.fromhex(line.decode("ascii")))
        except ValueError:
            continue
    return found
