"""Values as the payloads of OPEN, MSG and CLOSE, within the limits  [P].

Rules: what we make too large is the caller's fault and says so; what the peer makes wrong is a ProtocolError.
"""

from afield.errors import AfieldError, InternalError, LinkError, ProtocolError, from_value
from afield.wire.values import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Union

    from afield.wire.limits import Limits


def pack_message(value: "Any", queued: "int", limits: "Limits") -> "bytes":
    """Encode a value for one frame; raises LinkError when it, or the queue of ``queued`` bytes with it, is too large."""
    data = encode(value)
    if len(data) > limits.message:
        raise LinkError(
            "expected a message of at most %d bytes, got %d" % (limits.message, len(data)),
            hint="pass large values through a file",
        )
    if queued + len(data) > limits.control:
        raise LinkError("expected at most %d bytes of messages to wait for the link" % (limits.control,))
    return data


def _is_header(value: "Any") -> "bool":
    return isinstance(value, dict) and isinstance(value.get("do"), str)


def pack_header(header: "Dict[str, Any]", queued: "int", limits: "Limits") -> "bytes":
    """Encode the header of OPEN; raises InternalError when it is none, LinkError when it is too large."""
    if not _is_header(header):
        raise InternalError('expected a map with the text "do" to open a stream, got %.100r' % (header,))
    return pack_message(header, queued, limits)


def read_header(payload: "memoryview") -> "Dict[str, Any]":
    """Decode OPEN; raises ProtocolError."""
    header: "Dict[str, Any]" = decode(payload)
    if not _is_header(header):
        raise ProtocolError('expected a map with the text "do" in OPEN, got %.100r' % (header,))
    return header


def pack_reason(error: "Union[AfieldError, Dict[str, Any], None]", limits: "Limits") -> "bytes":
    """Encode why a stream is closed."""
    value = error.to_value() if isinstance(error, AfieldError) else error
    data = encode(value)
    if value is None or len(data) <= limits.frame:
        return data
    # The details can be as long as the output of a program; code and text are what the peer needs.
    return encode({"code": value["code"], "text": value["text"][:1000]})


def read_reason(payload: "memoryview") -> "Optional[AfieldError]":
    """Decode CLOSE; raises ProtocolError."""
    value = decode(payload)
    return None if value is None else from_value(value)
