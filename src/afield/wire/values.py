"""Plain values as bytes: a strict subset of CBOR (RFC 8949)  [P].

Null, booleans, integers of 64 bits, float64, byte strings, UTF-8 text, arrays, and maps with text keys. Definite lengths, the
shortest form of every length and number, no duplicate keys, one form of NaN: a value has one encoding (its maps keep their order).
Rules: nothing from the peer is ever executed, recursion and memory are bounded by the input. No frames here.
"""

import struct

from afield.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Tuple, Union

    Buffer = Union[bytes, bytearray, memoryview]

MAX_DEPTH = 16  # deeper than any message of ours by far, and far from Python's recursion limit
LEAST, MOST = -(1 << 63), (1 << 64) - 1

# RFC 8949 section 3.1: the upper three bits of the first byte.
_UINT, _NINT, _BYTES, _TEXT, _ARRAY, _MAP = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
_FALSE, _TRUE, _NULL, _FLOAT = 0xF4, 0xF5, 0xF6, 0xFB
_NAN = b"\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00"

_U8, _U16, _U32, _U64 = struct.Struct(">BB"), struct.Struct(">BH"), struct.Struct(">BI"), struct.Struct(">BQ")
_DOUBLE = struct.Struct(">Bd")
_LENGTHS = {24: (">B", 1, 24), 25: (">H", 2, 1 << 8), 26: (">I", 4, 1 << 16), 27: (">Q", 8, 1 << 32)}
_READERS = {code: (struct.Struct(form).unpack_from, size, least) for code, (form, size, least) in _LENGTHS.items()}
_READ_DOUBLE = struct.Struct(">d").unpack_from


def encode(value: "Any") -> "bytes":
    """Give the bytes of a value; raises ProtocolError for what the subset does not hold."""
    return b"".join(encode_parts(value))


def encode_parts(value: "Any") -> "List[bytes]":
    """As ``encode``, in pieces: who puts something before them saves a copy of it all."""
    out: "List[bytes]" = []
    _put(out.append, value, MAX_DEPTH)
    return out


def _head(major: "int", number: "int") -> "bytes":
    if number < 24:
        return bytes((major | number,))
    if number < 1 << 8:
        return _U8.pack(major | 24, number)
    if number < 1 << 16:
        return _U16.pack(major | 25, number)
    if number < 1 << 32:
        return _U32.pack(major | 26, number)
    return _U64.pack(major | 27, number)


def _put_text(put: "Callable[[bytes], Any]", value: "str") -> "None":
    try:
        data = value.encode("utf-8")
    except UnicodeEncodeError:
        raise ProtocolError(
            "expected text that UTF-8 can hold, got %.100a" % (value,), hint="send names of files and the like as bytes"
        ) from None
    put(_head(_TEXT, len(data)))
    put(data)


def _put_int(put: "Callable[[bytes], Any]", value: "int") -> "None":
    if not LEAST <= value <= MOST:
        raise ProtocolError("expected an integer of 64 bits, got one of %d bits" % (value.bit_length(),))
    put(_head(_UINT, value) if value >= 0 else _head(_NINT, -1 - value))


def _put(put: "Callable[[bytes], Any]", value: "Any", depth: "int") -> "None":
    if isinstance(value, str):
        _put_text(put, value)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        put(_head(_BYTES, len(data)))
        put(data)
    elif value is None:
        put(b"\xf6")
    elif value is True:
        put(b"\xf5")
    elif value is False:
        put(b"\xf4")
    elif isinstance(value, int):
        _put_int(put, value)
    elif isinstance(value, float):
        put(_DOUBLE.pack(_FLOAT, value) if value == value else _NAN)  # noqa: PLR0124 the test for NaN without importing math
    elif isinstance(value, (list, tuple)):
        _check_depth(depth)
        put(_head(_ARRAY, len(value)))
        for item in value:
            _put(put, item, depth - 1)
    elif isinstance(value, dict):
        _check_depth(depth)
        put(_head(_MAP, len(value)))
        for key, item in value.items():
            if not isinstance(key, str):
                raise ProtocolError("expected text as the key of a map, got %.100r" % (key,))
            _put_text(put, key)
            _put(put, item, depth - 1)
    else:
        raise ProtocolError("expected a plain value, got %s" % (type(value).__name__,))


def _check_depth(left: "int") -> "None":
    if left <= 0:
        raise ProtocolError("expected at most %d levels of arrays and maps, got more" % (MAX_DEPTH,))


def decode(data: "Buffer", *, max_depth: "int" = MAX_DEPTH) -> "Any":
    """Give the one value that the bytes hold; raises ProtocolError for anything but its shortest encoding."""
    if not isinstance(data, bytes):
        data = bytes(data)
    return decode_within(data, 0, len(data), max_depth=max_depth)


def decode_within(data: "bytes", start: "int", stop: "int", *, max_depth: "int" = MAX_DEPTH) -> "Any":
    """As ``decode`` for the bytes from ``start`` to ``stop``, without a copy of them."""
    try:
        value, end = _take(data, start, max_depth)
    except IndexError:
        end = stop + 1
    if end > stop:
        raise ProtocolError("expected a whole value, got only its first %d bytes" % (stop - start,))
    if end != stop:
        raise ProtocolError("expected the end after one value, got %d more bytes" % (stop - end,))
    return value


def _number(data: "bytes", at: "int", low: "int") -> "Tuple[int, int]":
    """Read the number that follows a first byte whose low five bits are ``low`` (24 or more), and where it ends."""
    reader = _READERS.get(low)
    if reader is None:
        raise ProtocolError("expected a definite length, got additional information %d" % (low,))
    unpack, size, least = reader
    if at + size > len(data):
        raise IndexError
    number = unpack(data, at)[0]
    if number < least:
        raise ProtocolError("expected the shortest form of %d, got one of %d bytes" % (number, size))
    return number, at + size


def _slice(data: "bytes", at: "int", size: "int") -> "bytes":
    if at + size > len(data):
        raise IndexError
    return data[at : at + size]


def _text(piece: "bytes") -> "str":
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError("expected UTF-8 text, got %.100r" % (piece,)) from None


def _take(data: "bytes", at: "int", depth: "int") -> "Tuple[Any, int]":
    first = data[at]
    major, low = first & 0xE0, first & 0x1F
    at += 1
    if major == 0xE0:
        return _take_simple(data, at, first)
    number, at = (low, at) if low < 24 else _number(data, at, low)
    if major == _TEXT:
        return _text(_slice(data, at, number)), at + number
    if major == _BYTES:
        return _slice(data, at, number), at + number
    if major == _UINT:
        return number, at
    if major == _NINT:
        if number >= 1 << 63:
            raise ProtocolError("expected an integer of 64 bits, got %d" % (-1 - number,))
        return -1 - number, at
    if major == _ARRAY:
        return _take_array(data, at, number, depth)
    if major == _MAP:
        return _take_map(data, at, number, depth)
    raise ProtocolError("expected a plain value, got tag %d" % (number,))


def _take_simple(data: "bytes", at: "int", first: "int") -> "Tuple[Any, int]":
    if first == _NULL:
        return None, at
    if first == _TRUE:
        return True, at
    if first == _FALSE:
        return False, at
    if first != _FLOAT:
        raise ProtocolError("expected null, a boolean or a float64, got 0x%02x" % (first,))
    if at + 8 > len(data):
        raise IndexError
    value = _READ_DOUBLE(data, at)[0]
    if value != value and data[at - 1 : at + 8] != _NAN:  # noqa: PLR0124 the test for NaN without importing math
        raise ProtocolError("expected the one form of NaN, got another")
    return value, at + 8


def _take_array(data: "bytes", at: "int", count: "int", depth: "int") -> "Tuple[List[Any], int]":
    _check_depth(depth)
    items: "List[Any]" = []
    # A huge count costs nothing: each item takes a byte at least, so the loop ends where the bytes end.
    while count:
        item, at = _take(data, at, depth - 1)
        items.append(item)
        count -= 1
    return items, at


def _take_map(data: "bytes", at: "int", count: "int", depth: "int") -> "Tuple[Dict[str, Any], int]":
    _check_depth(depth)
    items: "Dict[str, Any]" = {}
    while count:
        key, at = _take(data, at, 0)
        if not isinstance(key, str):
            raise ProtocolError("expected text as the key of a map, got %.100r" % (key,))
        if key in items:
            raise ProtocolError("expected each key once, got %.100r twice" % (key,))
        items[key], at = _take(data, at, depth - 1)
        count -= 1
    return items, at
