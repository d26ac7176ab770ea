"""Start a program: by vfork where that simply works, else fork, set the child up, execute it, and learn of a failure  [P].

fork and exec by hand because ``subprocess`` costs 12 to 31 ms to import and cannot make a terminal the controlling one.
What fails in the child (folder, program) comes back through a close-on-exec pipe as a stage and an errno, so the agent
never waits for it. The child starts with default signals, an empty signal mask, its own session, and no descriptor but 0, 1, 2.
No streams, no journal in here.
"""

import errno
import os

from afield.agent import vfork
from afield.agent.signals import c_signal, reset_signals
from afield.errors import (
    AfieldError,
    CommandNotExecutable,
    CommandNotFound,
    NoSuchFolder,
    NoSuchView,
    NotAllowed,
    ProtocolError,
    SpawnFailed,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence, Tuple

DEFAULT_PATH = b"/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
# What bash, dash and login(1) agree on when a user has no shell.
DEFAULT_SHELL = b"/bin/sh"
# exec reports ENOENT for a script whose interpreter is missing, too; it never reports EEXIST.
NO_INTERPRETER = errno.EEXIST


class Request:
    """What to start, checked. Made from the read header of a ``process`` stream. Raises ProtocolError."""

    __slots__ = ("argv", "cwd", "env", "id", "label", "login", "mkdir", "path", "tty", "unset", "view")

    def __init__(self, header: "Dict[str, Any]") -> "None":
        self.argv: "List[bytes]" = [_no_nul(item, "argv") for item in header["argv"]]
        self.cwd: "Optional[bytes]" = header["cwd"]
        _no_nul(self.cwd or b"", "cwd")
        # Names are latin-1 text on the wire because map keys are text; the system knows bytes.
        self.env: "Dict[bytes, bytes]" = {_latin(name): _no_nul(value, "env") for name, value in header["env"].items()}
        self.unset: "List[bytes]" = [_latin(name) for name in header["unset"]]
        self.tty: "Optional[Dict[str, Any]]" = header["tty"]
        self.login: "bool" = header["login"]
        self.mkdir: "bool" = header["mkdir"]
        self.path: "List[bytes]" = [_no_nul(item, "path") for item in header["path"]]
        self.view: "Any" = None  # views.View; set by who knows the views
        self.label: "str" = header["label"]
        self.id: "bytes" = header["id"]
        if not self.argv and not self.login:
            raise ProtocolError("argv: expected a program, got nothing")


def _no_nul(value: "bytes", name: "str") -> "bytes":
    if b"\0" in value:
        raise ProtocolError("%s: expected bytes without NUL, got %.80r" % (name, value))
    return value


def _latin(name: "Any") -> "bytes":
    try:
        data: "bytes" = name.encode("latin-1")
    except (AttributeError, UnicodeError):
        raise ProtocolError("environment: expected a latin-1 name, got %.80r" % (name,)) from None
    if not data or b"=" in data or b"\0" in data:
        raise ProtocolError("environment: not a name: %.80r" % (name,))
    return data


def environment(request: "Request") -> "Dict[bytes, bytes]":
    """Give the child's environment: the login's, without ``unset``, with ``env``, ``path`` before PATH, TERM of a terminal."""
    env = dict(os.environb)
    for name in request.unset:
        env.pop(name, None)
    if request.tty is not None and isinstance(request.tty.get("term"), str):
        env[b"TERM"] = request.tty["term"].encode("utf-8", "replace").replace(b"\0", b"")
    env.update(request.env)
    if request.path:
        env[b"PATH"] = b":".join([*request.path, env.get(b"PATH", DEFAULT_PATH)])
    return env


def home() -> "bytes":
    """Give the home folder: HOME, else the user database, else ``/``."""
    found = os.environb.get(b"HOME")
    if found:
        return found
    try:
        import pwd

        return os.fsencode(pwd.getpwuid(os.getuid()).pw_dir)
    except (ImportError, KeyError):
        return b"/"


def shell() -> "bytes":
    """Give the login shell: the user database, else SHELL, else ``/bin/sh``."""
    try:
        import pwd

        found = os.fsencode(pwd.getpwuid(os.getuid()).pw_shell)
    except (ImportError, KeyError):
        found = b""
    return found or os.environb.get(b"SHELL", b"") or DEFAULT_SHELL


def expand(path: "Optional[bytes]") -> "bytes":
    """Make an absolute path: none is home, ``~/x`` and ``x`` are below home."""
    if path is None or path in (b"", b"~"):
        return home()
    if path.startswith(b"~/"):
        return os.path.join(home(), path[2:])
    return os.path.join(home(), path)


def candidates(program: "bytes", path: "bytes") -> "List[bytes]":
    """Give the files that a name may mean, in order (POSIX: execvp)."""
    if b"/" in program:
        return [program]
    return [os.path.join(folder or b".", program) for folder in path.split(b":")]


def command(request: "Request") -> "Tuple[bytes, List[bytes]]":
    """Give the program and its arguments, argument 0 included; a login shell's begins with a dash."""
    if not request.login:
        return request.argv[0], request.argv
    program = shell()
    name = b"-" + os.path.basename(program)
    if not request.argv:
        return program, [name]
    return program, [name, b"-c", b"exec " + b" ".join(quote(item) for item in request.argv)]


def quote(item: "bytes") -> "bytes":
    """Quote one argument for any shell: single quotes, and what they cannot hold outside of them with a backslash.

    sh, csh and fish disagree about backslash and ``!`` inside single quotes, and agree outside.
    """
    out = b"'"
    for index in range(len(item)):
        char = item[index : index + 1]
        out += b"'\\" + char + b"'" if char in b"'\\!" else char
    return out + b"'"


def error_for(report: "bytes", request: "Request") -> "AfieldError":
    """Turn the child's report (``stage errno``) into the error that the user sees."""
    stage, _, digits = report.partition(b" ")
    number = int(digits) if digits.isdigit() else 0
    why = os.strerror(number) if number else report.decode("ascii", "replace")
    if stage == b"cwd":
        folder = os.fsdecode(expand(request.cwd)).encode("utf-8", "replace").decode("utf-8")
        if number in (errno.ENOENT, errno.ENOTDIR):
            return NoSuchFolder("the working folder %s does not exist there (%s)" % (folder, why))
        return NotAllowed("the working folder %s cannot be entered there: %s" % (folder, why))
    if stage == b"view":
        return NoSuchView("the view there is not what it was (%s)" % why, hint="ask for it again")
    if stage != b"exec":
        return SpawnFailed("the program could not be started there: %s" % why)
    program = command(request)[0].decode("utf-8", "replace")
    if number == NO_INTERPRETER:
        return CommandNotExecutable("%s: the interpreter named in its first line does not exist there" % program)
    if number in (errno.ENOENT, errno.ENOTDIR):
        return CommandNotFound("%s: no such command there" % program)
    if number in (errno.EACCES, errno.ENOEXEC, errno.EISDIR, errno.ELOOP):
        return CommandNotExecutable("%s: cannot be executed there: %s" % (program, why))
    if number == errno.E2BIG:
        return CommandNotExecutable(
            "%s: its arguments and environment are more than the system there takes" % program,
            hint="pass a long list through a file or standard input",
        )
    return SpawnFailed("%s: could not be started there: %s" % (program, why))


def fork_exec(request: "Request", stdio: "Sequence[int]", *, controlling: "bool") -> "Tuple[int, int]":
    """Start it with these three descriptors as 0, 1, 2; give pid and the pipe that ends (success) or tells why not.

    The pipe is -1 when the program runs already. Raises SpawnFailed when the system cannot fork. The pipe is non-blocking;
    ``error_for`` reads what it tells.
    """
    env = environment(request)
    program, argv = command(request)
    folder = expand(request.cwd)
    env[b"PWD"] = folder  # the agent's own would be a lie; a shell checks it before it believes it
    # An environment on the disk needs nothing to be entered; one that is not what it was is told by the child.
    as_it_is = request.view is None or (request.view.on_disk and request.view.is_whole())
    if as_it_is and not controlling:
        quick = vfork.fork_exec(candidates(program, env.get(b"PATH", DEFAULT_PATH)), argv, env, folder, stdio)
        if quick is not None:
            return quick, -1
    told, tell = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(told)
        os.close(tell)
        raise SpawnFailed(
            "no process could be started there: %s" % (os.strerror(error.errno or 0)),
            hint="the limit of processes (ulimit -u) or the memory there is used up",
        ) from None
    if pid == 0:
        _child(tell, stdio, controlling, folder, request, program, argv, env)
    os.close(tell)
    os.set_blocking(told, False)
    return pid, told


def _child(
    tell: "int",
    stdio: "Sequence[int]",
    controlling: "bool",
    folder: "bytes",
    request: "Request",
    program: "bytes",
    argv: "List[bytes]",
    env: "Dict[bytes, bytes]",
) -> "None":
    """Become the program or report and exit; never returns."""
    stage = b"setup"
    try:
        c_signal.set_wakeup_fd(-1)
        reset_signals()
        os.setsid()
        tell = _wire_up(tell, stdio)
        if controlling:
            import fcntl
            import termios

            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        if request.view is not None:
            stage = b"view"
            request.view.enter()
        stage = b"cwd"
        if request.mkdir:
            os.makedirs(folder, exist_ok=True)
        os.chdir(folder)
        stage = b"exec"
        _execute(program, argv, env)
    except OSError as error:
        _report(tell, stage, error.errno or 0)
    except BaseException:
        _report(tell, b"setup", 0)
    os._exit(127)


def _report(tell: "int", stage: "bytes", number: "int") -> "None":
    try:
        os.write(tell, stage + b" %d" % number)
    except OSError:
        pass
    os._exit(127)


def _wire_up(tell: "int", stdio: "Sequence[int]") -> "int":
    """Put stdio at 0, 1, 2, inheritable; give the new number of the report pipe."""
    import fcntl

    # All above 2 first: one of them may be the target of another.
    tell = fcntl.fcntl(tell, fcntl.F_DUPFD_CLOEXEC, 3)
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in stdio]
    for target, fd in enumerate(high):
        os.dup2(fd, target)
    return tell


def _execute(program: "bytes", argv: "List[bytes]", env: "Dict[bytes, bytes]") -> "None":
    """Try each file that the name may mean. Raises OSError: the last reason that is not "not here"."""
    reason = OSError(errno.ENOENT, "")
    for path in candidates(program, env.get(b"PATH", DEFAULT_PATH)):
        try:
            os.execve(path, argv, env)
        except OSError as error:
            if error.errno == errno.ENOEXEC:  # a script without a first line: POSIX gives it to sh
                os.execve(DEFAULT_SHELL, [DEFAULT_SHELL, path, *argv[1:]], env)
            elif error.errno == errno.ENOENT and os.path.exists(path):
                reason = OSError(NO_INTERPRETER, "")
            elif error.errno not in (errno.ENOENT, errno.ENOTDIR):
                reason = error
    raise reason
