"""The stream that makes a large file: kept bytes, copies from the old file, holes, new bytes  [P].

Each step is one letter and what belongs to it (numbers are little-endian): ``K`` u64: keep so many bytes of what an
earlier transfer left (only as the first step); ``C`` u64 offset, u64 length: copy from the old file; ``H`` u64 length: a
hole; ``L`` u32 length and the bytes: new ones; ``E`` status byte (0 good, 1 bad) and the SHA-256 of the whole: the end. Rules:
the lengths must add up to what was announced, each is checked before it is used, and at most one piece of new bytes is
held. Pure.
"""

import struct

from afield.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Tuple

    Buffer = Any
    Step = Tuple[str, Any, Any]

KEEP, COPY, HOLE = struct.Struct("<cQ"), struct.Struct("<cQQ"), struct.Struct("<cQ")
DATA = struct.Struct("<cI")
END = struct.Struct("<cB32s")
# New bytes come in pieces of at most this: what one record carries well, and all that the reader ever holds.
MOST_DATA = 1 << 19
FORMS: "Dict[bytes, struct.Struct]" = {b"K": KEEP, b"C": COPY, b"H": HOLE, b"L": DATA, b"E": END}


def keep(length: "int") -> "bytes":
    """Step: keep the first ``length`` bytes of what is there from before."""
    return KEEP.pack(b"K", length)


def copy(offset: "int", length: "int") -> "bytes":
    """Step: copy from the old file."""
    return COPY.pack(b"C", offset, length)


def hole(length: "int") -> "bytes":
    """Step: zeros that take no room."""
    return HOLE.pack(b"H", length)


def data(length: "int") -> "bytes":
    """Begin of the step with ``length`` new bytes; the bytes follow."""
    return DATA.pack(b"L", length)


def end(digest: "bytes", bad: "bool" = False) -> "bytes":
    """Last step: the SHA-256 of the whole, and whether it changed while it was read."""
    return END.pack(b"E", bad, digest)


class PatchReader:
    """Gives the steps back; ``old`` and ``kept`` are the sizes of what may be copied and kept, ``size`` that of the result."""

    def __init__(self, size: "int", old: "int" = 0, kept: "int" = 0) -> "None":
        self.left = size
        self.old = old
        self.kept = kept
        self.ended = False
        self._first = True
        self._rest = b""

    def feed(self, piece: "Buffer") -> "Iterator[Step]":
        """Take the next bytes and give the steps in them, as soon as each is whole (new bytes as they come).

        ("keep", length, None), ("copy", offset, length), ("hole", length, None), ("data", memoryview, None),
        ("end", status, digest). Raises ProtocolError.
        """
        whole = memoryview(self._rest + bytes(piece) if self._rest else piece)
        at = 0
        self._rest = b""
        while at < len(whole):
            if self.ended:
                raise ProtocolError("expected nothing after the end of a file, got %d bytes" % (len(whole) - at))
            letter = bytes(whole[at : at + 1])
            form = FORMS.get(letter)
            if form is None:
                raise ProtocolError("expected a step K, C, H, L or E, got %r" % letter)
            stop = at + form.size
            if len(whole) < stop:
                break
            if letter == b"L":
                length = form.unpack_from(whole, at)[1]
                if length > MOST_DATA:
                    raise ProtocolError("expected at most %d new bytes in a step, got %d" % (MOST_DATA, length))
                if len(whole) < stop + length:
                    break
                self._take(length)
                yield "data", whole[stop : stop + length], None
                stop += length
            else:
                yield self._step(letter, form.unpack_from(whole, at))
            self._first = False
            at = stop
        self._rest = bytes(whole[at:])

    def _take(self, length: "int") -> "None":
        if length > self.left:
            raise ProtocolError("expected %d more bytes of a file, got a step of %d" % (self.left, length))
        self.left -= length

    def _step(self, letter: "bytes", values: "Any") -> "Step":
        if letter == b"E":
            if self.left or values[1] > 1:
                raise ProtocolError("a file ended with status %d, %d bytes too early" % (values[1], self.left))
            self.ended = True
            return "end", values[1], values[2]
        if letter == b"C":
            _, offset, length = values
            if length > self.old or offset > self.old - length:
                raise ProtocolError("expected a copy within %d bytes, got %d at %d" % (self.old, length, offset))
            self._take(length)
            return "copy", offset, length
        length = values[1]
        if letter == b"K" and (not self._first or length > self.kept):
            raise ProtocolError("expected at most %d bytes to keep, and first, got %d" % (self.kept, length))
        self._take(length)
        return ("keep" if letter == b"K" else "hole"), length, None
