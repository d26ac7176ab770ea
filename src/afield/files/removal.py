"""Removes a whole root, in slices, by handles: never through a symlink, never across a mount point  [P]."""

import os
from time import monotonic

from afield.files.handles import FOLDER, open_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

FORMAT, IS_FOLDER = 0o170000, 0o040000


def remove_tree(path: "bytes", task: "Any") -> "Iterator[None]":
    """Remove the folder at an absolute path with all in it; yields to give way. Raises OSError."""
    fd = os.open(path, FOLDER)
    try:
        for _ in _empty(fd, os.fstat(fd).st_dev, task):
            yield
    finally:
        os.close(fd)
    os.rmdir(path)


def _empty(fd: "int", device: "int", task: "Any") -> "Iterator[None]":
    for text in os.listdir(fd):
        name = os.fsencode(text)
        st = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if st.st_mode & FORMAT == IS_FOLDER and st.st_dev == device:
            inner = open_folder(name, fd)
            try:
                for _ in _empty(inner, device, task):
                    yield
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=fd)
        else:
            # A mount point is a folder that unlink refuses, which ends the removal with an error that names it.
            os.unlink(name, dir_fd=fd)
        if monotonic() >= task.until:
            yield
