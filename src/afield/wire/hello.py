"""The 53 bytes that open every transport: who speaks, which session, how much was received  [P].

Layout: ``"AFLK"``, version u8, flags u16 LE, session 16 bytes, secret 16 bytes, received u64 LE, 6 reserved bytes (zero).
Rules: parsed alone, so that an acceptor can choose the session before any ``Link`` exists. No frames here.
"""

import struct
from collections import namedtuple

from afield.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

MAGIC = b"AFLK"
VERSION = 1
NEW, RESUME, GONE = 1, 2, 4
_FORM = struct.Struct("<4sBH16s16sQ6s")
SIZE = _FORM.size
_RESERVED = bytes(6)

Hello = namedtuple("Hello", "flags session secret received")


def encode_hello(flags: "int", session: "bytes", secret: "bytes", received: "int") -> "bytes":
    """Give the 53 bytes; ``received`` counts the bytes of the peer's stream that this side has."""
    if len(session) != 16 or len(secret) != 16:
        raise ProtocolError("expected session and secret of 16 bytes, got %d and %d" % (len(session), len(secret)))
    return _FORM.pack(MAGIC, VERSION, flags, session, secret, received, _RESERVED)


def parse_hello(data: "Union[bytes, bytearray, memoryview]") -> "Hello":
    """Read exactly 53 bytes; raises ProtocolError for another length, magic, version or set of flags."""
    if len(data) != SIZE:
        raise ProtocolError("expected a hello of %d bytes, got %d" % (SIZE, len(data)))
    magic, version, flags, session, secret, received, reserved = _FORM.unpack(data)
    if magic != MAGIC:
        raise ProtocolError(
            "expected the start of a link, got %r" % (bytes(data[:16]),), hint="something else writes into the stream"
        )
    if version != VERSION:
        raise ProtocolError(
            "expected link version %d, got %d" % (VERSION, version), hint="use one release of afield on both sides"
        )
    if flags not in (NEW, RESUME, GONE) or reserved != _RESERVED:
        raise ProtocolError("expected one of the hello flags 1, 2, 4 and zeros, got %d and %r" % (flags, reserved))
    if flags == NEW and received:
        raise ProtocolError("expected a new session to have received nothing, got %d bytes" % (received,))
    return Hello(flags, session, secret, received)


def gone(hello: "Hello") -> "bytes":
    """Give the answer to a hello whose session is not known here (or whose secret is wrong)."""
    return encode_hello(GONE, hello.session, bytes(16), 0)


def same_secret(one: "bytes", other: "bytes") -> "bool":
    """Compare without telling by the time how many bytes are right."""
    difference = len(one) ^ len(other)
    for left, right in zip(one, other):
        difference |= left ^ right
    return not difference
