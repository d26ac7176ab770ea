"""The blocking client of the daemon for faces: one socket, requests with events, and a daemon started by need.

Rules: light imports only (``_socket`` instead of ``socket`` saves 7 ms of every command); a stale socket, a race of two
starters and a daemon of another version are settled here, so that a face sees an answer or an AfieldError.
What must not go in: printing, asking, or knowledge of any single verb but ``hello`` and ``stop-daemon``.
"""

from __future__ import annotations

import _socket
import errno
import json
import os
import select
import time

from afield import __version__
from afield.control import LINE_LIMIT, VERSION, paths, spawn
from afield.errors import AfieldError, Cancelled, DaemonError, ProtocolError, from_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

# What ssh needs from the terminal's environment and a daemon started elsewhere cannot know (ssh-agent(1), kerberos(7)).
CARRIED = ("SSH_AUTH_SOCK", "KRB5CCNAME")
# A daemon answers hello in well under a second on a loaded machine; longer means stopped or hung.
HELLO_SECONDS = 15.0
# Longer than the one who starts it waits for the daemon (spawn._READY_SECONDS).
START_SECONDS = 25.0


class Events:
    """What a face does about events; the defaults ignore news and refuse questions. Made to be subclassed."""

    def event(self, event: dict[str, Any]) -> None:
        """Take a ``note``, ``progress``, ``data`` or ``change`` event."""

    def prompt(self, prompt: dict[str, Any]) -> str | None:
        """Answer a question of the login (``text``; ``secret`` true: do not echo); None refuses."""
        del prompt
        return None

    def confirm(self, confirm: dict[str, Any]) -> bool:
        """Answer yes or no (``text``, ``default``)."""
        return bool(confirm.get("default"))

    def want(self, offset: int, size: int) -> bytes:
        """Give up to size bytes of what is being put, from offset; empty at the end."""
        del offset, size
        return b""


class Client:
    """A connection to the daemon; a context manager. Closing it cancels what it asked for."""

    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._id = 0
        self.hello: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; a request in progress is cancelled."""
        self._sock.close()

    def fileno(self) -> int:
        """Give the socket, for select."""
        return self._sock.fileno()

    def request(
        self,
        verb: str,
        args: dict[str, Any] | None = None,
        *,
        events: Events | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Ask for verb and return its result; events go to ``events``. ``timeout`` in seconds is for silence, not the whole.

        Raises the AfieldError that the daemon answers with, DaemonError when it goes away.
        """
        number = self._send(verb, {name: value for name, value in (args or {}).items() if value is not None})
        faces = events or Events()
        rows: list[Any] = []
        while True:
            answer = self._line(timeout)
            if answer.get("id") is None and "error" in answer:
                raise error_of(answer["error"])
            if answer.get("id") != number:
                continue
            if "event" in answer and isinstance(answer["event"], dict) and "rows" in answer["event"]:
                rows += answer["event"]["rows"]
            elif "event" in answer:
                self._event(answer["event"], faces)
            elif "error" in answer:
                raise error_of(answer["error"])
            elif "ok" in answer:
                return _joined(answer, rows) if rows else answer["ok"]
            else:
                raise ProtocolError(f"expected event, ok or error from the daemon, got {sorted(answer)}")

    def _event(self, event: Any, faces: Events) -> None:
        if not isinstance(event, dict):
            raise ProtocolError(f"expected an event object from the daemon, got {event!r:.80}")
        if "prompt" in event:
            self._send("answer", {"token": event["prompt"]["token"], "text": faces.prompt(event["prompt"])})
        elif "confirm" in event:
            self._send("answer", {"token": event["confirm"]["token"], "yes": faces.confirm(event["confirm"])})
        elif "want" in event:
            import base64

            piece = faces.want(event["want"]["offset"], event["want"]["size"])
            self._send("data", {"data": base64.b64encode(piece).decode("ascii"), "end": not piece})
        elif "data" in event:
            import base64

            faces.event({"data": base64.b64decode(event["data"])})
        else:
            faces.event(event)

    def _send(self, verb: str, args: dict[str, Any]) -> int:
        self._id += 1
        # ensure_ascii: names that are not UTF-8 are lone surrogates here and survive as \udcXX.
        line = json.dumps({"v": VERSION, "id": self._id, "do": verb, "args": args}, separators=(",", ":")) + "\n"
        try:
            self._sock.settimeout(None)
            self._sock.sendall(line.encode("ascii"))
        except OSError as error:
            raise _gone(error) from None
        return self._id

    def _line(self, timeout: float | None) -> dict[str, Any]:
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            if start > LINE_LIMIT:
                raise ProtocolError(f"the daemon sent a line of more than {LINE_LIMIT} bytes")
            try:
                self._sock.settimeout(timeout)
                data = self._sock.recv(1 << 18)
            except TimeoutError:
                raise DaemonError(
                    f"the daemon did not answer within {timeout:g} s",
                    hint=f"see {paths.log_path()}, or end it: kill {daemon_pid()}",
                ) from None
            except OSError as error:
                raise _gone(error) from None
            if not data:
                raise _gone(None)
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        try:
            answer = json.loads(line)
        except ValueError:
            raise ProtocolError(f"the daemon sent a line that is not JSON: {line[:80]!r}") from None
        if not isinstance(answer, dict):
            raise ProtocolError(f"expected a JSON object from the daemon, got {line[:80]!r}")
        return answer


def connect(*, start: bool = True, dial: tuple[str, str | None] | None = None, check: bool = True) -> Client:
    """Connect to the user's daemon, started when it is missing and ``start`` says so; greeted when ``check`` says so.

    ``dial`` (project folder, machine) is a hint: a daemon that has to be started opens that link while it starts.
    Raises DaemonError.
    """
    spawn.wait_begun()
    for _ in range(3):
        sock = open_socket()
        fresh = sock is None
        if sock is None:
            if not start:
                raise DaemonError("the daemon is not running", hint="`afield up` starts it")
            sock = start_daemon(dial)
        client = Client(sock)
        if not check:
            return client
        try:
            # One that was just started is as new as it gets, whatever it calls itself.
            if _greet(client) or fresh:
                return client
            if not client.hello.get("keeps"):
                client.request("stop-daemon", timeout=HELLO_SECONDS)
        except Cancelled:
            pass
        except GoneError:
            # It was ending already when it took the connection.
            if fresh or not start:
                client.close()
                raise
        except BaseException:
            client.close()
            raise
        client.close()
        _wait_gone()
    raise DaemonError("the daemon of another version does not make room", hint=f"end it with: kill {daemon_pid()}")


def stop(*, force: bool) -> dict[str, Any]:
    """Ask the daemon to end and wait until it has; gives ``stopping`` and what it ``keeps``. Raises DaemonError when none runs."""
    with connect(start=False) as client:
        done: dict[str, Any] = client.request("stop-daemon", {"force": force})
        if done.get("stopping"):
            # Who starts something now must find no daemon, or a new one.
            _wait_gone()
        return done


def _greet(client: Client) -> bool:
    """Exchange versions; False when the daemon is of another version and keeps nothing, so that it may be replaced."""
    carried = [f"{name}={os.environ[name]}" for name in CARRIED if os.environ.get(name)]
    try:
        client.hello = client.request("hello", {"env": carried}, timeout=HELLO_SECONDS)
    except AfieldError as error:
        if error.code == "version":
            # It ends by itself when it keeps nothing.
            raise Cancelled(error.text) from None
        raise
    return client.hello.get("version") == __version__ or bool(client.hello.get("keeps"))


def open_socket(timeout: float = 5.0) -> _socket.socket | None:
    """Open a connection to the daemon's socket; None when nobody listens there. Raises DaemonError."""
    path = paths.socket_path()
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        with paths.socket_address(path) as address:
            sock.connect(address)
    except OSError as error:
        sock.close()
        if error.errno in (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR):
            return None
        reason = "no answer" if isinstance(error, TimeoutError) else error.strerror
        raise DaemonError(
            f"the daemon's socket {path} cannot be used: {reason}", hint=f"end the daemon with: kill {daemon_pid()}"
        ) from None
    except BaseException:
        sock.close()
        raise
    return sock


def start_daemon(dial: tuple[str, str | None] | None = None) -> _socket.socket:
    """Start the daemon unless somebody just did, and return a connection to it. Raises DaemonError."""
    handle = spawn.open_start_lock()
    try:
        # One starter at a time: twenty shims that find no daemon start one, the others find its socket.
        deadline = time.monotonic() + START_SECONDS
        while not spawn.lock(handle):
            if time.monotonic() > deadline:
                raise DaemonError(
                    f"another command has been starting the daemon for {START_SECONDS:g} s",
                    hint="is one stopped with Ctrl-Z? End it, or continue it with: fg",
                )
            time.sleep(0.01)
            if (sock := open_socket()) is not None:
                return sock
        if (sock := open_socket()) is not None:
            return sock
        for _ in range(3):
            reason, _, hint = spawn.spawn_daemon(dial).partition("\nhint: ")
            if (sock := open_socket()) is not None:
                return sock
            if reason:
                break
            # It was there and is gone: killed at once, or the last one that was just ending.
        raise DaemonError(
            f"the daemon did not start: {reason or 'it ended at once, three times'}",
            hint=hint or f"see {paths.log_path()}",
        )
    finally:
        os.close(handle)


def daemon_pid() -> str:
    """Give the process id of the living daemon as text, or a word for people."""
    try:
        with open(paths.lock_path(), encoding="ascii", errors="replace") as file:
            text = file.read(20).strip()
    except OSError:
        return "PID"
    return text if text.isdigit() else "PID"


def _wait_gone() -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        sock = open_socket()
        if sock is None:
            return
        try:
            # The old daemon closes this connection when it ends.
            select.select([sock], [], [], 0.2)
        finally:
            sock.close()


def _joined(answer: dict[str, Any], rows: list[Any]) -> Any:
    """Put the rows that came ahead where they belong."""
    key = answer.get("rows")
    return rows if key is None else {**answer["ok"], key: rows}


def error_of(value: Any) -> AfieldError:
    """Make the AfieldError of an error answer; the exit status of an unknown code is kept."""
    error = from_value(value)
    if isinstance(value.get("exit"), int) and type(error) is AfieldError:
        error.exit = value["exit"]
    return error


class GoneError(DaemonError):
    """The connection ended in the middle of a conversation."""


def _gone(error: OSError | None) -> GoneError:
    why = f": {error.strerror}" if error is not None and error.strerror else ""
    return GoneError(
        f"the daemon went away{why}", hint=f"see {paths.log_path()}; running the command again starts a new one"
    )
