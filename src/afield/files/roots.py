"""One root folder: how it is named, which folders may be one, and its handle  [P].

Rules: the root itself may be named through symlinks (that is the user's choice), nothing below it may; ``/``, the
home folder and what holds it are refused. Which paths below may be synced is not decided here.
"""

import errno
import os

from afield.errors import BadPath, RootMissing, RootNotFolder, RootRefused, RootReplaced
from afield.files.faults import from_os_error, show
from afield.files.handles import FOLDER, Handles
from afield.tree.paths import parents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List


def home() -> "bytes":
    """Give the home folder: $HOME, or what the user database says."""
    found = os.environb.get(b"HOME")
    if not found:
        import pwd

        found = os.fsencode(pwd.getpwuid(os.getuid()).pw_dir)
    return found


def expand(path: "bytes") -> "bytes":
    """Make an absolute path; ``~`` and ``~/`` stand for the home folder, and so does the start of a relative path."""
    if path == b"~" or path.startswith(b"~/"):
        path = home() + path[1:]
    if b"\0" in path:
        raise BadPath("expected a path, got one with a NUL byte: %s" % show(path))
    return path if path.startswith(b"/") else os.path.join(home(), path)


def refuse_wide(real: "bytes") -> "None":
    """Raise RootRefused for ``/``, the home folder and every folder that holds it."""
    if real == b"/":
        raise RootRefused("the root must be a project folder, got /", hint="name a folder of its own")
    house = os.path.realpath(home())
    if house == real or house.startswith(real + b"/"):
        raise RootRefused(
            "the root must be a project folder, got %s, which is or holds the home folder" % show(real),
            hint="name a folder below it, such as ~/projects/NAME",
        )


class Root(Handles):
    """An open root folder; ``path`` is its real absolute path, ``fd`` its handle, ``device`` its file system.

    ``exact``: names that differ name different things (False on file systems that fold case or forms of a letter).
    """

    __slots__ = ("created", "exact", "path")

    def __init__(self, path: "bytes", create: "bool" = False) -> "None":
        """Open ``path`` (``~/`` allowed); with ``create`` make it and its parents when missing.

        Raises RootRefused, RootMissing, RootNotFolder, or what the system's refusal means.
        """
        real = os.path.realpath(expand(path))
        refuse_wide(real)
        self.created = False
        if not os.path.lexists(real):
            if not create:
                raise RootMissing("the folder %s does not exist" % show(real), path=real)
            self._make(real)
        try:
            fd = os.open(real, FOLDER)
        except NotADirectoryError:
            raise RootNotFolder("expected a folder, got a file: %s" % show(real), path=real)
        except OSError as error:
            raise from_os_error(error, real)
        self.path = real
        self.exact = True
        Handles.__init__(self, fd)

    def _make(self, real: "bytes") -> "None":
        try:
            os.makedirs(real)
        except (FileExistsError, NotADirectoryError):
            raise RootNotFolder("expected a folder, got a file in %s" % show(real), path=real)
        except OSError as error:
            raise from_os_error(error, real)
        self.created = True

    def lstat(self, path: "bytes") -> "os.stat_result":
        """As ``Handles.lstat``; what is written in another way is not what was asked for, also where it would be found."""
        found = Handles.lstat(self, path)
        if not self.exact:
            for each in [path, *parents(path)] if path else []:
                above, name = self.locate(each)
                if os.fsdecode(name) not in os.listdir(above):
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), each)
        return found

    def check_place(self) -> "None":
        """Raise RootReplaced when another folder, or none, stands at the path now: two calls of the system."""
        try:
            now = os.stat(self.path)
        except OSError as error:
            raise RootReplaced(
                "the folder %s is no longer there: %s" % (show(self.path), error.strerror or error), path=self.path
            )
        held = os.fstat(self.fd)
        if (now.st_dev, now.st_ino) != (held.st_dev, held.st_ino):
            raise RootReplaced("another folder stands at %s now" % show(self.path), path=self.path)

    def make_all(self, path: "bytes", in_way: "Callable[[bytes], None]") -> "List[bytes]":
        """Make a folder and those above it; gives the ones that were missing, the topmost first. Raises OSError.

        ``in_way`` is asked to take away what is no folder and stands where one is to be.
        """
        missing = []
        while path:
            try:
                self.folder(path)
                break
            except FileNotFoundError:
                pass
            except NotADirectoryError:  # also of a link; what is wrong may be further up
                try:
                    in_way(path)
                except NotADirectoryError:
                    pass
                self.forget()
            missing.append(path)
            path = path.rpartition(b"/")[0]
        missing.reverse()
        for each in missing:
            self.make(each, 0o777)
        return missing

    def close(self) -> "None":
        """Close everything; the root cannot be used after."""
        self.forget()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
