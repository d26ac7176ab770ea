"""The run protocol's bytes: frames out of a stream, the request inside the first one, frames to send. Pure.

Rules: strict and bounded; anything else than docs/development/control.md says is a ProtocolError before any of it is used.
What must not go in: what a run means.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from afield.control.text import printable
from afield.errors import AfieldError, ProtocolError

MAGIC = b"AFR1"
WINDOW = 1 << 20
_HEAD = struct.Struct("<BI")
_TWO = struct.Struct("<QQ")
_RESUME = struct.Struct("<16sQQQ")
# Linux allows 2 MiB of arguments and environment by default and never more than 6 MiB (execve(2)).
_LIMITS = {b"R": 8 << 20, b"T": 16 << 10, b"i": WINDOW, b"I": 0, b"s": 1, b"w": 4, b"a": 16}
_KINDS = {kind[0]: (kind, limit) for kind, limit in _LIMITS.items()}


class RunRequest(NamedTuple):
    """What the client asks for; all texts are the bytes that the client had."""

    mode: str
    argv0: bytes
    project: bytes
    machine: str
    cwd: bytes
    flags: str
    rows: int
    cols: int
    term: bytes
    argv: tuple[bytes, ...]
    env: dict[bytes, bytes]


class ResumeRequest(NamedTuple):
    """A run to be taken up again; offsets in bytes."""

    id: bytes
    stdin: int
    out: int
    err: int
    project: bytes
    machine: str


class RunReader:
    """Takes the client's bytes in any cut, gives whole frames ``(type, payload)``."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._greeted = False

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Give the frames that data completes. Raises ProtocolError; never keeps more than one frame's limit."""
        buffer = self._buffer
        buffer += data
        if not self._greeted:
            if not MAGIC.startswith(bytes(buffer[:4])):
                raise ProtocolError(f"expected {MAGIC!r} from a run client, got {bytes(buffer[:4])!r}")
            if len(buffer) < 4:
                return []
            self._greeted = True
            del buffer[:4]
        frames = []
        start = 0
        while len(buffer) - start >= 5:
            number, size = _HEAD.unpack_from(buffer, start)
            kind, limit = _KINDS.get(number, (b"", 0))
            if not kind:
                raise ProtocolError(f"unknown frame type {number} from a run client")
            if size > limit:
                raise ProtocolError(f"frame {kind.decode()} holds at most {limit} bytes, got {size}")
            if len(buffer) - start - 5 < size:
                break
            frames.append((kind, bytes(buffer[start + 5 : start + 5 + size])))
            start += 5 + size
        del buffer[:start]
        return frames


def parse_request(payload: bytes) -> RunRequest:
    """Read the payload of ``R``. Raises ProtocolError."""
    if not payload.endswith(b"\0"):
        raise ProtocolError("a run request ends with NUL")
    fields = payload[:-1].split(b"\0")
    take = _Fields(fields)
    version = take.text()
    if version != "1":
        raise ProtocolError(f"expected version 1 of the run protocol, got {version!r:.20}")
    mode = take.text()
    if mode not in ("python", "run", "shell", "job"):
        raise ProtocolError(f"expected the mode python, run, shell or job, got {mode!r:.20}")
    argv0, project, machine, cwd = take.bytes(), take.bytes(), take.text(), take.bytes()
    if not cwd.startswith(b"/") or (project and not project.startswith(b"/")):
        raise ProtocolError("the project folder and the working folder are absolute paths")
    flags, rows, cols, term = take.text(), take.number(65535), take.number(65535), take.bytes()
    argv = tuple(take.bytes() for _ in range(take.number(len(fields))))
    env = dict(_variable(take.bytes()) for _ in range(take.number(len(fields))))
    if take.left():
        raise ProtocolError(f"{take.left()} fields too many in a run request")
    if mode == "run" and not argv:
        raise ProtocolError("the mode run needs a command")
    return RunRequest(mode, argv0, project, machine, cwd, flags, rows, cols, term, argv, env)


def parse_resume(payload: bytes) -> ResumeRequest:
    """Read the payload of ``T``. Raises ProtocolError."""
    if len(payload) < _RESUME.size or not payload.endswith(b"\0"):
        raise ProtocolError(f"a resume request has {_RESUME.size} bytes and two fields, got {len(payload)} bytes")
    number, stdin, out, err = _RESUME.unpack_from(payload)
    fields = payload[_RESUME.size : -1].split(b"\0")
    if len(fields) != 2:
        raise ProtocolError(f"a resume request has two fields, got {len(fields)}")
    take = _Fields(fields)
    return ResumeRequest(number, stdin, out, err, take.bytes(), take.text())


def parse_ack(payload: bytes) -> tuple[int, int]:
    """Read the payload of ``a``: bytes of stdout and of stderr that the client wrote. Raises ProtocolError."""
    if len(payload) != _TWO.size:
        raise ProtocolError(f"an acknowledgement has {_TWO.size} bytes, got {len(payload)}")
    out, err = _TWO.unpack(payload)
    return out, err


def parse_window(payload: bytes) -> list[int]:
    """Read the payload of ``w``: rows and columns. Raises ProtocolError."""
    if len(payload) != 4:
        raise ProtocolError(f"a window size has 4 bytes, got {len(payload)}")
    return list(struct.unpack("<HH", payload))


def parse_signal(payload: bytes) -> int:
    """Read the payload of ``s``: a Linux signal number. Raises ProtocolError."""
    if len(payload) != 1 or not 1 <= payload[0] <= 64:
        raise ProtocolError(f"expected a signal number from 1 to 64, got {payload!r:.20}")
    return payload[0]


def head(kind: bytes, size: int) -> bytes:
    """Give the five bytes before a payload."""
    return _HEAD.pack(kind[0], size)


def started(number: bytes) -> bytes:
    """Give ``S``."""
    return head(b"S", 16) + number


def credit(total: int) -> bytes:
    """Give ``c``."""
    return head(b"c", 8) + struct.pack("<Q", total)


def ended(code: int) -> bytes:
    """Give ``x``: the exit code, or minus the signal."""
    return head(b"x", 4) + struct.pack("<i", code)


def refused(code: int, text: str, hint: str | None) -> bytes:
    """Give ``E``: what the client shows on stderr and ends with."""
    # Made harmless here, since the client is too small to look.
    body = bytes([code & 255]) + printable(f"{text}\nhint: {hint}" if hint else text).encode()
    return head(b"E", len(body)) + body


def refusal(error: AfieldError) -> bytes:
    """Give ``E`` for an error: told as a shell tells it when the command there cannot be run, else as every verb of ours does."""
    code = 255 if isinstance(error, ProtocolError) else error.exit
    text = str(error) if code in (126, 127) else f"afield: {error}"
    return refused(code, text, error.hint)


def not_ready() -> bytes:
    """Give ``U``."""
    return head(b"U", 0)


def notice(text: str) -> bytes:
    """Give ``n``."""
    body = printable(text).encode()
    return head(b"n", len(body)) + body


class _Fields:
    def __init__(self, fields: list[bytes]) -> None:
        self._fields = fields
        self._at = 0

    def bytes(self) -> bytes:
        if self._at >= len(self._fields):
            raise ProtocolError(f"a run request ends after {self._at} fields")
        self._at += 1
        return self._fields[self._at - 1]

    def text(self) -> str:
        try:
            return self.bytes().decode("utf-8")
        except UnicodeDecodeError:
            raise ProtocolError("a name in a run request is not UTF-8") from None

    def number(self, most: int) -> int:
        raw = self.bytes()
        if not raw.isdigit() or len(raw) > 9 or int(raw) > most:
            raise ProtocolError(f"expected a number up to {most} in a run request, got {raw[:20]!r}")
        return int(raw)

    def left(self) -> int:
        return len(self._fields) - self._at


def _variable(entry: bytes) -> tuple[bytes, bytes]:
    # execve(2) lets anything into the environment; what has no "=" is nobody's variable.
    name, _, value = entry.partition(b"=")
    return name, value
