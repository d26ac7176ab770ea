"""A daemon that the test itself plays, frame by frame, and both shims to play it for."""

import contextlib
import os
import pty
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile

import pytest

from afield.shim import build, install

WAIT = 20  # seconds until a test gives up on something that must come


class Connection:
    """One accepted connection: frames in and out, in the words of docs/development/control.md."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(WAIT)
        assert self.exactly(4) == b"AFR1"

    def exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.sock.recv(min(size - len(data), 1 << 20))
            if not part:
                raise EOFError(data)
            data += part
        return data

    def frame(self):
        kind, size = struct.unpack("<cI", self.exactly(5))
        return kind, self.exactly(size)

    def expect(self, kind):
        """The next frame that is not an acknowledgement; it must be of that kind."""
        while True:
            got, payload = self.frame()
            if got != b"a" or kind == b"a":
                assert got == kind, (got, payload[:100])
                return payload

    def request(self):
        fields = self.expect(b"R").split(b"\0")
        assert fields.pop() == b""
        names = ("protocol", "mode", "argv0", "project", "machine", "cwd", "flags", "rows", "cols", "term")
        found = {name: fields[i].decode("utf-8", "surrogateescape") for i, name in enumerate(names)}
        rest = fields[len(names) :]
        argc = int(rest[0])
        found["argv"] = rest[1 : 1 + argc]
        rest = rest[1 + argc :]
        assert int(rest[0]) == len(rest) - 1
        found["env"] = dict(entry.split(b"=", 1) for entry in rest[1:])
        return found

    def send(self, kind, payload=b""):
        self.sock.sendall(kind + struct.pack("<I", len(payload)) + payload)

    def start(self, run_id=b"R" * 16):
        self.send(b"S", run_id)
        self.credit(0)

    def credit(self, taken):
        self.send(b"c", struct.pack("<Q", taken + (1 << 20)))

    def exit(self, status=0):
        self.send(b"x", struct.pack("<i", status))

    def input(self):
        """All of stdin until its end, with credit as it is taken."""
        data = bytearray()
        while True:
            kind, payload = self.frame()
            if kind == b"I":
                return bytes(data)
            if kind == b"i":
                data += payload
                self.credit(len(data))

    def wait_end(self):
        """Until the other side is gone."""
        with contextlib.suppress(ConnectionResetError):
            while self.sock.recv(65536):
                pass

    def close(self):
        self.sock.close()


class Daemon:
    """Listens where shim.conf says."""

    def __init__(self, path):
        self.path = path
        self.connections = []
        self.listen()

    def listen(self):
        self.server = socket.socket(socket.AF_UNIX)
        self.server.settimeout(WAIT)
        self.server.bind(self.path)
        self.server.listen(8)

    def accept(self):
        connection = Connection(self.server.accept()[0])
        self.connections.append(connection)
        return connection

    def vanish(self):
        """Like kill -9: nobody listens, every connection ends."""
        self.close()
        os.unlink(self.path)

    def close(self):
        self.server.close()
        for connection in self.connections:
            connection.close()


class Shim:
    """An installed shim, and the programs started with it."""

    def __init__(self, kind, project, socket_path, fallback):
        self.kind, self.project, self.socket_path = kind, project, socket_path
        self.bin = os.path.join(project, ".afield", "bin")
        self.path = os.path.join(self.bin, "python")
        self.started = []
        self.configure(fallback)

    def configure(self, fallback, machine="gpu"):
        install.install(
            self.project, self.socket_path, machine, python_versions=["3.12"], cli_argv=fallback, client=self.kind
        )

    def popen(self, *argv, name="python", **options):
        for stream in ("stdin", "stdout", "stderr"):
            options.setdefault(stream, subprocess.PIPE)
        options.setdefault("cwd", self.project)
        process = subprocess.Popen([os.path.join(self.bin, name), *argv], **options)
        self.started.append(process)
        return process

    def in_terminal(self, *argv, rows=30, cols=100, set_modes=None):
        """Start it in a session of its own on a new pty; gives (process, master descriptor). ``set_modes`` gets its descriptor."""
        master, slave = pty.openpty()
        set_window(slave, rows, cols)
        if set_modes is not None:
            set_modes(slave)
        process = subprocess.Popen(
            [sys.executable, "-c", _SESSION, self.path, *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=self.project,
            start_new_session=True,
        )
        self.started.append(process)
        os.close(slave)
        return process, master


# Takes the terminal for its session and becomes the program.
_SESSION = "import fcntl,os,sys,termios; fcntl.ioctl(0,termios.TIOCSCTTY,0); os.execv(sys.argv[1],sys.argv[1:])"


def set_window(fd, rows, cols):
    import fcntl
    import termios

    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


@pytest.fixture(scope="session")
def c_client():
    path = build.c_client()
    if path is None:
        pytest.skip("no C compiler")
    return path


@pytest.fixture
def folder():
    """A short path: an address of a socket holds 107 bytes."""
    path = tempfile.mkdtemp(prefix="shim-")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def daemon(folder):
    found = Daemon(os.path.join(folder, "daemon.sock"))
    yield found
    found.close()


@pytest.fixture(params=["c", "python"])
def shim(request, folder):
    if request.param == "c":
        request.getfixturevalue("c_client")
    project = os.path.join(folder, "project")
    os.mkdir(project)
    # A fallback that says what it was given, so that a test sees it in the output.
    script = os.path.join(folder, "fallback")
    with open(script, "w", encoding="utf-8") as file:
        file.write('#!/bin/sh\nprintf "fallback"\nprintf " <%s>" "$@"\n')
    os.chmod(script, 0o755)
    found = Shim(request.param, project, os.path.join(folder, "daemon.sock"), [script])
    found.script = script
    yield found
    for process in found.started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
