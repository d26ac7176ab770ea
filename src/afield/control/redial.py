"""The first dial of a daemon as the last one was made, when nothing that decided it has changed: no setting is read, little is imported.

``remember`` writes the command that was started, with the state of every file and variable that had a say in it; ``begin`` compares
and starts it again, 35 ms sooner than by the settings. Rules: any doubt is a no; the file is this user's alone, in the
private state folder; nothing secret stands in it. What must not go in: asyncio, config, transports.
"""

from __future__ import annotations

import os
import stat

import afield
from afield.control import paths, piped
from afield.control.askfolder import ask_folder
from afield.control.door import Door

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_VERSION = "afield last dial 1"
_VARIABLES = ("AFIELD_SSH", "HOME", "XDG_CONFIG_HOME")
# What makes the starter and its command line: the sources that travel, and those that pack and quote them.
_PACKAGES = ("", "agent", "config", "deploy", "envs", "files", "transports", "tree", "wire")
_LARGEST = 1 << 20  # a command line is limited to a tenth of that for each word


def begin(argv: list[str]) -> tuple[tuple[int, int, int, int], Door]:
    """Start a remembered command; gives process and door. Raises OSError, NotImplementedError (``piped.posix_spawn``)."""
    door = Door(ask_folder())
    env = {**os.environ, **door.env()}
    try:
        return piped.with_pipes(lambda ends: piped.posix_spawn(argv, env, ends)), door
    except BaseException:
        door.close()
        raise


def recall(project: str, machine: str) -> list[str] | None:
    """Give the command that was remembered for them ("": the default machine); None when there is none or something has changed."""
    words = _read()
    if words is None or words[:2] != [_VERSION, project] or machine not in words[2:4]:
        return None
    try:
        values, rest = _counted(words[4:])
        files, argv = _counted(rest)
    except (ValueError, IndexError):
        return None
    if values != _values() or not argv:
        return None
    if any(_state(path) != state for path, state in zip(files[::2], files[1::2], strict=True)):
        return None
    return argv


def remember(project: str, machine: str, argv: Sequence[str], settings: Iterable[str], *, default: bool) -> None:
    """Keep the command of a dial; ``settings`` are the files it was read from, ``default`` says that they name this machine first.

    A disk that refuses costs only the next start's time.
    """
    files = [word for path in (*settings, *_sources()) for word in (path, _state(path))]
    values = _values()
    words = [
        _VERSION,
        project,
        machine,
        "" if default else machine,
        str(len(values)),
        *values,
        str(len(files)),
        *files,
        *argv,
    ]
    path = _path()
    try:
        fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(os.fsencode("\0".join(words)))
        os.replace(f"{path}.new", path)
    except OSError:
        return


def _path() -> str:
    return os.path.join(paths.state_folder(), "last-dial")


def _read() -> list[str] | None:
    try:
        fd = os.open(_path(), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with open(fd, "rb", 0) as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            return None
        return os.fsdecode(file.read(_LARGEST) or b"").split("\0")


def _counted(words: list[str]) -> tuple[list[str], list[str]]:
    """Split off a list that stands behind its length."""
    count = int(words[0])
    if not 0 <= count < len(words):
        raise ValueError(count)
    return words[1 : count + 1], words[count + 1 :]


def _values() -> list[str]:
    return [os.environ.get(name, "\1") for name in _VARIABLES]


def _state(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return "-"
    # Of a folder its entries count, which its own time tells; caches below it come and go without.
    return f"{found.st_ino} {found.st_mtime_ns} {0 if stat.S_ISDIR(found.st_mode) else found.st_size}"


def _sources() -> list[str]:
    top = os.path.dirname(os.path.abspath(afield.__file__))
    found = []
    for package in _PACKAGES:
        folder = os.path.join(top, package) if package else top
        found += [
            folder,
            *(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith((".py", ".txt"))),
        ]
    return found
