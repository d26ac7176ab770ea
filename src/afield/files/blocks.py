"""What one end knows of a file that the other end holds: a row for each block of fixed size  [P].

A row has the first 12 bytes of the block's SHA-256, and a *needle*: 12 bytes of the block with the place where they
stand, by which the block can be looked for at any offset with ``bytes.find`` (a rolling sum in Python makes 1 MB/s, a
search by the C library 1 to 2 GB/s). Rules: lengths are checked, numbers are bounded, nothing is read here. Pure.
"""

import hashlib
import struct

from afield.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple

    Buffer = Any

HEAD = struct.Struct("<BQI")
"""which file (``KEPT`` or ``OLD``), its size in bytes, the size of a block"""
PLACE = struct.Struct("<H")
HASH = 12
NEEDLE = 12
ROW = HASH + PLACE.size + NEEDLE
# 96 bits: an accident is out of the question, and the SHA-256 of the whole file finds one that somebody made.
KEPT, OLD = 1, 2
SMALLEST, LARGEST = 8 << 10, 8 << 20
# Rows of one table: 3.4 MB on the wire, 20 MB in memory; with the largest block files of a terabyte.
MOST_ROWS = 1 << 17
# A needle must differ from its surroundings: the one with the most different bytes of these few is taken.
TRIES = 4
# Places are 16-bit numbers.
REACH = (1 << 16) - NEEDLE


def block_size(size: "int") -> "Optional[int]":
    """Give the block size for a file of ``size`` bytes, None when it is too large for a table.

    About the root of the size, as in rsync: an edit costs a block and the table a row for each, which is least there.
    """
    block = SMALLEST
    while block * block < size or -(-size // block) > MOST_ROWS:
        block *= 2
    return block if block <= LARGEST else None


def digest_of(block: "Buffer") -> "bytes":
    """Give the short hash of a block."""
    return hashlib.sha256(block).digest()[:HASH]


def needle_of(block: "Buffer") -> "Tuple[int, bytes]":
    """Give (place, bytes) of the needle: the most varied of a few spots spread over the block."""
    step = max(1, (min(len(block), REACH) - NEEDLE) // TRIES)
    best, at, found = 0, 0, bytes(block[:NEEDLE])
    for place in range(0, step * TRIES, step):
        some = bytes(block[place : place + NEEDLE])
        varied = len(set(some))
        if varied > best and len(some) == NEEDLE:
            best, at, found = varied, place, some
            if varied >= NEEDLE - 1:
                break
    return at, found.ljust(NEEDLE, b"\0")


def row_of(block: "Buffer") -> "bytes":
    """Give the row of one block (at least a byte long)."""
    place, needle = needle_of(block)
    return digest_of(block) + PLACE.pack(place) + needle


class Table:
    """The rows of one file, as far as they came. ``size`` in bytes; ``count`` rows are known, ``total`` there will be."""

    __slots__ = ("block", "count", "digests", "index", "rows", "size", "total")

    def __init__(self, size: "int", block: "int") -> "None":
        """Make an empty table. Raises ProtocolError for sizes that ``block_size`` would not give."""
        self.total = -(-size // block) if block else 0
        if not SMALLEST <= block <= LARGEST or not 0 <= size < 1 << 63 or self.total > MOST_ROWS:
            raise ProtocolError("expected a table of at most %d blocks, got %d of %d" % (MOST_ROWS, self.total, block))
        self.size = size
        self.block = block
        self.count = 0
        self.rows: "List[bytes]" = []
        self.digests: "List[bytes]" = []
        self.index: "Dict[bytes, int]" = {}

    def add(self, row: "bytes") -> "None":
        """Take the next row. Raises ProtocolError when there are too many."""
        if self.count >= self.total:
            raise ProtocolError("expected %d rows, got more" % self.total)
        digest = row[:HASH]
        self.rows.append(row[HASH:])
        self.digests.append(digest)
        self.index.setdefault(digest, self.count)
        self.count += 1

    @property
    def complete(self) -> "bool":
        """Whether all rows came."""
        return self.count == self.total

    def length(self, number: "int") -> "int":
        """Give the length of a block: only the last may be shorter."""
        return min(self.block, self.size - number * self.block)

    def needle(self, number: "int") -> "Tuple[int, bytes]":
        """Give (place, bytes) of the needle of a block."""
        row = self.rows[number]
        return PLACE.unpack_from(row)[0], row[PLACE.size :]


class TableReader:
    """Cuts the stream of tables back: ``feed`` gives nothing, ``tables`` fills: which → Table."""

    def __init__(self) -> "None":
        self.tables: "Dict[int, Table]" = {}
        self._now: "Optional[Table]" = None
        self._rest = b""

    def feed(self, data: "bytes") -> "None":
        """Take the next piece, of any size. Raises ProtocolError."""
        data, at = self._rest + data, 0
        while True:
            if self._now is None or self._now.complete:
                if len(data) - at < HEAD.size:
                    break
                which, size, block = HEAD.unpack_from(data, at)
                if which not in (KEPT, OLD) or which in self.tables:
                    raise ProtocolError("expected the table of the kept or of the old file, got %d" % which)
                self._now = self.tables[which] = Table(size, block)
                at += HEAD.size
            elif len(data) - at < ROW:
                break
            else:
                self._now.add(data[at : at + ROW])
                at += ROW
        self._rest = data[at:]

    def end(self) -> "None":
        """Say that no more comes. Raises ProtocolError in the middle of a table."""
        if self._rest or any(not table.complete for table in self.tables.values()):
            raise ProtocolError("the table of blocks ended too early")


def table_head(which: "int", size: "int", block: "int") -> "bytes":
    """Give the bytes that a table begins with."""
    return HEAD.pack(which, size, block)


def rows_of(data: "Buffer", block: "int") -> "Iterator[bytes]":
    """Give the rows of some bytes that begin at a block."""
    view = memoryview(data)
    for at in range(0, len(view), block):
        yield row_of(view[at : at + block])
