"""One large file on its way: what the target has of it goes to the source, what is missing comes back.

Three requests run at once: ``signature`` at the target (only when it has something), ``patch`` at the source, ``apply`` at
the target. Rules: bytes are forwarded, never gathered; the file is in place when the target said so, and only then; a
source that cannot read it fails this file alone. The streams are those of files/patch.py and files/blocks.py.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from afield.errors import AfieldError, ProtocolError
from afield.files.blocks import block_size
from afield.files.columns import encode_ops
from afield.files.partials import name_of
from afield.sync.answers import Result, read_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from afield.sync.endpoint import Endpoint, Request
    from afield.sync.transfer import Batch, Progress
    from afield.sync.valve import Valve

# A file of this size goes alone when the target has an older one: below, a whole file costs less than asking.
DELTA_BYTES = 512 << 10
# A new file of this size goes alone, so that it can be taken up after a cut and its holes stay holes.
ALONE_BYTES = 4 << 20


def goes_alone(op: dict[str, Any]) -> bool:
    """Tell whether a put travels as a patch of its own."""
    if op["op"] != "put":
        return False
    old = op.get("was") if (op.get("was_kind") or "f") == "f" else None
    return bool(op["size"] >= ALONE_BYTES or (op["size"] >= DELTA_BYTES and old and old[0] >= DELTA_BYTES))


def has_some(op: dict[str, Any], begun: Collection[str], broken: Collection[bytes]) -> bool:
    """Tell whether the target has something of the file: an older one, or what an interrupted transfer left."""
    old = op.get("was") is not None and (op.get("was_kind") or "f") == "f"
    return old or op["path"] in broken or name_of(op["path"]).decode() in begun


class LargeFlow:
    """One put under way; ``ask``: the target has something of the file already."""

    def __init__(
        self,
        source: Endpoint,
        target: Endpoint,
        batch: Batch,
        *,
        progress: Progress,
        valve: Valve,
        on_results: Callable[[list[Result]], None],
        ask: bool,
    ) -> None:
        self.batch = batch
        self.source, self.target = source, target
        self.progress = progress
        self.valve = valve
        self.on_results = on_results
        (self.op,) = batch.ops
        ((path, entry),) = batch.items
        self.size = entry.stat.size
        self.covered = 0
        self.digest: bytes | None = None
        self.result: Result | None = None
        self._requests: list[Request] = []
        self._tables: Request | None = None
        try:
            self.apply = self._start(
                target, "apply", {"ops": encode_ops([self.op]), "form": "patch"}, on_part=self._answered
            )
            self.patch = self._start(
                source,
                "patch",
                {
                    "path": path,
                    "stat": list(entry.stat),
                    "digest": entry.node.content,
                    "squeeze": valve.level(),
                },
                on_part=self._piece,
            )
            if ask:
                self._ask(path)
            else:
                self.patch.send_end()
        except AfieldError:
            self.cancel()
            raise

    def _start(self, side: Endpoint, verb: str, args: dict[str, Any], on_part: Callable[[Any], None]) -> Request:
        request = side.start(verb, args, on_part=on_part)
        self._requests.append(request)
        return request

    def _ask(self, path: bytes) -> None:
        block = block_size(max(self.size, (self.op.get("was") or [0])[0]))
        if block is None:
            self.patch.send_end()
            return
        was = self.op["was"] if (self.op.get("was_kind") or "f") == "f" else None
        args = {"path": path, "was": None if was is None else list(was), "block": block}
        self._tables = self._start(self.target, "signature", args, on_part=self.patch.send_data)
        self._tables.done.add_done_callback(self._asked)

    def _asked(self, done: asyncio.Future[Any]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            self.patch.send_end()
        else:
            # Without the table the patch would wait for ever.
            self.patch.cancel()

    def _piece(self, part: Any) -> None:
        good = isinstance(part, list) and len(part) == 2 and type(part[0]) is int and isinstance(part[1], bytes)
        if not good or part[0] < 0 or self.covered + part[0] > self.size:
            raise ProtocolError(f"expected a piece [bytes, data] of a file of {self.size} bytes, got {part!r:.80}")
        self.covered += part[0]
        self.apply.send_data(part[1])
        self.progress.add(0, part[0])
        self.valve.check(len(part[1]))

    def _answered(self, part: Any) -> None:
        ((index, result),) = read_answer(part, self.batch.ops)
        if self.result is not None or index:
            raise ProtocolError("expected one answer for one large file, got more")
        if result.outcome == "ok":
            if self.digest is None:
                raise ProtocolError("a file was confirmed whose content was not sent whole")
            result = result._replace(digest=self.digest)
            self.progress.add(1, 0)
        self.result = result
        self.on_results([result])

    async def wait(self) -> list[Result]:
        """Wait until the target answered; never raises for what a side did, only when this task is cancelled."""
        reason: AfieldError | None = None
        try:
            done = await self._patched()
            if not isinstance(done, dict) or not isinstance(done.get("digest"), bytes) or len(done["digest"]) != 32:
                raise ProtocolError(f"expected the digest of a file, got {done!r:.80}")
            self.digest = done["digest"]
            self.apply.send_end()
            await self.apply.wait()
        except AfieldError as error:
            reason = error
            self.cancel()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if self.result is not None:
            self.valve.way.broken.discard(self.op["path"])
            return [self.result]
        self.valve.way.broken.add(self.op["path"])
        # A side that is gone is tried again at once when it is back; what a living one refuses is listed and paced.
        lost = self.source.lost is not None or self.target.lost is not None
        return [Result(self.op, "lost" if lost else "error", error=reason)]

    async def _patched(self) -> Any:
        try:
            return await self.patch.wait()
        except AfieldError:
            if self._tables is not None:
                await self._tables.wait()  # its error is the cause, if it has one
            raise

    def cancel(self) -> None:
        """Give up; the target keeps what it has for the next time."""
        for request in self._requests:
            request.cancel()
