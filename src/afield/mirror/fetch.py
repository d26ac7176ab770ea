"""Brings the contents that the store lacks: in large batches, two under way at a time, each checked by its hash.

A content that is not the one that was listed (a file edited where it stands, a RECORD that does not tell the truth) is kept under the hash
that it has, and its file shows it. Where nothing came the file is left out.
"""

from __future__ import annotations

import struct
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from afield.errors import ProtocolError
from afield.files.squeeze import unpack
from afield.mirror.listing import LARGEST
from afield.mirror.store import EMPTY
from afield.sync.pace import Rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from afield.mirror.far import Far
    from afield.mirror.store import Store

# Bytes of sources in one batch: a second of a slow line, so that the level for zlib follows what the line shows.
BATCH = 4 << 20
# Sources deflate to a quarter, and their way through ssh and four processes costs more than that: it pays on loopback as well.
LEAST_LEVEL = 1
_GAP = 0xFFFFFFFF
# Files listed with one hash that turn out to have others; who needs more rounds tells no truth.
_ROUNDS = 4


class Wanted(NamedTuple):
    """One listed file: its number in the listing."""

    number: int
    digest: bytes
    size: int


class Fetched(NamedTuple):
    """``other``: number → digest that it really has, or None when it could not be had."""

    files: int
    size: int
    other: dict[int, bytes | None]


def fetch(
    far: Far, store: Store, wanted: list[Wanted], delay: float, tell: Callable[[int, int, int, int], None]
) -> Fetched:
    """Bring what the store lacks; ``tell(files, of, bytes, of)``. Raises LinkLost, ProtocolError, OSError."""
    store.put(b"", EMPTY) if not store.whole(EMPTY, 0) else None
    sizes: dict[bytes, int] = {}
    for item in wanted:
        sizes.setdefault(item.digest, item.size)
    candidates: dict[bytes, deque[Wanted]] = {digest: deque() for digest in store.lacks(sizes)}
    for item in wanted:
        if item.digest in candidates:
            candidates[item.digest].append(item)
    work = _Work(far, store, delay, tell)
    for _ in range(_ROUNDS):
        items = sorted((waiting.popleft() for waiting in candidates.values() if waiting), key=lambda item: item.number)
        if not items:
            break
        for digest in work.round(items):
            candidates.pop(digest, None)
    for waiting in candidates.values():
        work.other.update((item.number, None) for item in waiting)
    return Fetched(work.files, work.bytes, work.other)


class _Work:
    def __init__(self, far: Far, store: Store, delay: float, tell: Callable[[int, int, int, int], None]) -> None:
        self.far, self.store, self.tell = far, store, tell
        self.delay = delay
        self.rate = Rate()
        self.files = self.bytes = 0
        self.other: dict[int, bytes | None] = {}

    def round(self, items: list[Wanted]) -> set[bytes]:
        """Ask for each of these once; gives the digests that came."""
        batches = batches_of(items)
        under_way: deque[tuple[int, list[Wanted]]] = deque()
        good: set[bytes] = set()
        total = len(items), sum(item.size for item in items)
        while batches or under_way:
            while batches and len(under_way) < 2:
                batch = batches.popleft()
                numbers = struct.pack(f"<{len(batch)}I", *(item.number for item in batch))
                level = max(LEAST_LEVEL, self.rate.level(self.delay))
                under_way.append((self.far.ask("contents", items=numbers, level=level), batch))
            number, batch = under_way.popleft()
            self._take(number, batch, good, total)
        return good

    def _take(self, number: int, batch: list[Wanted], good: set[bytes], total: tuple[int, int]) -> None:
        files = read_files(self._pieces(number))
        for item in batch:
            data = next(files, _END)
            if data is _END:
                raise ProtocolError("expected a content for each file that was asked for, got fewer")
            self._keep(item, data, good)
            self.tell(self.files, total[0], self.bytes, total[1])
        if next(files, _END) is not _END:
            raise ProtocolError("expected as many contents as were asked for, got more")

    def _pieces(self, number: int) -> Iterator[bytes]:
        before = self.far.received
        for part in self.far.answers(number):
            self.rate.add(self.far.received - before, time.monotonic())
            before = self.far.received
            if not isinstance(part, bytes):
                raise ProtocolError(f"expected bytes, got {part!r:.60}")
            yield bytes(unpack(part))

    def _keep(self, item: Wanted, data: bytes | memoryview | None, good: set[bytes]) -> None:
        if data is None:
            self.other[item.number] = None
            return
        digest = self.store.put(data)
        self.files += 1
        self.bytes += len(data)
        if digest == item.digest:
            good.add(digest)
        else:
            self.other[item.number] = digest


_END = b"end of the contents"


def batches_of(items: list[Wanted]) -> deque[list[Wanted]]:
    """Cut the items into batches of about BATCH bytes."""
    batches: deque[list[Wanted]] = deque()
    left = 0
    for item in items:
        if left <= 0:
            batches.append([])
            left = BATCH
        batches[-1].append(item)
        left -= item.size + 64
    return batches


def read_files(pieces: Iterator[bytes]) -> Iterator[memoryview | bytes | None]:
    """Cut pieces into files: u32 LE length and bytes; None for a gap. Raises ProtocolError."""
    data, at = b"", 0
    for piece in pieces:
        data, at = (data[at:] + piece if at < len(data) else piece), 0
        view = memoryview(data)
        while len(data) - at >= 4:
            size = int.from_bytes(data[at : at + 4], "little")
            if size == _GAP:
                at += 4
                yield None
                continue
            if size > LARGEST:
                raise ProtocolError(f"expected a source of at most {LARGEST} bytes, got {size}")
            if len(data) - at - 4 < size:
                break
            yield view[at + 4 : at + 4 + size]
            at += 4 + size
    if at < len(data):
        raise ProtocolError("expected a whole content, got the end in its middle")
