"""Accepts connections on the unix socket and tells by the first byte who is there: a face (``{``) or a run client (``A``).

Rules: only our own user is let in (SO_PEERCRED, unix(7)); nobody is waited for: a client that says nothing costs one
handle; the socket appears at its path only when it listens. What must not go in: what either protocol says.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING

from afield.control import paths
from afield.daemon.channel import Channel
from afield.errors import DaemonError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

# One burst of a parallel make or test run; the kernel cuts it at net.core.somaxconn.
BACKLOG = 256
# Connections taken per wake-up, so that a flood of them does not hold up what is already connected.
_BATCH = 32


def bind(path: str) -> socket.socket:
    """Give a listening 0600 socket at path; whatever stood there is replaced in one step. The lock must be held.

    Raises DaemonError.
    """
    temporary = f"{path}.{os.getpid()}"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old = os.umask(0o177)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        with paths.socket_address(temporary) as address:
            listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
        os.rename(temporary, path)
    except OSError as error:
        listener.close()
        raise DaemonError(f"the socket {path} cannot be made: {error.strerror}") from None
    finally:
        os.umask(old)
    return listener


class Server:
    """Serves a listening socket. ``on_face(channel, data)`` and ``on_run(channel, data)`` get the first bytes."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        *,
        on_face: Callable[[Channel, bytes], None],
        on_run: Callable[[Channel, bytes], None],
        log: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._on_face = on_face
        self._on_run = on_run
        self._log = log
        self._channels: set[Channel] = set()
        loop.add_reader(listener.fileno(), self._accept)

    def close(self) -> None:
        """Stop listening and cut all connections; run clients take that as a daemon that vanished and come again."""
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        for channel in list(self._channels):
            channel.close()
        self._channels.clear()

    def _accept(self) -> None:
        for _ in range(_BATCH):
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._accept_failed(error)
                return
            self._admit(sock)

    def _accept_failed(self, error: OSError) -> None:
        if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
            raise error
        self._log(f"no more connections for a second: {error.strerror}")
        # The listener stays readable, so without a pause this would turn in circles.
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(1.0, self._again)

    def _again(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _admit(self, sock: socket.socket) -> None:
        uid = peer_uid(sock)
        if uid != os.getuid():
            self._log(f"user {uid} was refused")
            sock.close()
            return
        sock.setblocking(False)
        channel = Channel(self._loop, sock)
        self._channels.add(channel)
        channel.on_closed = lambda: self._channels.discard(channel)
        channel.on_data = lambda data: self._first(channel, data)
        channel.start()

    def _first(self, channel: Channel, data: bytes) -> None:
        if data[:1] == b"{":
            self._on_face(channel, data)
        elif data[:1] == b"A":
            self._on_run(channel, data)
        else:
            channel.close()


def peer_uid(sock: socket.socket) -> int:
    """Give the user id of the other end (SO_PEERCRED on Linux, LOCAL_PEERCRED on macOS); -1 when it cannot be known."""
    try:
        if sys.platform.startswith("linux"):
            return int(struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1])
        # struct xucred of sys/ucred.h: version, uid, group count, groups; SOL_LOCAL is 0, LOCAL_PEERCRED is 1.
        return int(struct.unpack_from("=II", sock.getsockopt(0, 1, 76))[1])
    except (OSError, struct.error):
        return -1
