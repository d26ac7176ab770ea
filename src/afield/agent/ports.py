"""Connections from and to the place: TCP and unix sockets  [P].

``_socket`` instead of ``socket``: the wrapper costs 10 to 26 ms to import. Each direction ends by itself (half-close).
A listener binds where the client says and never wider; the agent itself opens no port.
"""

# ruff: noqa: ARG002  one interface for all services

import _socket
import errno
import os

from afield.agent.loop import READ, WRITE
from afield.agent.pumps import Inflow, Outflow
from afield.agent.session import Service
from afield.errors import PortError, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from afield.agent.keeper import Keeper
    from afield.agent.loop import Timer, Watch
    from afield.agent.session import Channel

# A refused port answers at once; a filtered one never does. Browsers wait as long.
CONNECT_WAIT = 20.0
BACKLOG = 64


class Connection(Service):
    """Bytes between a connected socket and a stream."""

    def __init__(self, keeper: "Keeper", channel: "Channel", sock: "Any") -> "None":
        sock.setblocking(False)
        if sock.family != _socket.AF_UNIX:
            try:
                sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            except OSError:  # closed already: reading tells
                pass
        self._channel = channel
        self._sock = sock
        self._out = Outflow(keeper.loop, os.dup(sock.fileno()), channel.consumed, self._reader_gone, self._no_more)
        self._in = Inflow(keeper.loop, os.dup(sock.fileno()), channel.sendable, channel.send, self._writer_done)
        self._in_done = False

    def _no_more(self, fd: "int") -> "None":
        self._sock.shutdown(_socket.SHUT_WR)

    def _reader_gone(self, number: "int") -> "None":
        self._finish_if_over()

    def _writer_done(self, number: "int") -> "None":
        self._in_done = True
        if number:
            self._channel.close(PortError("the connection there broke: %s" % os.strerror(number)))
            self.closed()
            return
        self._channel.end()
        self._finish_if_over()

    def _finish_if_over(self) -> "None":
        if self._in_done and self._out.closed:
            self._channel.close()
            self.closed()

    def data(self, data: "Any", err: "bool") -> "None":
        """Pass bytes on, or keep them until there is a connection."""
        self._out.write(data)

    def ended(self) -> "None":
        """Half-close towards the other end."""
        self._out.end()
        if not self._out.queued:
            self._finish_if_over()

    def sendable(self) -> "None":
        """Read on."""
        self._in.resume()

    def closed(self) -> "None":
        """Close the socket."""
        self._in.close()
        self._out.close()
        self._sock.close()


class Connect(Service):
    """A stream that becomes a connection: tries each address in turn."""

    def __init__(self, keeper: "Keeper", channel: "Channel", header: "Dict[str, Any]") -> "None":
        self._keeper = keeper
        self._channel = channel
        self._early: "List[bytes]" = []
        self._ended = False
        self._sock: "Any" = None
        self._watch: "Optional[Watch]" = None
        self._timer: "Optional[Timer]" = None
        self._addresses: "List[Any]" = []
        self._name = ""
        self._resolver: "Any" = None
        self._begin(header)

    def _begin(self, header: "Dict[str, Any]") -> "None":
        path = header["unix"]
        if path is not None:
            self._found([(_socket.AF_UNIX, path, path.decode("utf-8", "replace"))])
            return
        host, port = host_and_port(header)
        self._name = "%s:%d" % (host, port)
        literal = literal_addresses(host, port)
        if literal:
            self._found(literal)
            return
        from afield.agent.helpers import in_child

        self._resolver = in_child(self._keeper, lambda: resolve(host, port), self._resolved, CONNECT_WAIT)

    def _resolved(self, value: "Any", failure: "str") -> "None":
        self._resolver = None
        if failure or not value:
            self._fail("%s cannot be resolved there%s" % (self._name, ": " + failure if failure else ""))
        else:
            self._found([(family, tuple(address), self._name) for family, address in value])

    def _found(self, addresses: "List[Any]") -> "None":
        self._addresses = addresses
        self._timer = self._keeper.loop.call_later(CONNECT_WAIT, lambda: self._tried(errno.ETIMEDOUT))
        self._try_next()

    def _try_next(self) -> "None":
        family, address, self._name = self._addresses.pop(0)
        try:
            self._sock = _socket.socket(family, _socket.SOCK_STREAM)
            self._sock.setblocking(False)
            number = self._sock.connect_ex(address)
        except OSError as error:
            number = error.errno or errno.EINVAL
        if number == errno.EINPROGRESS:
            self._watch = self._keeper.loop.watch(self._sock.fileno(), WRITE, self._ready)
        else:
            self._tried(number)

    def _ready(self) -> "None":
        self._tried(self._sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR))

    def _tried(self, number: "int") -> "None":
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if number == 0:
            self._connected()
            return
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        if self._addresses and number != errno.ETIMEDOUT:
            self._try_next()
        else:
            self._fail("%s cannot be reached from there: %s" % (self._name, os.strerror(number)))

    def _fail(self, text: "str") -> "None":
        channel = self._channel
        self.closed()
        channel.close(PortError(text, hint="is the program there listening yet, and on this address?"))

    def _connected(self) -> "None":
        sock, self._sock = self._sock, None
        self.closed()
        connection = Connection(self._keeper, self._channel, sock)
        self._channel.service = connection
        self._channel.message({"connected": True})
        for piece in self._early:
            connection.data(piece, False)
        if self._ended:
            connection.ended()

    def data(self, data: "Any", err: "bool") -> "None":
        """Pass bytes on, or keep them until there is a connection."""
        self._early.append(bytes(data))  # bounded by the stream's credit: none is given back yet

    def ended(self) -> "None":
        """Half-close towards the other end."""
        self._ended = True

    def closed(self) -> "None":
        """Close the socket."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        if self._resolver is not None:
            self._resolver.cancel()
            self._resolver = None


class Listen(Service):
    """A listening socket; each connection becomes a stream that the agent opens."""

    def __init__(self, keeper: "Keeper", channel: "Channel", header: "Dict[str, Any]") -> "None":
        self._keeper = keeper
        self._channel = channel
        host, port = host_and_port(header, lowest=0)
        addresses = literal_addresses(host, port)
        if not addresses:
            raise PortError("%s: expected a numeric address or localhost to listen on" % host)
        family, address, name = addresses[0]
        self._sock: "Any" = _socket.socket(family, _socket.SOCK_STREAM)
        try:
            self._sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            self._sock.bind(address)
            self._sock.listen(BACKLOG)
        except OSError as error:
            self._sock.close()
            raise PortError(
                "%s cannot be listened on there: %s" % (name, os.strerror(error.errno or 0)),
                hint="port 0 takes any free one",
            ) from None
        self._sock.setblocking(False)
        self._watch = keeper.loop.watch(self._sock.fileno(), READ, self._accept)
        channel.message({"listening": self._sock.getsockname()[1]})

    def _accept(self) -> "None":
        try:
            fd, peer = self._sock._accept()
        except OSError:  # the caller hung up again, or descriptors are short: the next event tries again
            return
        sock = _socket.socket(fileno=fd)
        os.set_inheritable(fd, False)
        if not self._channel.open or self._channel.session.over:
            sock.close()
            return
        header = {"do": "accepted", "listener": self._channel.id, "peer": "%s:%d" % (peer[0], peer[1])}
        channel = self._channel.session.open(header)
        channel.service = Connection(self._keeper, channel, sock)

    def closed(self) -> "None":
        """Close the socket."""
        self._watch.stop()
        self._sock.close()


def host_and_port(header: "Dict[str, Any]", *, lowest: "int" = 1) -> "Tuple[str, int]":
    """Give host, the loopback when there is none, and port. Raises ProtocolError for a port below the lowest."""
    host, port = header["host"] or "localhost", header["port"]
    if port is None or port < lowest:
        raise ProtocolError("expected a port from %d on, got %r" % (lowest, port))
    return host, port


def literal_addresses(host: "str", port: "int") -> "List[Any]":
    """Give the addresses of a host that needs no name service, IPv4 first; empty for a real name."""
    name = "%s:%d" % (host, port)
    if host == "localhost":
        return [(_socket.AF_INET, ("127.0.0.1", port), name), (_socket.AF_INET6, ("::1", port, 0, 0), name)]
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, host)
        except OSError:
            continue
        return [(family, (host, port) if family == _socket.AF_INET else (host, port, 0, 0), name)]
    return []


def resolve(host: "str", port: "int") -> "List[Any]":
    """Ask the name service; blocks, so it runs in a child. Raises OSError."""
    found = _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM)
    return [[int(family), list(address)] for family, _, _, _, address in found]
