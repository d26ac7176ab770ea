"""The commands of an environment, seen from two sides: at its own path and in a view's ``.afield/bin``  [P].

A command (``pip``, ``pytest``) begins with the path of its interpreter. In the view that must be the view's, at the place the real one; so
each side has its own text and ``carry`` brings what was added or removed on one side to the other. Rules: only files that name the
interpreter are rewritten, and only in their first three lines; everything else is a symlink to the real file.
"""

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Set

# Written by pip or distlib a command has 250 bytes; some tools bring a whole program in one file.
LARGEST = 262144
# `bin` of a large environment has 300 entries, that of a conda one 1500.
MOST = 4096
# Linux before 5.1 takes so much of a first line (BINPRM_BUF_SIZE).
LONGEST = 127
_SYSTEM = (b"/bin", b"/usr/bin", b"/usr/local/bin", b"/sbin", b"/usr/sbin")


def is_system_bin(folder: "bytes") -> "bool":
    """Tell whether a folder of commands belongs to everybody."""
    return os.path.realpath(folder) in _SYSTEM or folder in _SYSTEM


def is_python(name: "bytes") -> "bool":
    """Tell whether a name is an interpreter's: python, python3, python3.11 and the like."""
    rest = name[6:]
    return name.startswith(b"python") and all(char in b"0123456789.tmd" for char in rest)


def rewritten(data: "bytes", old: "bytes", new: "bytes") -> "Optional[bytes]":
    """Give a command's text with the interpreters of the folder old replaced by those of new; None when it names none."""
    lines = data.split(b"\n", 3)
    if not data.startswith(b"#!"):
        return None
    first = lines[0][2:].strip()
    body = data[len(lines[0]) :]
    if first.startswith(old + b"/python"):
        path, _, options = first[len(old) :].partition(b" ")
        line = b"#!" + new + path + (b" " + options if options else b"")
        if len(line) <= LONGEST and b" " not in new:
            return line + body
        # sh reads a command that does nothing and an exec; Python reads a string (as pip writes long paths).
        words = (b" " + options if options else b"") + b' "$0" "$@"'
        return b"#!/bin/sh\n'''exec' " + _quoted(new + path) + words + b"\n' '''" + body
    if first == b"/bin/sh" and len(lines) > 2 and lines[1].startswith(b"'''exec' "):
        if old + b"/python" in lines[1]:
            lines[1] = lines[1].replace(old + b"/python", new + b"/python", 1)
            return b"\n".join(lines)
    return None


def _quoted(text: "bytes") -> "bytes":
    """Quote for sh inside double quotes, as pip does."""
    for char in (b"\\", b'"', b"$", b"`"):
        text = text.replace(char, b"\\" + char)
    return b'"' + text + b'"'


class Commands:
    """Both folders: real is that of the environment, shown that of the view, seen here through ``folder`` (a descriptor or a path)."""

    def __init__(self, real: "bytes", shown: "bytes") -> "None":
        self.real = real
        self.shown = shown
        self.known: "Dict[bytes, List[int]]" = {}

    def fill(self, folder: "int") -> "None":
        """Write the view's side for the first time. Raises OSError."""
        for name in os.listdir(self.real)[:MOST]:
            if not is_python(name):
                self._show(folder, name)

    def _show(self, folder: "int", name: "bytes") -> "None":
        source = os.path.join(self.real, name)
        status = os.lstat(source)
        text = None
        if stat.S_ISLNK(status.st_mode) and b"/" not in os.readlink(source):
            source = os.readlink(source)
        elif stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST:
            try:
                text = rewritten(_read(source), self.real, self.shown)
            except OSError:  # not readable for us
                text = None
        if text is None:
            os.symlink(source, name, dir_fd=folder)
        else:
            _write(folder, name, text)
        self.known[name] = _mark(folder, name)

    def carry(self, folder: "int") -> "None":
        """Bring what changed on the view's side to the environment, and what is new there to the view. Raises OSError."""
        there, here = _names(self.real), _names(folder)
        for name in here:
            if self.known.get(name) != _mark(folder, name):
                self._bring(folder, name)
        for name in set(self.known) - here:
            if name in there:
                os.unlink(os.path.join(self.real, name))
            del self.known[name]
        there = _names(self.real)
        for name in there - set(self.known):
            self._show(folder, name)

    def _bring(self, folder: "int", name: "bytes") -> "None":
        """Write one new command of the view where the environment has its own."""
        status = os.lstat(name, dir_fd=folder)
        target = os.path.join(self.real, name)
        if stat.S_ISREG(status.st_mode):
            data = _read(name, folder)
            text = rewritten(data, self.shown, self.real)
            _replace(target, data if text is None else text, stat.S_IMODE(status.st_mode))
        elif stat.S_ISLNK(status.st_mode):
            link = os.readlink(name, dir_fd=folder)
            if os.path.lexists(target):
                os.unlink(target)
            os.symlink(link, target)
        self.known[name] = _mark(folder, name)


def _names(folder: "int | bytes") -> "Set[bytes]":
    return {name for name in map(os.fsencode, os.listdir(folder)) if not is_python(name)}


def _mark(folder: "int", name: "bytes") -> "List[int]":
    status = os.lstat(name, dir_fd=folder)
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def _read(name: "bytes", folder: "Optional[int]" = None) -> "bytes":
    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=folder)
    with open(fd, "rb") as file:
        return file.read()


def _write(folder: "int", name: "bytes", data: "bytes") -> "None":
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755, dir_fd=folder)
    with open(fd, "wb") as file:
        file.write(data)


def _replace(path: "bytes", data: "bytes", mode: "int") -> "None":
    part = b"%s.%d.part" % (path, os.getpid())
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(fd, "wb") as file:
        file.write(data)
    os.rename(part, path)
