"""The stand-in on disk: the environment at ``.afield`` of a project that stands at its local path without a view (way ``same``)  [P].

What a view mounts is symlinked here, and the interpreter is copied, since getpath would follow a link to it and look for its library
there. Rules: every step may be taken again, so that what was interrupted or has changed is put right; a name that something else has is left
alone, and the ``.afield`` of a shim (one folder for both sides, a shared home) is refused; ``.afield/standin`` keeps what was made here.
"""

import fcntl
import os
import stat

from afield.agent import standin
from afield.agent.ground import UnsuitableError
from afield.agent.scripts import Commands
from afield.agent.twin import STANDIN, found_itself
from afield.wire.values import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

RECORD = b"/standin"
PART = 1 << 20


class Record:
    """What was made at ``at``: (path, mark of its source) of the copies, the links, and the commands that are known."""

    def __init__(self, at: "bytes") -> "None":
        """Read it; raises UnsuitableError when an environment that is none of ours stands there."""
        self.path = at + RECORD
        value: "Dict[str, Any]" = {}
        try:
            with open(self.path, "rb") as file:
                value = decode(file.read())
        except FileNotFoundError:
            if os.path.lexists(at + b"/pyvenv.cfg") or os.path.lexists(at + b"/bin/python"):
                raise _anothers(at) from None
        except Exception:  # a disk that was full: all of it is made again
            value = {}
        if os.path.lexists(at + b"/bin/python") and not os.path.islink(at + b"/bin/python"):
            raise _anothers(at)  # a shim that was installed on that machine since
        self.copies: "Dict[bytes, Any]" = dict(value.get("copies") or ())
        self.links: "List[bytes]" = list(value.get("links") or ())
        self.real: "bytes" = value.get("real") or b""
        self.commands: "Dict[bytes, Any]" = dict(value.get("commands") or ())

    def write(self) -> "None":
        """Keep it. Raises OSError."""
        value = {
            "copies": [list(pair) for pair in self.copies.items()],
            "links": self.links,
            "real": self.real,
            "commands": [list(pair) for pair in self.commands.items()],
        }
        _write(self.path, encode(value), 0o600)


def _anothers(at: "bytes") -> "UnsuitableError":
    return UnsuitableError("%s/bin/python belongs to something else there" % os.fsdecode(at))


def build(folder: "bytes", env: "Dict[str, Any]") -> "Tuple[Dict[str, bytes], Optional[Commands]]":
    """Have the environment stand below a project's folder; gives what its interpreter told, and its commands.

    Raises OSError, UnsuitableError, RefusedError: the interpreter does not find itself there.
    """
    at = folder + STANDIN
    standin.check_name(at)
    standin.make_usual(env)
    try:
        os.mkdir(at, 0o700)
    except FileExistsError:
        pass
    lock = os.open(at, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _alone(lock)
        record = Record(at)
        record.write()  # from now on what stands there is ours
        _take_all(standin.layout(env, at), record)
        commands = _commands(env, at, record)
        record.write()
        return found_itself(at), commands
    finally:
        os.close(lock)


def carry(commands: "Commands", folder: "int") -> "None":
    """Bring commands from one side to the other, and keep what is known. Raises OSError, UnsuitableError."""
    at = os.path.dirname(commands.shown)
    lock = os.open(at, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _alone(lock)
        record = Record(at)
        if record.real == commands.real:
            commands.known = dict(record.commands)
            commands.carry(folder)
            record.commands = commands.known
            record.write()
    finally:
        os.close(lock)


def _alone(lock: "int") -> "None":
    """Wait for others who build here, agents of other machines with the same home; a file system without locks has to do without."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:
        pass


def _take_all(steps: "List[Any]", record: "Record") -> "None":
    links = []
    for step in steps:
        kind, path = step[0], step[2] if step[0] in ("bind", "show") else step[1]
        if kind == "folder":
            _folder(path)
        elif kind == "text":
            _text(path, step[2])
        elif kind == "link" or os.path.isdir(step[1]):
            if _link(path, step[2] if kind == "link" else step[1]):
                links.append(path)
        else:
            _copy(step[1], path, record)
    for path in record.links:
        if path not in links and os.path.islink(path):
            os.unlink(path)  # of the environment before this one
    record.links = links
    for path in [path for path in record.copies if ("show", path) not in {(step[0], step[-1]) for step in steps}]:
        os.unlink(path)
        del record.copies[path]


def _folder(path: "bytes") -> "None":
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise UnsuitableError("%s is in the way there" % os.fsdecode(path)) from None


def _link(path: "bytes", target: "bytes") -> "bool":
    """Have a symlink there; False when something else has the name."""
    try:
        if os.readlink(path) == target:
            return True
    except FileNotFoundError:
        pass
    except OSError:
        return False
    part = b"%s.%d.part" % (path, os.getpid())
    os.symlink(target, part)
    os.rename(part, path)
    return True


def _text(path: "bytes", data: "bytes") -> "None":
    try:
        with open(path, "rb") as file:
            if file.read(len(data) + 1) == data:
                return
    except OSError:
        pass
    _write(path, data, 0o644)


def _copy(source: "bytes", path: "bytes", record: "Record") -> "None":
    status = os.stat(source)
    mark = [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]
    if record.copies.get(path) == mark and os.path.isfile(path):
        return
    part = b"%s.%d.part" % (path, os.getpid())
    try:
        with open(source, "rb") as inward, open(part, "wb") as outward:
            data = inward.read(PART)
            while data:
                outward.write(data)
                data = inward.read(PART)
        os.chmod(part, 0o755)  # noqa: S103 a program
        os.rename(part, path)
    except OSError:
        _unlink(part)
        raise
    record.copies[path] = mark


def _commands(env: "Dict[str, Any]", at: "bytes", record: "Record") -> "Optional[Commands]":
    """Have the environment's commands in ``bin``; what was installed since the last time is brought to it first."""
    folder = os.open(at + b"/bin", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if record.real != env["bin"]:
            for name in record.commands:
                _unlink(at + b"/bin/" + name)
            record.commands, record.real = {}, b""
        if not standin.has_commands(env):
            return None
        commands = Commands(env["bin"], at + b"/bin")
        commands.known = dict(record.commands)
        commands.carry(folder)
        record.commands, record.real = commands.known, env["bin"]
        return commands
    finally:
        os.close(folder)


def _write(path: "bytes", data: "bytes", mode: "int") -> "None":
    part = b"%s.%d.part" % (path, os.getpid())
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with open(fd, "wb") as file:
            file.write(data)
        os.rename(part, path)
    except OSError:
        _unlink(part)
        raise


def _unlink(path: "bytes") -> "None":
    try:
        os.unlink(path)
    except OSError:
        pass
