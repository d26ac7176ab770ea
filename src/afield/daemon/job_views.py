"""A run client that looks at a job: what its words ask of the agent, what its id says, and the keys that end the look. Pure.

The run id holds all that is needed to go on with the same bytes after the daemon or the agent was killed: a mark, flags, the job and
where the view began. What must not go in: streams, sockets.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Any

from afield.daemon.run_wire import WINDOW
from afield.errors import ProtocolError

if TYPE_CHECKING:
    from afield.daemon.run_wire import ResumeRequest, RunRequest

# mark, flags, job, start: the 16 bytes of a run id. One that is random has this mark once in 16 million.
_ID = struct.Struct(">3sB4sQ")
_MARK = b"job"
_FLAGS = ("follow", "input", "only_err", "result", "times")
# Ctrl-\ twice.
DETACH = 0x1C


def header_of(request: RunRequest) -> dict[str, Any]:
    """Give the stream's header for the words ``ID [name[=number]]…``. Raises ProtocolError."""
    if not request.argv:
        raise ProtocolError("the mode job needs the id of a job")
    job, *words = (word.decode("utf-8", "replace") for word in request.argv)
    if len(job) != 8 or any(letter not in "0123456789abcdef" for letter in job):
        raise ProtocolError(f"expected the id of a job, 8 hexadecimal digits, got {job!r:.40}")
    header: dict[str, Any] = {"do": "job", "job": job}
    for word in words:
        name, _, number = word.partition("=")
        if name in ("lines", "since") and number.isdigit() and len(number) < 19:
            header[name] = int(number)
        elif name in _FLAGS and not number:
            header[name] = True
        else:
            raise ProtocolError(f"unknown word for a job: {word!r:.40}")
    return _with_zone(header)


def _with_zone(header: dict[str, Any]) -> dict[str, Any]:
    if header.pop("times", False):
        header["times"] = (time.localtime().tm_gmtoff or 0) // 60
    return header


def run_id(header: dict[str, Any], start: int) -> bytes:
    """Give the id that a client resumes with."""
    flags = sum(1 << place for place, name in enumerate(_FLAGS) if header.get(name) not in (None, False))
    return _ID.pack(_MARK, flags, bytes.fromhex(header["job"]), start)


def resumed(request: ResumeRequest) -> dict[str, Any] | None:
    """Give the header that goes on with a view; None for the run of a program."""
    mark, flags, job, start = _ID.unpack(request.id)
    if mark != _MARK:
        return None
    header: dict[str, Any] = {name: True for place, name in enumerate(_FLAGS) if flags >> place & 1}
    header.update(do="job", job=job.hex(), start=start, out=request.out, err=request.err)
    header["in"] = max(0, request.stdin - WINDOW)
    return _with_zone(header)


class Keys:
    """What is typed, without the keys that end the look: DETACH twice in a row."""

    def __init__(self) -> None:
        self._held = False

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Give (what goes to the job, whether the look ends). The first of two waits for the key behind it."""
        out = bytearray()
        for byte in data:
            if byte == DETACH and self._held:
                return bytes(out), True
            if self._held:
                out.append(DETACH)
            self._held = byte == DETACH
            if not self._held:
                out.append(byte)
        return bytes(out), False
