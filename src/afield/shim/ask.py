"""What a run begins with: the connection to the daemon and the request, as bytes.

Rules: built-in modules only, and only those: everything else is imported while the daemon works on the request. Nothing is read from
environment variables except what is passed on to the program there. What must not go in: what comes after the request.
"""

import _socket
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

is_tty = posix.isatty
ADDRESS_LIMIT = 107 if sys.platform == "linux" else 103  # sun_path without its NUL (unix(7))


class RelayError(Exception):
    """The run cannot go on; the text is for people."""


def window_size() -> "tuple[int, int]":
    """Give rows and columns of the terminal, zeros without one."""
    for fd in (0, 1, 2):
        try:
            columns, rows = posix.get_terminal_size(fd)
        except OSError:
            continue
        return rows, columns
    return 0, 0


def terminal_flags() -> "str":
    """Give ``e`` when the terminal here does not echo, ``l`` when it puts no carriage return before a line feed."""
    import termios as t

    try:
        mode: list[Any] = t.tcgetattr(0)
    except t.error:
        return ""
    return ("" if mode[3] & t.ECHO else "e") + ("" if mode[1] & t.OPOST and mode[1] & t.ONLCR else "l")


def to_bytes(text: "str | bytes") -> "bytes":
    """Give a path, argument or name as the system sees it."""
    return text if isinstance(text, bytes) else text.encode(sys.getfilesystemencoding(), "surrogateescape")


def frame(kind: "bytes", payload: "bytes" = b"") -> "bytes":
    """Give one frame of the run protocol."""
    return kind + len(payload).to_bytes(4, "little") + payload


def dial(path: "str") -> "_socket.socket":
    """Connect to the daemon's socket; OSError when there is none, RelayError when it is somebody else's."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    handle = -1
    try:
        address: str | bytes = to_bytes(path)
        if len(address) > ADDRESS_LIMIT and sys.platform == "linux":
            folder, _, name = path.rpartition("/")
            handle = posix.open(folder, posix.O_PATH | posix.O_CLOEXEC)
            address = f"/proc/self/fd/{handle}/{name}"
        sock.connect(address)
        if sys.platform == "linux":
            owner = int.from_bytes(sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)[4:8], sys.byteorder)
            if owner != posix.geteuid():
                raise RelayError(
                    f"{path} belongs to user {owner}, expected {posix.geteuid()}\nhint: somebody else made that socket; remove it"
                )
    except BaseException:
        sock.close()
        raise
    finally:
        if handle >= 0:
            posix.close(handle)
    return sock


def working_folder() -> "bytes":
    """Give the working folder, or a name that it had when it is gone."""
    try:
        return posix.getcwdb()
    except OSError:
        name = posix.environ.get(b"PWD", b"")
        return name if name.startswith(b"/") else b"/"


def request(
    mode: "str",
    argv: "Sequence[str | bytes]",
    *,
    argv0: "str" = "",
    project: "str" = "",
    machine: "str" = "",
    cwd: "str | bytes | None" = None,
    env: "Mapping[bytes, bytes] | None" = None,
    barrier: "bool" = True,
    wait: "bool" = False,
    view: "bool" = False,
) -> "bytes":
    """Give the bytes that ask for a run; cwd and env are this process's own when they are not given.

    wait: a dial that is under way is waited for. view: a shell, too, sees the project at its path here.
    """
    env = posix.environ if env is None else env
    flags = "".join([str(fd) for fd in (0, 1, 2) if is_tty(fd)])
    flags += terminal_flags() if flags == "012" else ""
    flags += ("" if barrier else "n") + ("w" if wait else "") + ("v" if view else "")
    rows, columns = window_size()
    words: list[str | bytes] = ["1", mode, argv0, project, machine, working_folder() if cwd is None else cwd, flags]
    words += [str(rows), str(columns), env.get(b"TERM", b""), str(len(argv)), *argv, str(len(env))]
    fields = [to_bytes(word) for word in words] + [name + b"=" + value for name, value in env.items()]
    for field in fields:
        if b"\0" in field:
            raise RelayError(f"an argument has a NUL byte, which no program can be given: {field!r:.80}")
    return b"AFR1" + frame(b"R", b"\0".join(fields) + b"\0")
