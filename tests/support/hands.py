"""What users do to two folders, with a model of every content that was ever written: plain files, no help.

Every content is written once only, and all have one length, so that an edit may leave size and times as they were.
``lost`` and ``set_aside`` must be empty whenever both sides are quiet.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess

# An old clock, a young one, none at all: a file may come with any time.
TIMES = [0, 1, 978_307_200, 2_000_000_000, 4_102_444_800]
OWN = ".afield"


class Hands:
    """``roots`` maps a side to its folder; what a user's own hand took away is in ``dropped``, what both sides had in ``agreed``."""

    def __init__(self, roots):
        self.roots = roots
        self.written = set()
        self.dropped = set()
        self.agreed = set()
        self.count = 0

    def at(self, side, path):
        return os.path.join(self.roots[side], path)

    def fresh(self):
        """A content that never was."""
        self.count += 1
        return f"content {self.count:06d}"

    def drop(self, top):
        """Note that a user's hand takes away what is at and below top."""
        if os.path.islink(top):
            return
        if os.path.isdir(top):
            for name in os.listdir(top):
                self.drop(os.path.join(top, name))
        elif os.path.exists(top):
            with open(top) as file:
                self.dropped.add(file.read())

    def write(self, side, path):
        """Write beside and rename, so that a half-written file is no case of its own here (test_live has it)."""
        where, part = self.at(side, path), self.at(side, ".part")
        text = self.fresh()
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(where), exist_ok=True)
            try:
                with open(part, "w") as file:
                    file.write(text)
                with contextlib.suppress(FileNotFoundError), open(where) as file:
                    self.dropped.add(file.read())
                os.replace(part, where)
                self.written.add(text)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(part)

    def edit(self, side, path):
        """Write into the file as it stands; size and time of change stay what they were."""
        where = self.at(side, path)
        if os.path.islink(where):
            return
        with contextlib.suppress(OSError), open(where, "rb+", buffering=0) as file:
            before = os.fstat(file.fileno())
            old, text = file.read().decode(), self.fresh()
            if len(old) != len(text):
                return
            # Before and after: a worker may take away the name at any moment, then the write went into its history.
            self.written.add(text)
            self.dropped.add(old)
            os.pwrite(file.fileno(), text.encode(), 0)
            os.utime(file.fileno(), ns=(before.st_atime_ns, before.st_mtime_ns))

    def touch(self, side, path, seconds):
        """Give the file another time: of the future, of the past."""
        where = self.at(side, path)
        with contextlib.suppress(OSError):
            os.utime(where, (seconds, seconds), follow_symlinks=False)

    def delete(self, side, path):
        where = self.at(side, path)
        with contextlib.suppress(OSError):
            self.drop(where)
            if os.path.isdir(where) and not os.path.islink(where):
                shutil.rmtree(where)
            else:
                os.unlink(where)

    def rename(self, side, path, to):
        source, target = self.at(side, path), self.at(side, to)
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if os.path.lexists(source) and not os.path.isdir(target):
                self.drop(target)
            os.rename(source, target)

    def copy(self, side, path, to):
        """Copy a file or a folder to a name that is free, as ``cp -r`` does."""
        source, target = self.at(side, path), self.at(side, to)
        if os.path.lexists(target) or os.path.islink(source) or (target + "/").startswith(source + "/"):
            return
        with contextlib.suppress(OSError, shutil.Error):
            if os.path.isdir(source):
                shutil.copytree(source, target, symlinks=True)
            else:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copyfile(source, target)

    def chmod(self, side, path):
        where = self.at(side, path)
        if os.path.isfile(where) and not os.path.islink(where):
            os.chmod(where, os.stat(where).st_mode ^ 0o100)

    def link(self, side, path):
        with contextlib.suppress(OSError):
            os.symlink("nowhere", self.at(side, path))

    # -- what is there

    def contents(self):
        """Path -> what is there, per side; and all contents in trees and histories."""
        trees, kept = {}, set()
        for side, root in self.roots.items():
            tree = trees[side] = {}
            for folder, folders, files in os.walk(root):
                inside = os.path.relpath(folder, root)
                for name in [*folders, *files]:
                    path = os.path.normpath(os.path.join(inside, name))
                    found = look(os.path.join(folder, name))
                    if found[0] == "f" and (not path.startswith(OWN) or path.startswith(OWN + "/history/")):
                        kept.add(found[1])
                    if path != OWN and not path.startswith(OWN + "/"):
                        tree[path] = found
        return trees, kept

    def lost(self, kept):
        """Contents that nobody took away and that are nowhere."""
        return self.written - self.dropped - kept

    def both_had(self, digests):
        """Note the SHA-256 of contents that both sides had."""
        self.agreed.update(digests)

    def both_had_all(self):
        """Do not ask of what was written until now: a person decided, or nobody looked on."""
        self.agreed.update(digest(text) for text in self.written)

    def set_aside(self, trees, kept):
        """Contents that nobody took away, that only a history has, and that the other side never had: they were written over unseen."""
        stand = {found[1] for tree in trees.values() for found in tree.values() if found[0] == "f"}
        return {text for text in (self.written - self.dropped - stand) & kept if digest(text) not in self.agreed}


def digest(text):
    """The SHA-256 of a content."""
    return hashlib.sha256(text.encode()).digest()


def look(path):
    """Kind of what stands at a path, and what it holds."""
    if os.path.islink(path):
        return "l", os.readlink(path)
    if os.path.isdir(path):
        return ("d",)
    with open(path, errors="replace") as file:
        return "f", file.read(), bool(os.stat(path).st_mode & 0o100)


class Disk:
    """A disk of 2 MB at a folder, where the system lets us mount one; ``fill`` takes all of its room."""

    def __init__(self, folder):
        self.folder = folder
        command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]
        self.there = os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0
        self.filler = os.path.join(folder, OWN, "filler")

    def fill(self):
        if not self.there or not os.path.isdir(os.path.dirname(self.filler)):
            return
        with contextlib.suppress(OSError), open(self.filler, "ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def free(self):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(self.filler)

    def close(self):
        if self.there:
            subprocess.run(["umount", "-l", self.folder], check=True)
