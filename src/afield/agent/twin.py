"""Makes a private view of the place, in which folders stand at other paths; without root  [P].

In a child of the agent: a user namespace in which this user may mount, a mount namespace, the mounts, then a second user namespace
that gives the user his number back. What remains are namespaces that descriptors hold open: no process, no mount that others see, nothing
to clean up but folders that were made as mount points. Rules: what could fail is named by a step, for people; paths are of the place
unless said otherwise; this file acts on what ``ground`` and ``standin`` planned.
Sources: mount_namespaces(7), user_namespaces(7), pivot_root(2) and its notes about ``put_old``.
"""

import os
import stat

from afield.agent import namespaces, standin
from afield.agent.ground import Ground, UnsuitableError
from afield.agent.scripts import Commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence, Tuple

    Pairs = Sequence[Tuple[bytes, bytes]]

OLD_ROOT = b"/.afield-old-root"
# The root in memory waits here until it is the root; afterwards nothing of it is seen.
WAITING_ROOM = (b"/tmp", b"/var", b"/usr", b"/etc")
# Folders and links only: a few hundred bytes an entry, and room for what a program of root writes there by mistake.
IN_MEMORY = b"mode=755,size=16m"
STANDIN = b"/.afield"


class RefusedError(Exception):
    """The place does not allow a view; the text says what was refused."""


class Twin:
    """One view. ``folders`` and ``binds`` are (there, shown); ``env`` is what ``standin.describe`` told, or None."""

    def __init__(self, folders: "Pairs", env: "Optional[Dict[str, Any]]", binds: "Pairs" = ()) -> "None":
        self.folders = [pair for pair in folders if pair[0] != pair[1]]
        self.binds = [pair for pair in binds if pair[0] != pair[1]]
        self.env = env
        self.project, shown = folders[0] if folders else (b"", b"")
        self.at = shown + STANDIN if folders else b""
        self.ground = Ground()
        self.descriptors: "List[int]" = []
        self.commands: "Optional[Commands]" = None

    def plan(self) -> "None":
        """Look at everything first, as the user and in the place as it is. Raises UnsuitableError, OSError."""
        needed = [self.env["base"], self.env["real"]] if self.env is not None else []
        if self.env is not None:
            standin.check_name(self.at)
        for there, shown in [*self.folders, *self.binds]:
            if not os.path.exists(there):
                raise UnsuitableError("%s does not exist there" % os.fsdecode(there))
            folder = shown if os.path.isdir(there) else os.path.dirname(shown)
            self.ground.prepare(folder, [path for path in needed if not _moves_along(path, self.folders)])

    def build(self) -> "None":
        """Make the view and enter it; ``descriptors`` are user (twice) and mount namespace, or the mount namespace. Raises RefusedError."""
        user, group = os.getuid(), os.getgid()
        as_root = self.leave(user, group)
        if self.env is not None:
            standin.make_usual(self.env)
            standin.keep_out_of_git(self.project)
        try:
            self._mount()
        except OSError as error:
            raise RefusedError(str(error.args[-1] if error.args else error)) from None
        mounts = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        if as_root:
            self.descriptors = [mounts]
            return
        first = os.open("/proc/self/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        self.come_back(user, group)
        second = os.open("/proc/self/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        self.descriptors = [first, mounts, second]

    def come_back(self, user: "int", group: "int") -> "None":
        """Be the user again, in a second user namespace. Raises RefusedError."""
        _attempt("a second user namespace", namespaces.unshare, namespaces.NEW_USER)
        _attempt("the user's own number", namespaces.map_identity, user, 0, group, 0)

    def leave(self, user: "int", group: "int") -> "bool":
        """Get namespaces of our own; True: as a user who may do so without a user namespace. Raises RefusedError."""
        if user == 0:
            try:
                namespaces.unshare(namespaces.NEW_MOUNTS)
            except OSError:  # root of a container without CAP_SYS_ADMIN
                pass
            else:
                _attempt(
                    "mounts of its own", namespaces.mount, b"none", b"/", None, namespaces.RECURSIVE | namespaces.SLAVE
                )
                return True
        _attempt("a user namespace", namespaces.unshare, namespaces.NEW_USER | namespaces.NEW_MOUNTS)
        _attempt("root in a user namespace", namespaces.map_identity, 0, user, 0, group)
        _attempt("mounts of its own", namespaces.mount, b"none", b"/", None, namespaces.RECURSIVE | namespaces.SLAVE)
        return False

    # ---- mounts

    def _mount(self) -> "None":
        os.umask(0o022)
        self._ready()
        self._show()
        if self.env is not None:
            self._stand_in(self.env)
        self._finish()

    def show(self) -> "None":
        """Mount everything where this process is. Raises OSError."""
        self._ready()
        self._show()
        self._finish()

    def _ready(self) -> "None":
        ground = self.ground
        if b"/" in ground.replaced:
            replace_root(ground.replaced[b"/"])
        for folder in sorted(set(ground.replaced) - {b"/"}, key=len):
            replace(folder, ground.replaced[folder])
        for shown in sorted([*ground.in_memory, *(made[0] for made in ground.made)], key=len):
            if not os.path.isdir(shown):
                os.mkdir(shown, 0o755)

    def _finish(self) -> "None":
        ground = self.ground
        shown = {path for _, path in [*self.folders, *self.binds]}
        for folder in {*ground.in_memory, *ground.replaced} - shown:
            # What a program writes there would be lost: better that it is told.
            os.chmod(folder, 0o555)  # noqa: S103 it takes rights away
        if b"/" in ground.replaced:
            namespaces.unmount(OLD_ROOT)
            os.rmdir(OLD_ROOT)

    def _show(self) -> "None":
        # All sources before the first mount: one may lie where another folder will stand.
        found = [
            (os.open(there, os.O_PATH | os.O_CLOEXEC), there, shown) for there, shown in [*self.folders, *self.binds]
        ]
        for fd, _, shown in sorted(found, key=lambda item: len(item[2])):
            source = b"/proc/self/fd/%d" % fd
            prepare_target(shown, os.path.isdir(source))
            namespaces.bind(source, shown)
        for fd, _, _ in found:
            os.close(fd)

    def _stand_in(self, env: "Dict[str, Any]") -> "None":
        """Put the environment up at ``.afield`` of the first folder."""
        steps = standin.layout(env, self.at) + standin.git_steps(self.at)
        opened = {step[1]: os.open(step[1], os.O_PATH | os.O_CLOEXEC) for step in steps if step[0] in ("bind", "show")}
        bin_folder = os.open(env["bin"], os.O_PATH | os.O_CLOEXEC)
        prepare_target(self.at, True)
        namespaces.mount(b"afield", self.at, b"tmpfs", namespaces.NO_SUID | namespaces.NO_DEVICES, IN_MEMORY)
        for step in steps:
            _take(step, opened)
        if standin.has_commands(env):
            # By its descriptor: the project's folder may stand over the environment's own path now.
            self.commands = Commands(env["bin"], self.at + b"/bin")
            folder = os.open(self.at + b"/bin", os.O_RDONLY | os.O_CLOEXEC)
            self.commands.fill(folder)
            os.close(folder)
        for fd in (bin_folder, *opened.values()):
            os.close(fd)

    def check(self) -> "Dict[str, bytes]":
        """Start the interpreter in the view, and give where it believes to be. Raises RefusedError when that is somewhere else."""
        return found_itself(self.at)


def found_itself(at: "bytes") -> "Dict[str, bytes]":
    """Start the interpreter of the environment at ``at``, and give where it believes to be. Raises RefusedError when that is somewhere else."""
    python = at + b"/bin/python"
    code = "import os,sys; os.write(1, b'\\0'.join(map(os.fsencode, (sys.executable, sys.prefix, sys.base_prefix))))"
    told = output_of([python, b"-I", b"-c", code.encode("ascii")])
    words = told.split(b"\0")
    if words != [python, at, at + b"/base"]:
        raise RefusedError("the interpreter does not find itself there: %.300r" % (told,))
    return {"executable": words[0], "prefix": words[1], "base": words[2]}


def show_more(pairs: "Pairs", ground: "Ground") -> "None":
    """Show files and folders in the view that this process has entered; ``ground`` keeps what it makes. Raises UnsuitableError, OSError."""
    for there, shown in pairs:
        if not os.path.exists(there):
            raise UnsuitableError("%s does not exist there" % os.fsdecode(there))
        ground.prepare(shown if os.path.isdir(there) else os.path.dirname(shown))
    twin = Twin((), None, pairs)
    twin.ground = ground
    twin.show()


def _moves_along(path: "bytes", folders: "Pairs") -> "bool":
    return any(path.startswith(there + b"/") for there, _ in folders)


def _attempt(what: "str", call: "Any", *arguments: "Any") -> "None":
    try:
        call(*arguments)
    except OSError as error:
        raise RefusedError("%s: %s%s" % (what, os.strerror(error.errno or 0), why_not(error.errno or 0))) from None


SWITCHES = (
    ("kernel/unprivileged_userns_clone", "0"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1"),
    ("user/max_user_namespaces", "0"),
    ("user/max_mnt_namespaces", "0"),
)


def why_not(number: "int", folder: "str" = "/proc/sys") -> "str":
    """Name the switch of the system that forbids user namespaces, as far as it can be seen (proc(5))."""
    for name, bad in SWITCHES:
        try:
            with open(os.path.join(folder, name), "rb") as file:
                value = file.read(32).strip().decode("ascii", "replace")
        except OSError:
            continue
        if value == bad:
            return " (%s = %s)" % (name.replace("/", "."), value)
    if number == 1:
        return " (a container's seccomp filter or a chroot does that)"
    return ""


def prepare_target(shown: "bytes", is_folder: "bool") -> "None":
    """Make what a mount needs below it. Raises OSError."""
    if os.path.isdir(shown) or (not is_folder and os.path.exists(shown)):
        return
    if is_folder:
        os.makedirs(shown)
        return
    os.close(os.open(shown, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))


def _take(step: "Any", opened: "Dict[bytes, int]") -> "None":
    kind, what = step[0], step[1]
    if kind == "folder":
        os.mkdir(what)
    elif kind == "link":
        os.symlink(step[2], what)
    elif kind == "text":
        with open(what, "wb") as file:
            file.write(step[2])
    else:
        source = b"/proc/self/fd/%d" % opened[what]
        prepare_target(step[2], os.path.isdir(source))
        namespaces.bind(source, step[2])
        if kind == "show":
            namespaces.read_only(step[2])


def replace_root(leads: "Dict[bytes, bytes]") -> "None":
    """Make a root in memory in which every entry of the old one stands. Raises OSError."""
    room = next(path for path in WAITING_ROOM if os.path.isdir(path) and not os.path.islink(path))
    namespaces.mount(b"afield", room, b"tmpfs", namespaces.NO_SUID | namespaces.NO_DEVICES, IN_MEMORY)
    os.mkdir(room + OLD_ROOT, 0o700)
    namespaces.change_root(room, room + OLD_ROOT)
    os.chdir(b"/")
    show_again(OLD_ROOT, b"/", {name: OLD_ROOT + path for name, path in leads.items()}, without=OLD_ROOT[1:])


def replace(folder: "bytes", leads: "Dict[bytes, bytes]") -> "None":
    """Put a folder in memory over a real one, with every entry of it. Raises OSError."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    below = {name: os.open(path, os.O_PATH | os.O_CLOEXEC) for name, path in leads.items()}
    namespaces.mount(b"afield", folder, b"tmpfs", namespaces.NO_SUID | namespaces.NO_DEVICES, IN_MEMORY)
    show_again(b"/proc/self/fd/%d" % fd, folder, {name: b"/proc/self/fd/%d" % item for name, item in below.items()})
    for item in (fd, *below.values()):
        os.close(item)


def show_again(source: "bytes", target: "bytes", leads: "Dict[bytes, bytes]", without: "bytes" = b"") -> "None":
    """Show each entry of source at target; leads: what stands in for a symlink. An entry that cannot be shown stays empty."""
    for name in os.listdir(source + b"/."):
        if name == without:
            continue
        real, shown = source + b"/" + name, os.path.join(target, name)
        mode = os.lstat(real).st_mode
        if stat.S_ISLNK(mode) and name not in leads:
            os.symlink(os.readlink(real), shown)
            continue
        is_folder = name in leads or stat.S_ISDIR(mode)
        try:
            prepare_target(shown, is_folder)
            namespaces.bind(leads.get(name, real), shown)
        except OSError:  # EACCES, or an entry that went meanwhile
            pass


def output_of(argv: "List[bytes]", folder: "bytes" = b"/") -> "bytes":
    """Give all output of a program, 64 KiB at most. Raises RefusedError when it does not end well."""
    inward, outward = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(outward, 1)
            os.dup2(outward, 2)
            os.chdir(folder)
            os.execve(argv[0], argv, dict(os.environb))
        except OSError as error:
            os.write(outward, str(error).encode("utf-8", "replace"))
        finally:
            os._exit(127)
    os.close(outward)
    told = b""
    while len(told) < 65536:
        data = os.read(inward, 4096)
        if not data:
            break
        told += data
    os.close(inward)
    if os.waitpid(pid, 0)[1] != 0:
        raise RefusedError("the interpreter does not start there: %s" % told.decode("utf-8", "replace")[-300:])
    return told
