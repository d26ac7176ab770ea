"""Reads a bundle as it passes by: how long each file was, whether it is good, its SHA-256.

A bundle is, per file: u64 LE length, bytes, one status byte (0 good, 1 bad), 32 bytes SHA-256. Pure; keeps nothing of the files' bytes.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from afield.errors import ProtocolError

LENGTH = struct.Struct("<Q")
TRAILER = 33


class Passed(NamedTuple):
    """One file of a bundle went by. ``length`` in bytes."""

    length: int
    good: bool
    digest: bytes


class BundleReader:
    """``feed`` pieces of any size; it gives the files that ended in them. ``bytes_in`` counts content seen so far."""

    def __init__(self) -> None:
        self.bytes_in = 0
        self._length = -1
        self._left = 0
        self._partial = b""

    @property
    def between_files(self) -> bool:
        """Whether the bundle may end here."""
        return self._length < 0 and not self._partial

    def feed(self, data: bytes) -> list[Passed]:
        """Take the next piece. Raises ProtocolError for a status that is neither good nor bad."""
        passed: list[Passed] = []
        at, end = 0, len(data)
        if self._partial:
            need = (8 if self._length < 0 else TRAILER) - len(self._partial)
            self._partial += data[:need]
            at = min(need, end)
            if need > end:
                return passed
            whole, self._partial = self._partial, b""
            self._step(whole, 0, passed)
        while at < end:
            if self._length >= 0 and self._left:
                take = min(self._left, end - at)
                self._left -= take
                self.bytes_in += take
                at += take
                continue
            size = 8 if self._length < 0 else TRAILER
            if end - at < size:
                self._partial = data[at:]
                break
            self._step(data, at, passed)
            at += size
        return passed

    def _step(self, data: bytes, at: int, passed: list[Passed]) -> None:
        """Take one whole length or one whole trailer at ``at``."""
        if self._length < 0:
            (self._length,) = LENGTH.unpack_from(data, at)
            self._left = self._length
            return
        status = data[at]
        if status > 1:
            raise ProtocolError(f"a bundle's status byte is 0 or 1, got {status}")
        passed.append(Passed(self._length, status == 0, data[at + 1 : at + TRAILER]))
        self._length = -1
