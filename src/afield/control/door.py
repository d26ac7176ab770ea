"""Where ssh's questions arrive: a folder with a socket and the helper program that ssh calls, made before anything slow is imported.

What must not go in: asyncio, and who answers (askpass.py).
"""

from __future__ import annotations

import _socket
import os
import sys

SOCKET = "AFIELD_ASKPASS_SOCKET"
TOKEN = "AFIELD_ASKPASS_TOKEN"  # noqa: S105 the name of a variable
BACKLOG = 8

# Written out rather than run from the package: an installed file has no executable bit.
_HELPER = """\
import os, socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect(os.environ["AFIELD_ASKPASS_SOCKET"])
kind = os.environ.get("SSH_ASKPASS_PROMPT", "")
words = [os.environ["AFIELD_ASKPASS_TOKEN"], kind, " ".join(sys.argv[1:])]
link.sendall(b"\\0".join(os.fsencode(word) for word in words))
link.shutdown(socket.SHUT_WR)
answer = b""
while True:
    piece = link.recv(65536)
    if not piece:
        break
    answer += piece
if not answer.startswith(b"+"):
    sys.exit(1)
os.write(1, answer[1:] + b"\\n")
"""


class Door:
    """``folder`` holds everything; ``token`` is what a question must show; ``sock`` listens already."""

    def __init__(self, parent: str | None = None) -> None:
        self.folder = _make_folder(parent)
        self.token = os.urandom(16).hex()
        self.path = os.path.join(self.folder, "socket")
        self.helper = os.path.join(self.folder, "ask")
        self._write_helper()
        self.sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self.sock.bind(self.path)
        os.chmod(self.path, 0o600)
        self.sock.listen(BACKLOG)

    @classmethod
    def taken_over(cls, folder: str, token: str, sock: int) -> Door:
        """Give the door that another process made; ``sock`` is its descriptor."""
        door = cls.__new__(cls)
        door.folder, door.token = folder, token
        door.path, door.helper = os.path.join(folder, "socket"), os.path.join(folder, "ask")
        door.sock = _socket.socket(fileno=sock)
        return door

    def env(self) -> dict[str, str]:
        """Give what ssh needs in its environment. DISPLAY: an ssh before 8.4 calls the program only when it is set."""
        env = {"SSH_ASKPASS": self.helper, "SSH_ASKPASS_REQUIRE": "force", SOCKET: self.path, TOKEN: self.token}
        if "DISPLAY" not in os.environ:
            env["DISPLAY"] = "afield"
        return env

    def close(self) -> None:
        """Close and remove it; for a door that nobody serves."""
        self.sock.close()
        for path in (self.path, self.helper, self.helper + ".py"):
            os.unlink(path)
        os.rmdir(self.folder)

    def _write_helper(self) -> None:
        program = self.helper + ".py"
        quoted = [word.replace("'", "'\\''") for word in (sys.executable, program)]
        for path, text, mode in (
            (program, _HELPER, 0o600),
            (self.helper, f"#!/bin/sh\nexec '{quoted[0]}' -I -S '{quoted[1]}' \"$@\"\n", 0o700),
        ):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            try:
                os.write(fd, os.fsencode(text))
            finally:
                os.close(fd)


def _make_folder(parent: str | None) -> str:
    """Make a new 0700 folder with an unguessable name (eight characters: the socket's path has a limit)."""
    if parent is None:
        from tempfile import gettempdir

        parent = gettempdir()
    while True:
        folder = os.path.join(parent, f"afield-ask-{os.urandom(4).hex()}")
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            continue
        return folder
