"""Frames: cut a byte stream into them, and make their headers  [P].

Header ``<II``: low 24 bits payload length, high 8 bits type; stream id. Rules: DATA and ERR are given in pieces as they
arrive, never put together; every other payload is put together, and its length is checked before a byte of it is kept.
No streams and no state of the link here.
"""

import struct

from afield.errors import ProtocolError
from afield.wire.limits import LIMITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, Tuple

    from afield.wire.limits import Limits

    Piece = Tuple[int, int, memoryview]

OPEN, DATA, ERR, EOF, MSG, CREDIT, CLOSE, ACK, PING, PONG, BYE = range(1, 12)
LINK_WIDE = frozenset((ACK, PING, PONG, BYE))

NAMES = {
    OPEN: "OPEN", DATA: "DATA", ERR: "ERR", EOF: "EOF", MSG: "MSG", CREDIT: "CREDIT",
    CLOSE: "CLOSE", ACK: "ACK", PING: "PING", PONG: "PONG", BYE: "BYE",
}  # fmt: skip

_HEADER = struct.Struct("<II")
HEADER_SIZE = _HEADER.size
_NOTHING = memoryview(b"")

pack_u64 = struct.Struct("<Q").pack
unpack_u64 = struct.Struct("<Q").unpack
pack_credit = struct.Struct("<QQ").pack
unpack_credit = struct.Struct("<QQ").unpack
_pack_header = _HEADER.pack
_unpack_header = _HEADER.unpack_from


def header(kind: "int", stream: "int", size: "int") -> "bytes":
    """Give the 8 bytes before a payload of ``size`` bytes."""
    return _pack_header(size | kind << 24, stream)


def frame(kind: "int", stream: "int", payload: "bytes" = b"") -> "bytes":
    """Give one whole frame; meant for small payloads, for it copies them."""
    return _pack_header(len(payload) | kind << 24, stream) + payload


def lengths(limits: "Limits") -> "Dict[int, Tuple[int, int]]":
    """Give the least and the most payload length of each type."""
    return {
        OPEN: (1, limits.message),
        DATA: (0, limits.frame),
        ERR: (0, limits.frame),
        EOF: (0, 0),
        MSG: (1, limits.message),
        CREDIT: (16, 16),
        CLOSE: (1, limits.frame),
        ACK: (8, 8),
        PING: (8, 8),
        PONG: (8, 8),
        BYE: (0, 0),
    }


class FrameReader:
    """Keeps its place between pieces of input, also in the middle of a header: a lost transport does not disturb it."""

    __slots__ = ("_buffer", "_kind", "_left", "_lengths", "_stream")

    def __init__(self, limits: "Limits" = LIMITS) -> "None":
        self._lengths = lengths(limits)
        self._buffer = bytearray()  # of a header, or of a payload that is put together
        self._kind = 0  # of the frame whose payload is awaited; 0: a header is awaited
        self._stream = 0
        self._left = 0  # bytes of the payload that have not come

    @property
    def held(self) -> "int":
        """Bytes that are kept until more come: at most a message."""
        return len(self._buffer)

    def feed(self, view: "memoryview") -> "Iterator[Piece]":
        """Give (type, stream, payload) for each frame, and for each piece of DATA and ERR; raises ProtocolError.

        It is a generator, to be run to its end before the next call.
        """
        at, end = 0, len(view)
        while True:
            if not self._kind:
                if self._buffer:
                    need = HEADER_SIZE - len(self._buffer)
                    self._buffer += view[at : at + need]
                    at = min(at + need, end)
                    if len(self._buffer) < HEADER_SIZE:
                        return
                    first, stream = _unpack_header(self._buffer, 0)
                    self._buffer.clear()
                elif end - at >= HEADER_SIZE:
                    first, stream = _unpack_header(view, at)
                    at += HEADER_SIZE
                else:
                    self._buffer += view[at:]
                    return
                kind, size = first >> 24, first & 0xFFFFFF
                self._check(kind, stream, size)
                if not size:
                    yield kind, stream, _NOTHING
                    continue
                self._kind, self._stream, self._left = kind, stream, size
            if at == end:
                return
            kind, stream, left = self._kind, self._stream, self._left
            taken = end - at if end - at < left else left
            piece = view[at : at + taken]
            at += taken
            self._left = left - taken
            if taken == left:
                self._kind = 0
            if kind == DATA or kind == ERR:
                yield kind, stream, piece
            elif taken == left and not self._buffer:
                yield kind, stream, piece
            else:
                self._buffer += piece
                if taken == left:
                    whole, self._buffer = self._buffer, bytearray()
                    yield kind, stream, memoryview(whole)

    def _check(self, kind: "int", stream: "int", size: "int") -> "None":
        bounds = self._lengths.get(kind)
        if bounds is None:
            raise ProtocolError("expected a frame type from 1 to 11, got %d" % (kind,))
        if not bounds[0] <= size <= bounds[1]:
            raise ProtocolError("expected %d to %d bytes in %s, got %d" % (bounds + (NAMES[kind], size)))
        if (kind in LINK_WIDE) is not (stream == 0):
            raise ProtocolError(
                "expected %s for %s, got stream %d" % ("a stream" if stream == 0 else "stream 0", NAMES[kind], stream)
            )
