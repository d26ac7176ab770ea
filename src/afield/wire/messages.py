"""The services and calls by name: their fields, and since which version each exists  [P].

Rules: tables. A reader gets every field: one that an older peer does not send has its default, one that a newer peer adds
is left out; so a peer one minor version away still serves. A wrong field is a ProtocolError that closes one stream, no more.
"""

from collections import namedtuple

from afield.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

Field = namedtuple("Field", "kind default since")
REQUIRED = object()

BYTES, TEXT, BOOL, INT, MAP, LIST = "bytes", "text", "a boolean", "an integer", "a map", "a list"
BYTES_LIST, TEXT_LIST, BYTES_MAP = "a list of bytes", "a list of text", "a map of bytes"
ID, OFFSET, PORT = "16 bytes", "an offset", "a port"
_MOST = (1 << 63) - 1

KINDS = {
    BYTES: lambda value: isinstance(value, bytes),
    TEXT: lambda value: isinstance(value, str),
    BOOL: lambda value: isinstance(value, bool),
    INT: lambda value: isinstance(value, int) and not isinstance(value, bool),
    MAP: lambda value: isinstance(value, dict),
    LIST: lambda value: isinstance(value, list),
    BYTES_LIST: lambda value: isinstance(value, list) and all(isinstance(item, bytes) for item in value),
    TEXT_LIST: lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    BYTES_MAP: lambda value: isinstance(value, dict) and all(isinstance(item, bytes) for item in value.values()),
    ID: lambda value: isinstance(value, bytes) and len(value) == 16,
    OFFSET: lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST,
    PORT: lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65535,
}

FIRST = (0, 1)  # the version that has everything without a note


def _must(kind: "str", since: "Any" = FIRST) -> "Field":
    return Field(kind, REQUIRED, since)


def _may(kind: "str", default: "Any" = None, since: "Any" = FIRST) -> "Field":
    return Field(kind, default, since)


# "do" of OPEN -> name -> field; None is always allowed where it is the default
SERVICES: "Dict[str, Dict[str, Field]]" = {
    "call": {"name": _must(TEXT), "args": _may(MAP, {})},
    "process": {
        "argv": _must(BYTES_LIST),
        "cwd": _may(BYTES),
        "env": _may(BYTES_MAP, {}),
        "unset": _may(TEXT_LIST, []),
        "tty": _may(MAP),
        "login": _may(BOOL, False),
        "id": _must(ID),
        "label": _may(TEXT, ""),
        "mkdir": _may(BOOL, False),
        "path": _may(BYTES_LIST, []),
        "view": _may(BYTES),
        "ports": _may(BOOL, False),
    },
    "attach": {"id": _must(ID), "out": _may(OFFSET, 0), "err": _may(OFFSET, 0)},
    "files": {"root": _must(BYTES)},
    "mirror": {},
    "connect": {"host": _may(TEXT), "port": _may(PORT), "unix": _may(BYTES)},
    "listen": {"host": _may(TEXT, "127.0.0.1"), "port": _may(PORT, 0)},
    "job": {
        "job": _must(TEXT),
        "start": _may(OFFSET),
        "out": _may(OFFSET, 0),
        "err": _may(OFFSET, 0),
        "in": _may(OFFSET, 0),
        "lines": _may(INT),
        "since": _may(OFFSET),
        "times": _may(INT),
        "follow": _may(BOOL, False),
        "input": _may(BOOL, False),
        "only_err": _may(BOOL, False),
        "result": _may(BOOL, False),
        "quiet": _may(BOOL, False),
    },
    "accepted": {"listener": _must(INT), "peer": _may(TEXT, "")},
}

# name of a call -> name -> field
CALLS: "Dict[str, Dict[str, Field]]" = {
    "facts": {},
    "ping": {},
    "processes": {},
    "kill": {"id": _must(ID), "signal": _must(INT)},
    "footprint": {},
    "clean": {"folders": _may(BYTES_LIST, [])},
    "quit": {},
    "stat": {"path": _must(BYTES)},
    "which": {"name": _must(TEXT)},
    "envs": {"roots": _may(BYTES_LIST, [])},
    "env-packages": {"prefix": _must(BYTES), "version": _may(TEXT)},
    "ways": {"there": _must(BYTES), "local": _must(BYTES)},
    "view": {
        "folders": _must(LIST),
        "env": _may(BYTES),
        "binds": _may(LIST, []),
        "make": _may(BOOL, True),
        "disk": _may(BOOL, False),
    },
    "view-bind": {"view": _must(BYTES), "binds": _must(LIST)},
    "env-remove": {"prefix": _must(BYTES), "keep": _may(BYTES_LIST, []), "foreign": _may(BOOL, False)},
    "job-start": {
        "process": _must(MAP),
        "name": _may(TEXT, ""),
        "words": _may(BYTES_LIST, []),
        "project": _may(BYTES, b""),
        "origin": _may(TEXT, ""),
        "limit": _may(INT, 0),
        "after": _may(TEXT_LIST, []),
        "after_any": _may(BOOL, False),
        "gpus": _may(INT, 0),
        "gpu_wait": _may(BOOL, False),
        "url": _may(TEXT),
        "command": _may(BYTES),
        "desktop": _may(BOOL, False),
        "sync_back": _may(TEXT_LIST, []),
    },
    "jobs": {"count": _may(BOOL, False)},
    "job-top": {},
    "job-stop": {"job": _must(TEXT), "signal": _may(INT, 15), "grace": _may(INT, 10000)},
    "job-mark": {"job": _must(TEXT), "mark": _must(TEXT)},
    "job-remove": {"job": _must(TEXT), "force": _may(BOOL, False)},
    "jobs-clean": {},
}

# one key of a MSG on a process or port stream -> kind of its value
MESSAGES = {
    "started": MAP,
    "attached": MAP,
    "exit": INT,
    "killed": INT,
    "signal": INT,
    "resize": LIST,
    "connected": BOOL,
    "listening": PORT,
    "ports": LIST,
    "note": TEXT,
}


def read_fields(value: "Any", fields: "Dict[str, Field]", what: "str") -> "Dict[str, Any]":
    """Give every field of the table, defaults filled in, unknown ones left out; raises ProtocolError."""
    if not isinstance(value, dict):
        raise ProtocolError("expected a map for %s, got %.100r" % (what, value))
    read: "Dict[str, Any]" = {}
    for name, field in fields.items():
        item = value.get(name, field.default)
        if item is REQUIRED:
            raise ProtocolError("expected the field %r for %s, got none" % (name, what))
        if not KINDS[field.kind](item) and not (item is None and field.default is None):
            raise ProtocolError("expected %s as %r for %s, got %.100r" % (field.kind, name, what, item))
        # The reader may change what it got; the table's own default must stay as it is.
        read[name] = type(item)(item) if isinstance(item, (dict, list)) else item
    return read


def read_header(header: "Dict[str, Any]") -> "Dict[str, Any]":
    """Check the header of an opened stream; gives ``"do"`` and every field; raises ProtocolError, also for an unknown service."""
    do = str(header.get("do"))
    fields = SERVICES.get(do)
    if fields is None:
        raise ProtocolError(
            "expected the name of a service, got %.100r" % (do,), hint="the other end may be of a newer version"
        )
    read = read_fields(header, fields, "the service %s" % (do,))
    read["do"] = do
    return read


def read_call(header: "Dict[str, Any]") -> "Any":
    """Give (name, args) of a ``call`` header, args checked for the calls in the table; raises ProtocolError."""
    read = read_fields(header, SERVICES["call"], "the service call")
    fields = CALLS.get(read["name"])
    if fields is None:
        raise ProtocolError(
            "expected the name of a call, got %.100r" % (read["name"],), hint="the other end may be of a newer version"
        )
    return read["name"], read_fields(read["args"], fields, "the call %s" % (read["name"],))


def read_message(value: "Any") -> "Any":
    """Give (name, value) of a message with one known key, (None, None) for one of a newer peer; raises ProtocolError."""
    if not isinstance(value, dict):
        raise ProtocolError("expected a map as message, got %.100r" % (value,))
    for name, kind in MESSAGES.items():
        if name in value:
            if not KINDS[kind](value[name]):
                raise ProtocolError("expected %s as %r, got %.100r" % (kind, name, value[name]))
            return name, value[name]
    return None, None


def exists_in(version: "Any", fields: "Dict[str, Field]") -> "Dict[str, Field]":
    """Give the fields that a peer of this (major, minor) version knows."""
    return {name: field for name, field in fields.items() if tuple(version) >= field.since}
