"""Runs a files worker in an odd world: `odd_python.py KIND… PYTHON-ARGUMENTS`, called in place of a Python.

KIND: ``insensitive`` (names that differ by case or by the form of a letter are one name, as on macOS; what was written is
kept), ``ahead=SECONDS`` (the clock is wrong by so much), ``watches=COUNT`` (the system gives no more). Used by tests where no such file system can be mounted.
"""

import errno
import os
import sys
import time


def fold(name):
    from afield.tree.paths import fold as key

    return key(os.fsencode(name))


def standing(name, dir_fd):
    """The name under which something stands in the folder, as such a file system finds it; else the name itself."""
    raw = os.fsencode(name)
    if dir_fd is None or b"/" in raw or raw in (b"", b".", b".."):
        return name
    names = [os.fsencode(each) for each in os.listdir(dir_fd)]
    if raw in names:
        return name
    return next((each for each in names if fold(each) == fold(raw)), name)


def one_name(real):
    def call(name, *args, dir_fd=None, **more):
        if dir_fd is not None:
            more["dir_fd"] = dir_fd
            name = standing(name, dir_fd)
        return real(name, *args, **more)

    return call


def two_names(real, stat):
    def call(source, target, src_dir_fd=None, dst_dir_fd=None, **more):
        there = standing(target, dst_dir_fd)
        source = standing(source, src_dir_fd)
        if there != target:
            one = stat(source, dir_fd=src_dir_fd, follow_symlinks=False)
            other = stat(there, dir_fd=dst_dir_fd, follow_symlinks=False)
            # Only a rename of the thing itself changes how its name is written.
            there = target if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino) else there
        return real(source, there, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, **more)

    return call


def symlink_to(real):
    def call(target, name, *args, dir_fd=None, **more):
        return real(target, standing(name, dir_fd), *args, dir_fd=dir_fd, **more)

    return call


def insensitive():
    stat = os.stat
    for name in ("open", "stat", "lstat", "mkdir", "rmdir", "unlink", "readlink", "utime"):
        setattr(os, name, one_name(getattr(os, name)))
    for name in ("rename", "link"):
        setattr(os, name, two_names(getattr(os, name), stat))
    os.symlink = symlink_to(os.symlink)


def ahead(seconds):
    real = time.time
    time.time = lambda: real() + seconds
    if hasattr(time, "time_ns"):
        real_ns = time.time_ns
        time.time_ns = lambda: real_ns() + int(seconds * 10**9)


def watches(most):
    from afield.files import inotify, polling

    polling.EVERY = 0.05
    real = inotify.Inotify.add

    def add(self, path):
        if len(self.watches) >= most and path not in self.watches:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(self, path)

    inotify.Inotify.add = add


def main(words):
    at = words.index("-c")
    code, source = words[at + 1], words[at + 2]
    sys.path.append(source)
    for kind in words[: words.index("-I")]:
        name, _, value = kind.partition("=")
        if name == "insensitive":
            insensitive()
        elif name == "watches":
            watches(int(value))
        else:
            ahead(float(value))
    sys.argv = ["-c", *words[at + 2 :]]
    exec(code, {"__name__": "__main__"})


if __name__ == "__main__":
    main(sys.argv[1:])
