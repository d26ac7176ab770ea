"""Moves one side's changes onto the other: bundles of ``read`` here flow as data into ``apply`` there.

Rules: no round trip per file (several batches are under way at once, and the worker takes them in order); bytes are
forwarded, never gathered (when the target's channel is full the source's is paused); an op without an answer is
``lost``, never taken as done. What the ops are was decided elsewhere.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from afield.errors import AfieldError, DiskFull, FileChanged, ProtocolError, from_value
from afield.files.columns import decode_results, encode_ops
from afield.sync.bundle import BundleReader
from afield.sync.channel import HIGH_WATER
from afield.tree.entries import Entry, Stat, encode_entries, stat_from_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from afield.sync.endpoint import Endpoint, Request

Op = dict[str, Any]

# One batch: small enough that its ops fit well into a record of 1 MiB (names are up to 4 KB, most are 50 bytes) and
# that progress and results come often; large enough that its own records do not count.
BATCH_OPS = 500
BATCH_OP_BYTES = 256 << 10
BATCH_BYTES = 4 << 20
# Batches under way at once: fills 80 ms of 100 MB/s with batches of BATCH_BYTES, and bounds what a lost link repeats.
BATCHES_AHEAD = 4


class Result(NamedTuple):
    """What became of one op. ``outcome`` is ok, refused, error or lost; ``digest`` is that of the bytes that went over."""

    op: Op
    outcome: str
    stat: Stat | None = None
    error: AfieldError | None = None
    digest: bytes | None = None


class Batch(NamedTuple):
    """Ops that travel in one apply request, and what has to be read for its puts."""

    ops: list[Op]
    items: list[tuple[bytes, Entry]]


def batches(ops: Iterable[Op], source: Callable[[bytes], Entry]) -> Iterator[Batch]:
    """Cut ops into batches, order kept. ``source(path)`` is the entry of the file that a put copies."""
    now = Batch([], [])
    weight = size = 0
    for op in ops:
        if now.ops and (len(now.ops) >= BATCH_OPS or weight >= BATCH_OP_BYTES or size >= BATCH_BYTES):
            yield now
            now, weight, size = Batch([], []), 0, 0
        now.ops.append(op)
        weight += len(op["path"]) + len(op.get("target") or b"") + len(op.get("to") or b"") + 100
        if op["op"] == "put":
            now.items.append((op["path"], source(op["path"])))
            size += op["size"]
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
        puts = [op for op in ops if op["op"] == "put"]
        self.files_total += len(puts)
        self.bytes_total += sum(op["size"] for op in puts)

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
        valve: _Valve,
        on_results: Callable[[list[Result]], None],
    ) -> None:
        self.batch = batch
        self.progress = progress
        self.valve = valve
        self.bundle = BundleReader()
        self.digests: list[bytes | None] = []
        self.results: list[Result | None] = [None] * len(batch.ops)
        self.on_results = on_results
        self._puts = {at: n for n, at in enumerate(at for at, op in enumerate(batch.ops) if op["op"] == "put")}
        self.apply: Request = target.start("apply", {"ops": encode_ops(batch.ops)}, on_part=self._answered)
        self.read: Request | None = None
        if batch.items:
            try:
                self.read = source.start("read", {"items": encode_entries(batch.items)}, on_part=self._piece)
            except AfieldError:
                self.apply.cancel()
                raise

    def _piece(self, data: bytes) -> None:
        self.apply.send_data(data)
        before = self.bundle.bytes_in
        passed = self.bundle.feed(data)
        self.digests += [file.digest if file.good else None for file in passed]
        self.progress.add(len(passed), self.bundle.bytes_in - before)
        self.valve.check()

    def _answered(self, part: Any) -> None:
        # Columns hold nothing but checked integers; a list may hold anything.
        stat_of = Stat._make if isinstance(part, dict) else stat_from_value
        known, results, ops = self.results, [], self.batch.ops
        for index, outcome, detail in decode_results(part):
            if not 0 <= index < len(known) or known[index] is not None:
                raise ProtocolError(f"expected one answer for each of {len(known)} ops, got one for {index}")
            if outcome == "ok":
                digest = self._digest(index)
                result = Result(ops[index], "ok", None if detail is None else stat_of(detail), None, digest)
            elif outcome == "refused":
                result = Result(ops[index], "refused", error=FileChanged(str(detail)))
            else:
                result = Result(ops[index], "error", error=_error_of(detail))
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
        try:
            if self.read is not None:
                await self.read.wait()
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
            result or Result(op, "lost", error=reason) for op, result in zip(self.batch.ops, self.results, strict=True)
        ]

    def cancel(self) -> None:
        self.apply.cancel()
        if self.read is not None:
            self.read.cancel()


def _error_of(detail: Any) -> AfieldError:
    try:
        return from_value(detail)
    except ProtocolError:
        return AfieldError(str(detail))


class _Valve:
    """Pauses the source while the target's channel is full."""

    def __init__(self, source: Endpoint, target: Endpoint) -> None:
        self.source, self.target = source, target
        self._task: asyncio.Task[None] | None = None

    def check(self) -> None:
        if self._task is None and self.target.channel.waiting >= HIGH_WATER:
            self.source.channel.pause()
            self._task = asyncio.get_running_loop().create_task(self._reopen())

    async def _reopen(self) -> None:
        try:
            await self.target.channel.drained()
        finally:
            self._task = None
            self.source.channel.resume()

    async def close(self) -> None:
        if self._task is not None:
            task = self._task
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class _Untried:
    """A batch that is not worth sending: the side is gone or full."""

    def __init__(self, batch: Batch, outcome: str, reason: AfieldError) -> None:
        self.results = [Result(op, outcome, error=reason) for op in batch.ops]

    async def wait(self) -> list[Result]:
        return self.results

    def cancel(self) -> None:
        """Nothing is under way."""


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
) -> list[Result]:
    """Carry ``ops`` out on ``target`` with bytes of ``source``; one result per op, in order.

    ``on_results`` is told the answers of the target as they arrive, so between the events that came before and after it.
    After a full disk, batches that bring files are not tried any more (those that only remove are). Raises nothing for
    what the sides did: a side that is gone makes results ``lost``.
    """
    results: list[Result] = []
    flows: deque[_Flow | _Untried] = deque()
    valve = _Valve(source, target)
    full: AfieldError | None = None

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
            lost = target.lost or (source.lost if batch.items else None)
            if lost is not None:
                flows.append(_Untried(batch, "lost", lost))
            elif full is not None and batch.items:
                flows.append(_Untried(batch, "error", full))
            else:
                flows.append(_Flow(source, target, batch, progress=progress, valve=valve, on_results=on_results))
        while flows:
            await finish_one()
    finally:
        for flow in flows:
            flow.cancel()
        await valve.close()
    return results
