"""Records on any byte pipe: u32 LE length, then one value  [P].

Used by the files service and by worker processes. Rules: the length is checked before a byte of the record is kept, so a
bad peer costs at most ``limit`` bytes. No meaning of the values here.
"""

import struct

from afield.errors import ProtocolError
from afield.wire.values import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Union

    Buffer = Union[bytes, bytearray, memoryview]

LIMIT = 1 << 20  # a piece of a bundle is far smaller; a listing of the largest folder is sent in parts
_LENGTH = struct.Struct("<I")


def encode_record(value: "Any", *, limit: "int" = LIMIT) -> "bytes":
    """Give one record; raises ProtocolError when it is larger than ``limit`` bytes or not a plain value."""
    data = encode(value)
    if len(data) > limit:
        raise ProtocolError(
            "expected a record of at most %d bytes, got %d" % (limit, len(data)), hint="send it in parts"
        )
    return _LENGTH.pack(len(data)) + data


class RecordReader:
    """Cuts a byte stream into values; ``limit`` is the largest record in bytes."""

    def __init__(self, limit: "int" = LIMIT) -> "None":
        self._limit = limit
        self._buffer = bytearray()
        self._error: "Union[ProtocolError, None]" = None

    def feed(self, data: "Buffer") -> "List[Any]":
        """Give the values that are whole now; raises ProtocolError, and again at every later call."""
        if self._error is not None:
            raise self._error
        buffer = self._buffer
        buffer += data
        values: "List[Any]" = []
        at = 0
        try:
            while len(buffer) - at >= 4:
                size = _LENGTH.unpack_from(buffer, at)[0]
                if size > self._limit:
                    raise ProtocolError("expected a record of at most %d bytes, got %d" % (self._limit, size))
                if len(buffer) - at - 4 < size:
                    break
                # One copy out of the buffer; a slice of the bytearray itself would make two.
                with memoryview(buffer) as view:
                    record = bytes(view[at + 4 : at + 4 + size])
                values.append(decode(record))
                at += 4 + size
        except ProtocolError as error:
            self._error = error
            self._buffer = bytearray()
            if not values:
                raise
            return values  # what came before the fault is good; the next call tells of the fault
        del buffer[:at]
        return values

    def end(self) -> "None":
        """Say that the pipe ended; raises ProtocolError in the middle of a record."""
        if self._error is not None:
            raise self._error
        if self._buffer:
            raise ProtocolError("expected a whole record, got the end after %d of its bytes" % (len(self._buffer),))
