"""Moves one side's changes onto the other: bundles of ``read`` here flow as data into ``apply`` there.

Rules: no round trip per file (several batches are under way at once, and the worker takes them in order); bytes are
forwarded, never gathered (when the target's channel is full the source's is paused); an op without an answer is
``lost``, never taken as done. What the ops are was decided elsewhere.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from afield.errors import AfieldError, DiskFull, ProtocolError
from afield.files import squeeze
from afield.files.columns import encode_ops
from afield.sync.answers import Op, Result, read_answer, unread_of, with_cause
from afield.sync.bundle import BundleReader
from afield.sync.large import LargeFlow, goes_alone, has_some
from afield.sync.valve import Valve, Way
from afield.tree.entries import Entry, encode_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from afield.sync.endpoint import Endpoint, Request
    from afield.sync.foresight import Bundle

# One batch: small enough that its ops fit well into a record of 1 MiB (names are up to 4 KB, most are 50 bytes) and
# that progress and results come often; large enough that its own records do not count.
BATCH_OPS = 500
BATCH_OP_BYTES = 256 << 10
BATCH_BYTES = 4 << 20
# Batches under way at once: fills 80 ms of 100 MB/s with batches of BATCH_BYTES, and bounds what a lost link repeats.
BATCHES_AHEAD = 4


class Batch(NamedTuple):
    """Ops that travel in one apply request, and what has to be read for its puts; ``large``: one file, as a patch."""

    ops: list[Op]
    items: list[tuple[bytes, Entry]]
    large: bool = False


def batches(ops: Iterable[Op], source: Callable[[bytes], Entry]) -> Iterator[Batch]:
    """Cut ops into batches, order kept. ``source(path)`` is the entry of the file that a put copies."""
    now = Batch([], [])
    weight = size = 0
    for op in ops:
        alone = goes_alone(op)
        full = len(now.ops) >= BATCH_OPS or weight >= BATCH_OP_BYTES or size >= BATCH_BYTES
        if now.ops and (full or alone):
            yield now
            now, weight, size = Batch([], []), 0, 0
        now.ops.append(op)
        weight += len(op["path"]) + len(op.get("target") or b"") + len(op.get("to") or op.get("from") or b"") + 100
        if op["op"] == "put":
            now.items.append((op["path"], source(op["path"])))
            size += op["size"]
        if alone:
            yield now._replace(large=True)
            now, weight, size = Batch([], []), 0, 0
    if now.ops:
        yield now


class Progress:
    """Counts what went over; ``on_change`` is called after each piece. Sizes in bytes."""

    def __init__(self, on_change: Callable[[Progress], None] | None = None) -> None:
        self.files = 0
        self.bytes = 0
        self.files_total = 0
        self.bytes_total = 0
        self.on_change = on_change

    def expect(self, ops: Sequence[Op]) -> None:
        """Add these ops to the totals."""
        for op in ops:
            if op["op"] == "put":
                self.files_total += 1
                self.bytes_total += op["size"]

    def add(self, files: int, count: int) -> None:
        """Files that ended and bytes that passed."""
        self.files += files
        self.bytes += count
        if self.on_change is not None:
            self.on_change(self)


class _Flow:
    """One batch on its way."""

    def __init__(
        self,
        source: Endpoint,
        target: Endpoint,
        batch: Batch,
        *,
        progress: Progress,
        valve: Valve,
        on_results: Callable[[list[Result]], None],
        ahead: Callable[[Batch], Bundle | None] | None,
    ) -> None:
        self.batch = batch
        self.progress = progress
        self.valve = valve
        self.bundle = BundleReader()
        self.digests: list[bytes | None] = []
        self.results: list[Result | None] = [None] * len(batch.ops)
        self.on_results = on_results
        self._puts = {at: n for n, at in enumerate(at for at, op in enumerate(batch.ops) if op["op"] == "put")}
        self.level = valve.level() if batch.items else 0
        form = "squeezed" if self.level else "bundle"
        args = {"ops": encode_ops(batch.ops), "form": form}
        self.apply: Request = target.start("apply", args, on_part=self._answered)
        self.read: Request | None = None
        if batch.items:
            try:
                self.read = self._begin(source, None if ahead is None or self.level else ahead(batch))
            except AfieldError:
                self.apply.cancel()
                raise

    def _begin(self, source: Endpoint, ready: Bundle | None) -> Request:
        if ready is not None:
            return ready.pass_to(self._piece)
        wanted: dict[str, Any] = {"items": encode_entries(self.batch.items)}
        if self.level:
            wanted["squeeze"] = self.level
        return source.start("read", wanted, on_part=self._piece)

    def _piece(self, data: bytes) -> None:
        self.apply.send_data(data)
        before = self.bundle.bytes_in
        passed = self.bundle.feed(bytes(squeeze.unpack(data)) if self.level else data)
        self.digests += [file.digest if file.good else None for file in passed]
        self.progress.add(len(passed), self.bundle.bytes_in - before)
        self.valve.check(len(data))

    def _answered(self, part: Any) -> None:
        known, results = self.results, []
        for index, answer in read_answer(part, self.batch.ops):
            if known[index] is not None:
                raise ProtocolError(f"expected one answer for each of {len(known)} ops, got two for {index}")
            result = answer._replace(digest=self._digest(index)) if answer.outcome == "ok" else answer
            known[index] = result
            results.append(result)
        self.on_results(results)

    def _digest(self, index: int) -> bytes | None:
        """The digest of what was sent for the op at ``index``, None when it is no put."""
        place = self._puts.get(index)
        if place is None:
            return None
        digest = self.digests[place] if place < len(self.digests) else None
        if digest is None:
            raise ProtocolError("a file was confirmed whose content was not sent whole")
        return digest

    async def wait(self) -> list[Result]:
        """Wait until the target answered all; never raises for what a side did, only when this task is cancelled."""
        reason: AfieldError | None = None
        unread: dict[bytes, AfieldError] = {}
        try:
            if self.read is not None:
                unread = unread_of(await self.read.wait())
                if not self.bundle.between_files or len(self.digests) != len(self.batch.items):
                    raise ProtocolError(f"the bundle has {len(self.digests)} files, expected {len(self.batch.items)}")
                self.apply.send_end()
            await self.apply.wait()
        except AfieldError as error:
            reason = error
            self.cancel()
        except asyncio.CancelledError:
            self.cancel()
            raise
        return [
            with_cause(result or Result(op, "lost", error=reason), unread)
            for op, result in zip(self.batch.ops, self.results, strict=True)
        ]

    def cancel(self) -> None:
        self.apply.cancel()
        if self.read is not None:
            self.read.cancel()


class _Untried:
    """A batch that is not worth sending: the side is gone or full."""

    def __init__(self, batch: Batch, outcome: str, reason: AfieldError) -> None:
        self.results = [Result(op, outcome, error=reason) for op in batch.ops]

    async def wait(self) -> list[Result]:
        return self.results

    def cancel(self) -> None:
        """Nothing is under way."""


def _untried(batch: Batch, source: Endpoint, target: Endpoint, full: AfieldError | None) -> _Untried | None:
    """Give what stands for a batch when a side that it needs is gone, or when it brings files and the disk is ``full``."""
    lost = target.lost or (source.lost if batch.items else None)
    if lost is not None:
        return _Untried(batch, "lost", lost)
    return _Untried(batch, "error", full) if full is not None and batch.items else None


def _full(results: Sequence[Result]) -> AfieldError | None:
    return next((r.error for r in results if isinstance(r.error, DiskFull)), None)


async def transfer(
    source: Endpoint,
    target: Endpoint,
    ops: Sequence[Op],
    *,
    entry_of: Callable[[bytes], Entry],
    progress: Progress,
    on_results: Callable[[list[Result]], None],
    way: Way | None = None,
    begun: frozenset[str] = frozenset(),
    ahead: Callable[[Batch], Bundle | None] | None = None,
) -> list[Result]:
    """Carry ``ops`` out on ``target`` with bytes of ``source``; one result per op, in order.

    ``begun``: names of the unfinished files that the target kept (``open`` tells). ``on_results`` is told the answers of the target as they arrive, so between the events that came before and after it.
    ``ahead`` gives what was already read of a batch. After a full disk, batches that bring files are not tried any more (those that only remove are). Raises nothing for
    what the sides did: a side that is gone makes results ``lost``.
    """
    results: list[Result] = []
    flows: deque[_Flow | LargeFlow | _Untried] = deque()
    valve = Valve(source, target, way or Way())
    full: AfieldError | None = None

    def begin(batch: Batch) -> _Flow | LargeFlow:
        if not batch.large:
            return _Flow(source, target, batch, progress=progress, valve=valve, on_results=on_results, ahead=ahead)
        ask = has_some(batch.ops[0], begun, valve.way.broken)
        return LargeFlow(source, target, batch, progress=progress, valve=valve, on_results=on_results, ask=ask)

    async def finish_one() -> None:
        nonlocal full
        finished = await flows[0].wait()
        flows.popleft()
        results.extend(finished)
        full = full or _full(finished)

    try:
        for batch in batches(ops, entry_of):
            while len(flows) >= BATCHES_AHEAD:
                await finish_one()
            flows.append(_untried(batch, source, target, full) or begin(batch))
        while flows:
            await finish_one()
    finally:
        for flow in flows:
            flow.cancel()
        await valve.close()
    return results
