"""The state folder of a root, ``.afield``: identity, staging, history  [P].

Rules: it is on the root's own file system (so that a rename puts a file into place) and open by handle, opened
without following a symlink when it lies at its usual place. Staging belongs to one worker and is locked by it; what
dead workers left there is removed at the next open, because staging only ever holds copies; only unfinished large files stay, for the next try (``partials.py``).
"""

import fcntl
import os

from afield.errors import FilesError, RootReplaced, WrongIdentity
from afield.files import partials
from afield.files.faults import from_os_error, show
from afield.files.handles import FOLDER, open_folder
from afield.files.roots import Root, expand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

NAME = b".afield"


class State:
    """The open state folder: ``fd``, ``path``; ``staging`` is the handle of this worker's own staging folder."""

    __slots__ = ("begun", "fd", "identity", "identity_new", "path", "stages", "staging", "staging_name", "staging_path")

    def __init__(self, root: "Root", where: "Optional[bytes]" = None, known: "bool" = False) -> "None":
        """Open or make the state folder of ``root``; one that is ``known`` must have its identity already.

        Raises RootReplaced (nothing was made then), FilesError of the kind the system's refusal means.
        """
        self.fd = self.stages = self.staging = -1
        self.identity = b""
        self.identity_new = False
        self.path = path_of(root, where)
        if known and not is_marked(root, where):
            raise RootReplaced(
                "the folder %s is not the one that was synced before: it has no .afield/identity" % show(root.path),
                path=root.path,
            )
        try:
            self.fd = self._open(root, where)
            if os.fstat(self.fd).st_dev != root.device:
                raise FilesError(
                    "the state folder %s must be on the file system of the root" % show(self.path),
                    hint="leave it at its usual place, .afield in the root",
                )
            self._keep_out_of_git()
            self._make_staging()
        except OSError as error:
            self.close()
            raise from_os_error(error, self.path)
        except FilesError:
            self.close()
            raise

    def _open(self, root: "Root", where: "Optional[bytes]") -> "int":
        if where:
            os.makedirs(self.path, 0o700, exist_ok=True)
            return os.open(self.path, FOLDER)
        try:
            os.mkdir(NAME, 0o700, dir_fd=root.fd)
        except FileExistsError:
            pass
        return open_folder(NAME, root.fd)

    def _keep_out_of_git(self) -> "None":
        try:
            fd = os.open(b".gitignore", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=self.fd)
        except FileExistsError:
            return
        os.write(fd, b"*\n")
        os.close(fd)

    def _make_staging(self) -> "None":
        self.stages = make_folder(b"staging", self.fd)
        self._sweep()
        self.begun = partials.prune(self.stages)
        self.staging_name = b"%d-%s" % (os.getpid(), os.urandom(4).hex().encode())
        self.staging = make_folder(self.staging_name, self.stages)
        self.staging_path = self.path + b"/staging/" + self.staging_name
        fcntl.flock(self.staging, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(self.staging).st_nlink == 0:
            # Another worker's sweep came between making and locking it.
            os.close(self.staging)
            self._make_staging()

    def _sweep(self) -> "None":
        for text in os.listdir(self.stages):
            name = os.fsencode(text)
            try:
                fd = open_folder(name, self.stages)
            except NotADirectoryError:
                if not name.endswith(partials.END):
                    os.unlink(name, dir_fd=self.stages)
                continue
            except OSError:
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                partials.rescue(fd, self.stages)
                remove_below(fd)
                os.rmdir(name, dir_fd=self.stages)
            except OSError:
                pass  # a living worker's, or gone by another sweep
            finally:
                os.close(fd)

    def take_identity(self, wanted: "Optional[bytes]", take_over: "bool" = False) -> "bytes":
        """Read the identity, or write ``wanted`` (None: a new random one), with ``take_over`` over another one.

        Raises WrongIdentity, FilesError.
        """
        try:
            found = self.read_identity()
            if found is None or (take_over and wanted is not None and found != wanted):
                found = wanted or os.urandom(16).hex().encode()
                self._write_identity(found)
                self.identity_new = True
        except OSError as error:
            raise from_os_error(error, self.path + b"/identity")
        if wanted is not None and found != wanted:
            raise WrongIdentity(
                "the folder belongs to another project: expected identity %s, got %s" % (show(wanted), show(found)),
                hint="choose another folder in afield.toml, or if this one is right: afield up --take-over "
                "(both are compared as at a first sync, nothing is removed)",
            )
        self.identity = found
        return found

    def read_identity(self) -> "Optional[bytes]":
        """Give what the file says, None without one. Raises OSError."""
        try:
            fd = os.open(b"identity", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=self.fd)
        except FileNotFoundError:
            return None
        try:
            return os.read(fd, 256).strip() or None
        finally:
            os.close(fd)

    def _write_identity(self, value: "bytes") -> "None":
        fd = os.open(b"identity", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=self.staging)
        try:
            os.write(fd, value + b"\n")
        finally:
            os.close(fd)
        os.rename(b"identity", b"identity", src_dir_fd=self.staging, dst_dir_fd=self.fd)

    def close(self) -> "None":
        """Remove this worker's staging folder and close the handles."""
        if self.staging >= 0:
            try:
                remove_below(self.staging)
                os.rmdir(self.staging_name, dir_fd=self.stages)
            except OSError:
                pass  # the next open sweeps
        for fd in (self.staging, self.stages, self.fd):
            if fd >= 0:
                os.close(fd)
        self.fd = self.stages = self.staging = -1


def path_of(root: "Root", where: "Optional[bytes]" = None) -> "bytes":
    """Give where the state folder of a root is, or would be."""
    return expand(where) if where else root.path + b"/" + NAME


def is_marked(root: "Root", where: "Optional[bytes]" = None) -> "bool":
    """Say whether the root has an identity: whether it was ever synced."""
    return os.path.lexists(path_of(root, where) + b"/identity")


def make_folder(name: "bytes", above: "int") -> "int":
    """Open the private folder ``name``, made when missing. Raises OSError."""
    try:
        os.mkdir(name, 0o700, dir_fd=above)
    except FileExistsError:
        pass
    return open_folder(name, above)


def remove_below(fd: "int") -> "None":
    """Remove all that is in the folder handle ``fd``, never through a symlink. Raises OSError."""
    for text in os.listdir(fd):
        name = os.fsencode(text)
        try:
            os.unlink(name, dir_fd=fd)
        except (IsADirectoryError, PermissionError):
            inner = open_folder(name, fd)
            try:
                remove_below(inner)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=fd)
