"""The entry of the Python shim: finds the project that it lies in, relays, or becomes the fallback.

Rules: built-in modules only, and few before the request is sent: the rest is imported while the daemon works; the project is found from where the script lies, the rest stands in PROJECT/.afield/shim.conf.
What must not go in: the relay itself (client.py).
"""

import posix
import sys

from .ask import RelayError, dial, request

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal

_LINKS_LIMIT = 40  # as many as the kernel follows (path_resolution(7))


def _real(path: "str") -> "str":
    """Give the path of the script with its last links and a relative beginning resolved; posixpath would cost a start of its own."""
    if not path.startswith("/"):
        path = posix.getcwd() + "/" + path
    for _ in range(_LINKS_LIMIT):
        try:
            target = posix.readlink(path)
        except OSError:
            break
        path = target if target.startswith("/") else path.rpartition("/")[0] + "/" + target
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _exists(path: "str") -> "bool":
    try:
        posix.stat(path)
    except OSError:
        return False
    return True


def find_project(folder: "str") -> "str":
    """Give the project of a shim's folder: two up from ``.afield/bin``, or further for a copy in a venv inside it."""
    project = above = folder.rpartition("/")[0].rpartition("/")[0]
    while above and not _exists(above + "/.afield/shim.conf"):
        above = above.rpartition("/")[0]
    return above or project


def find_venv(script: "str", project: "str") -> "str":
    """Give the name in a virtual environment that the shim was started by, through its links; empty without one (PEP 405)."""
    path = script if script.startswith("/") else posix.getcwd() + "/" + script
    for _ in range(_LINKS_LIMIT):
        folder, _, name = path.rpartition("/")
        real = _real_folder(folder)
        parent = real.rpartition("/")[0]
        if parent == project + "/.afield":
            return ""
        if _exists(parent + "/pyvenv.cfg"):
            return real + "/" + name
        try:
            target = posix.readlink(path)
        except OSError:
            return ""
        path = target if target.startswith("/") else real + "/" + target
    return ""


def _real_folder(folder: "str") -> "str":
    """Give a folder with all its links resolved; the system knows it by its open descriptor, Linux only."""
    try:
        fd = posix.open(folder or "/", posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            return posix.readlink(f"/proc/self/fd/{fd}")
        finally:
            posix.close(fd)
    except OSError:
        return _real(folder)


def read_conf(project: "str") -> "dict[str, str]":
    """Give the lines ``name=value`` of the project's shim.conf. Raises RelayError when there is none."""
    path = project + "/.afield/shim.conf"
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError as error:
        raise RelayError(f"cannot read {path}: {error.strerror}\nhint: run `afield up` in {project or '/'}") from None
    text = posix.read(fd, 16384).decode(sys.getfilesystemencoding(), "surrogateescape")
    posix.close(fd)
    conf = dict(line.split("=", 1) for line in text.split("\n") if "=" in line)
    if "socket" not in conf:
        raise RelayError(f"{path} names no socket\nhint: run `afield up` in {project or '/'}")
    return conf


def _fall_back(fallback: "list[str]", words: "list[str]", project: "str", why: "object") -> "int":
    if not fallback:
        raise RelayError(f"{why}, and shim.conf names no fallback\nhint: run `afield up` in {project or '/'}")
    # This interpreter ignores SIGPIPE (signal module); the next program shall not.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        posix.execv(fallback[0], [*fallback, "shim-run", *words])
    except OSError as error:
        raise RelayError(
            f"cannot start {fallback[0]}: {error.strerror}\nhint: run `afield up` in {project or '/'}"
        ) from None


def _run(script: "str", argv: "list[str]") -> "int":
    path = _real(script)
    folder, _, name = path.rpartition("/")
    project = find_project(folder)
    conf = read_conf(project)
    if venv := find_venv(script, project):
        path = venv
    elif name.startswith("pip"):
        path, argv = folder + "/python", ["-m", "pip", *argv]
    machine = conf.get("machine", "")
    fallback = [word for word in conf.get("fallback", "").split("\t") if word]
    start = [*fallback, "daemon", "start"] if fallback else []
    asked = request("python", argv, argv0=path, project=project, machine=machine)
    try:
        sock = dial(conf["socket"])
        sock.sendall(asked)
    except OSError as why:
        return _fall_back(fallback, [path, project, machine, *argv], project, f"no daemon: {why.strerror}")
    from .client import NotReadyError, carry

    try:
        return carry(sock, conf["socket"], project=project, machine=machine, daemon_start=start)
    except NotReadyError as why:
        return _fall_back(fallback, [path, project, machine, *argv], project, why)


def main() -> "None":
    """Run as the script in ``.afield/bin``; does not return."""
    for fd in (0, 1, 2):
        # A closed 0, 1 or 2 would be taken by the socket, and then be read or written as a stream.
        try:
            posix.fstat(fd)
        except OSError:
            posix.open("/dev/null", posix.O_WRONLY if fd else posix.O_RDONLY)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        status = _run(sys.argv[0], sys.argv[1:])
    except RelayError as error:
        posix.write(2, f"afield: {error}\n".encode(sys.getfilesystemencoding(), "surrogateescape"))
        status = 255
    if status < 0:
        from .ends import die

        die(-status)
    posix._exit(status)  # nothing is buffered, and taking the interpreter down costs a millisecond
