"""What a first upload will need, prepared while the way there is being made: the plan, and the first files as bundles.

It supposes that nothing stands there yet. Rules: nothing is sent and nothing is changed; what was supposed wrongly is thrown
away; a bundle is used only for exactly the files, with the stats, that it was read for; memory is bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.errors import AfieldError
from afield.sync import outcome as outcomes
from afield.sync.limits import possible
from afield.sync.transfer import Batch, batches
from afield.tree.entries import encode_entries
from afield.tree.plan import ops_for
from afield.tree.reconcile import reconcile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from afield.sync.endpoint import Endpoint, Request
    from afield.sync.outcome import Plan
    from afield.sync.picture import Picture
    from afield.tree.reconcile import Outcome

# A plan of more takes so long that the dial, which goes on in the same thread, would wait for it (10 µs a file).
MOST_FILES = 50_000
# Of so many changes the files are read ahead: the batches are then the ones of the transfer, which begins with them.
FIRST = 6_000
# What a worker reads in the time of a dial, and little beside what a large sync takes.
MOST_BYTES = 32 << 20
# Reads under way at once, so that the worker has the next one when it is done.
AHEAD = 2


class Bundle:
    """The files of one batch, read before it is wanted."""

    def __init__(self, source: Endpoint, batch: Batch, on_done: Callable[[], None]) -> None:
        self.items = batch.items
        self.size = 0
        self._pieces: list[bytes] = []
        self._sink: Callable[[bytes], None] | None = None
        self.request: Request = source.start("read", {"items": encode_entries(batch.items)}, on_part=self._piece)
        self.request.done.add_done_callback(lambda _: on_done())

    def _piece(self, data: bytes) -> None:
        if self._sink is not None:
            self._sink(data)
        else:
            self._pieces.append(data)
            self.size += len(data)

    def pass_to(self, sink: Callable[[bytes], None]) -> Request:
        """Hand over what is here and what still comes; gives the request, which tells when that is all."""
        pieces, self._pieces = self._pieces, []
        for piece in pieces:
            sink(piece)
        self._sink = sink
        return self.request


class Foresight:
    """Made when this side was scanned and the other one cannot be asked yet."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._own = picture.here.tree.own
        self._count = len(self._own)
        self._plan: Plan | None = None
        self._found: Outcome | None = None
        self._bundles: dict[bytes, Bundle] = {}
        self._batches: Iterator[Batch] = iter(())
        self._ended = False

    def begin(self) -> None:
        """Plan, and begin to read."""
        picture = self._picture
        if not self._count or self._count > MOST_FILES or picture.rows or picture.there.tree:
            return
        keep = set(picture.here.unreadable)
        found = reconcile({}, picture.seen(picture.here), {}, picture.mode, keep=keep, paths=None)
        if found.to_here or found.conflicts or found.agreed:
            return
        tree = picture.here.tree
        self._found = found
        self._batches = batches(ops_for(found.to_there[:FIRST], {}, tree), tree.__getitem__)
        for _ in range(AHEAD):
            self._read_next()
        self._plan = outcomes.plan(found, tree, {}, paths=set(), stuck=set(), everything=True, sent=picture.sent)

    def _read_next(self) -> None:
        full = sum(bundle.size for bundle in self._bundles.values()) >= MOST_BYTES
        batch = None if self._ended or full else next((each for each in self._batches if each.items), None)
        if batch is None or batch.large:
            self._ended = True
            return
        try:
            self._bundles[batch.items[0][0]] = Bundle(self._picture.here.asked(), batch, self._read_next)
        except AfieldError:
            self._ended = True  # whoever needs the side hears of it

    def plan(self, paths: set[bytes], sent: Any) -> Plan | None:
        """Give the plan for a cycle that looks at everything when it is as supposed, else None."""
        picture, plan, found = self._picture, self._plan, self._found
        here, there = picture.here, picture.there
        as_supposed = (
            plan is not None
            and picture.compare_all
            and picture.decide_mode is None
            and here.tree.own is self._own
            and len(self._own) == self._count
            and not (picture.rows or there.tree or there.unreadable or sent)
        )
        if plan is None or found is None or not as_supposed:
            return None
        probe = there.opened.probe if there.opened is not None else {}
        if possible(found.to_there, probe, there.tree)[1]:
            return None
        return plan._replace(paths=paths)

    def bundle(self, batch: Batch) -> Bundle | None:
        """Give what was read of this batch; nothing more is read ahead from now on."""
        self._ended = True
        found = self._bundles.pop(batch.items[0][0], None) if batch.items else None
        if found is None or found.items != batch.items:
            return None
        return found

    def close(self) -> None:
        """Forget what nobody wanted."""
        self._ended = True
        bundles, self._bundles = self._bundles, {}
        for bundle in bundles.values():
            if not bundle.request.done.done():
                bundle.request.cancel()
