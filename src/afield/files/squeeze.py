"""Pieces of a stream, deflated where that pays  [P].

A piece is ``R`` and the bytes, or ``Z`` and the bytes deflated (zlib, RFC 1950). Rules: each piece stands for itself; one
that does not shrink goes as it is, and the next few after it are not even tried (media, archives and weights come in long
runs); what comes in is never inflated beyond a limit. Whether the link is slow enough for it is decided elsewhere.
"""

import zlib

from afield.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The largest piece that anybody makes, with room for what belongs to it; a record holds 1 MiB.
MOST = 1 << 20
# Must become smaller by an eighth, or inflating it costs more than it brings.
WORTH = 8
# A look at this much of a piece tells whether it shrinks; after one that does not, so many go as they are.
SAMPLE = 16 << 10
SKIPPED = 7
SMALL = 256


class Squeezer:
    """Packs one stream; ``level`` 1 to 9 as zlib has it, 0 for none."""

    def __init__(self, level: "int") -> "None":
        self.level = level
        self.skip = 0

    def pack(self, piece: "Any") -> "bytes":
        """Give the piece as it travels."""
        if not self.level or len(piece) < SMALL:
            return b"R" + bytes(piece)
        if self.skip:
            self.skip -= 1
            return b"R" + bytes(piece)
        if len(piece) > 4 * SAMPLE:
            middle = len(piece) // 2
            some = bytes(piece[middle : middle + SAMPLE])
            if len(zlib.compress(some, 1)) * WORTH > len(some) * (WORTH - 1):
                self.skip = SKIPPED
                return b"R" + bytes(piece)
        packed = zlib.compress(piece, self.level)
        if len(packed) * WORTH > len(piece) * (WORTH - 1):
            self.skip = SKIPPED
            return b"R" + bytes(piece)
        return b"Z" + packed


def unpack(piece: "bytes", most: "int" = MOST) -> "Any":
    """Give the bytes of a piece. Raises ProtocolError for anything that is not one whole piece of at most ``most``."""
    if piece[:1] == b"R":
        return memoryview(piece)[1:]
    if piece[:1] != b"Z":
        raise ProtocolError("expected a piece R or Z, got %r" % piece[:1])
    worker = zlib.decompressobj()
    try:
        plain = worker.decompress(memoryview(piece)[1:], most)
    except zlib.error as error:
        raise ProtocolError("expected deflated bytes, got others (%s)" % (error,))
    if not worker.eof or worker.unused_data:
        raise ProtocolError("expected one whole deflated piece of at most %d bytes, got more or less" % most)
    return plain
