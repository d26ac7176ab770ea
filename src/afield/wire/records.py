"""Records on any byte pipe: u32 LE length, then one value  [P].

Used by the files service and by worker processes. Rules: the length is checked before a byte of the record is kept, so a
bad peer costs at most ``limit`` bytes. No meaning of the values here.
"""

import struct

from afield.errors import ProtocolError
from afield.wire.values import decode_within, encode_parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Union

    Buffer = Union[bytes, bytearray, memoryview]

LIMIT = 1 << 20  # a piece of a bundle is far smaller; a listing of the largest folder is sent in parts
# Pieces from this size on are not copied when they come.
SMALL = 4096
_LENGTH = struct.Struct("<I")


def encode_record(value: "Any", *, limit: "int" = LIMIT) -> "bytes":
    """Give one record; raises ProtocolError when it is larger than ``limit`` bytes or not a plain value."""
    parts = encode_parts(value)
    size = sum(map(len, parts))
    if size > limit:
        raise ProtocolError("expected a record of at most %d bytes, got %d" % (limit, size), hint="send it in parts")
    return b"".join([_LENGTH.pack(size)] + parts)


class RecordReader:
    """Cuts a byte stream into values; ``limit`` is the largest record in bytes."""

    def __init__(self, limit: "int" = LIMIT) -> "None":
        self._limit = limit
        self._chunks: "List[Union[bytes, bytearray]]" = []
        self._size = 0
        self._need = 4
        self._error: "Union[ProtocolError, None]" = None

    def feed(self, data: "Buffer") -> "List[Any]":
        """Give the values that are whole now; raises ProtocolError, and again at every later call."""
        if self._error is not None:
            raise self._error
        self._keep(data)
        if self._size < self._need:
            return []
        whole = bytes(self._chunks[0]) if len(self._chunks) == 1 else b"".join(self._chunks)
        values: "List[Any]" = []
        at, self._need = 0, 4
        try:
            while len(whole) - at >= 4:
                size = _LENGTH.unpack_from(whole, at)[0]
                if size > self._limit:
                    raise ProtocolError("expected a record of at most %d bytes, got %d" % (self._limit, size))
                if len(whole) - at - 4 < size:
                    self._need = 4 + size
                    break
                values.append(decode_within(whole, at + 4, at + 4 + size))
                at += 4 + size
        except ProtocolError as error:
            self._error = error
            self._chunks, self._size = [], 0
            if not values:
                raise
            return values  # what came before the fault is good; the next call tells of the fault
        rest = whole[at:]
        self._chunks, self._size = [rest] if rest else [], len(rest)
        return values

    def _keep(self, data: "Buffer") -> "None":
        """Keep a piece until its record is whole; large ones as they are, small ones together, or each would cost 50 bytes."""
        self._size += len(data)
        if len(data) >= SMALL and isinstance(data, bytes):
            self._chunks.append(data)
        elif self._chunks and isinstance(self._chunks[-1], bytearray):
            self._chunks[-1] += data
        else:
            self._chunks.append(bytearray(data))

    def end(self) -> "None":
        """Say that the pipe ended; raises ProtocolError in the middle of a record."""
        if self._error is not None:
            raise self._error
        if self._size:
            raise ProtocolError("expected a whole record, got the end after %d of its bytes" % (self._size,))
