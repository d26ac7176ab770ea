"""The conversation with the mirror service at the place: one request after another, on two descriptors. Blocking.

Records as the files service has them; a broken record, an answer to another request or the end in the middle ends it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from afield.errors import LinkLost, ProtocolError, from_value
from afield.wire.records import RecordReader, encode_record

if TYPE_CHECKING:
    from collections.abc import Iterator

_READ = 1 << 18


class Far:
    """``received`` counts the bytes that came."""

    def __init__(self, in_fd: int, out_fd: int) -> None:
        self._in, self._out = in_fd, out_fd
        self._reader = RecordReader()
        self._values: list[Any] = []
        self._number = 0
        self.received = 0

    def ask(self, verb: str, **args: Any) -> int:
        """Send a request; gives its number. Raises LinkLost."""
        self._number += 1
        view = memoryview(encode_record([self._number, verb, args]))
        try:
            while view:
                view = view[os.write(self._out, view) :]
        except OSError:
            raise _lost() from None
        return self._number

    def answers(self, number: int) -> Iterator[Any]:
        """Yield the parts of an answer. Raises the place's error, ProtocolError, LinkLost."""
        while True:
            value = self._next()
            if not isinstance(value, list) or len(value) != 3 or value[0] != number:
                raise ProtocolError(f"expected an answer to request {number}, got {value!r:.100}")
            if value[1] == "part":
                yield value[2]
            elif value[1] == "done":
                return
            elif value[1] == "error" and isinstance(value[2], dict):
                raise from_value(value[2])
            else:
                raise ProtocolError(f"expected a part or the end, got {value!r:.100}")

    def _next(self) -> Any:
        while not self._values:
            data = os.read(self._in, _READ)
            if not data:
                raise _lost()
            self.received += len(data)
            self._values = self._reader.feed(data)[::-1]
        return self._values.pop()


def _lost() -> LinkLost:
    return LinkLost(
        "the link ended in the middle of the mirror", hint="what came is kept: `afield mirror sync` goes on from there"
    )
