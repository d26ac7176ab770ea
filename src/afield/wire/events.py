"""What ``Link.events`` gives: one small class for each thing that happened  [P].

Rules: slots and nothing else, for one is made for every piece of data. No behaviour here.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple, Union

    from afield.errors import AfieldError

GONE = "gone"


class Event:
    """Base of all: equal when of one class with equal fields."""

    __slots__: "Tuple[str, ...]" = ()

    def _fields(self) -> "Dict[str, Any]":
        return {name: getattr(self, name) for name in self.__slots__}

    def __eq__(self, other: "object") -> "bool":
        return isinstance(other, Event) and type(self) is type(other) and self._fields() == other._fields()

    def __hash__(self) -> "int":
        return hash((type(self), repr(self)))

    def __repr__(self) -> "str":
        return "%s(%s)" % (type(self).__name__, ", ".join("%s=%r" % item for item in self._fields().items()))


class Established(Event):
    """The peer's hello came and fits; ``resumed``: an earlier transport carried this session."""

    __slots__ = ("resumed",)

    def __init__(self, resumed: "bool") -> "None":
        self.resumed = resumed


class Refused(Event):
    """The peer does not know the session (``reason`` is GONE): what ran in it is lost."""

    __slots__ = ("reason",)

    def __init__(self, reason: "str") -> "None":
        self.reason = reason


class Opened(Event):
    """The peer opened a stream; ``header`` is a map with ``"do"``."""

    __slots__ = ("header", "stream")

    def __init__(self, stream: "int", header: "Dict[str, Any]") -> "None":
        self.stream = stream
        self.header = header


class Data(Event):
    """Bytes came; ``data`` is valid until the buffer given to ``receive_data`` is used again, ``err`` names the second channel."""

    __slots__ = ("data", "err", "stream")

    def __init__(self, stream: "int", data: "Union[bytes, memoryview]", err: "bool") -> "None":
        self.stream = stream
        self.data = data
        self.err = err


class Ended(Event):
    """The peer sends no more data on this stream; messages may still come."""

    __slots__ = ("stream",)

    def __init__(self, stream: "int") -> "None":
        self.stream = stream


class Message(Event):
    """A value came."""

    __slots__ = ("stream", "value")

    def __init__(self, stream: "int", value: "Any") -> "None":
        self.stream = stream
        self.value = value


class Closed(Event):
    """The peer closed the stream; ``error`` says why, None when all is well."""

    __slots__ = ("error", "stream")

    def __init__(self, stream: "int", error: "Optional[AfieldError]") -> "None":
        self.stream = stream
        self.error = error


class Sendable(Event):
    """A stream that could not take more bytes can again: ask ``sendable`` how many."""

    __slots__ = ("stream",)

    def __init__(self, stream: "int") -> "None":
        self.stream = stream


class Consumed(Event):
    """The peer's user took ``total`` bytes of this stream so far: nobody will ask for them again."""

    __slots__ = ("stream", "total")

    def __init__(self, stream: "int", total: "int") -> "None":
        self.stream = stream
        self.total = total


class Pong(Event):
    """The answer to a ping, ``rtt`` seconds after it."""

    __slots__ = ("rtt",)

    def __init__(self, rtt: "float") -> "None":
        self.rtt = rtt


class Bye(Event):
    """The peer will not come back: the session can be forgotten."""

    __slots__ = ()
