"""The picture that one project's cycles work on: both sides, what they agreed on, what is open. No steps in here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from afield.sync.packed import Rows, agree
from afield.sync.problems import Problems
from afield.sync.valve import Way
from afield.sync.views import BlindView, NodeView

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.sync.base import BaseStore
    from afield.sync.foresight import Foresight
    from afield.sync.pace import Limit
    from afield.sync.packed import Row
    from afield.sync.side import Side
    from afield.tree.entries import Entry
    from afield.tree.reconcile import Conflict
    from afield.tree.rules import ModeRules


class Picture:
    """``now`` gives seconds on a steady clock. ``pending`` are paths that the next cycle has to look at again."""

    def __init__(
        self,
        here: Side,
        there: Side,
        store: BaseStore,
        *,
        mode: str | ModeRules,
        limit: Limit | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.here = here
        self.there = there
        self.store = store
        self.mode = mode
        # Set while conflicts are being settled: another mode for some paths.
        self.decide_mode: Callable[[bytes], str] | None = None
        self.now = now
        # Seconds that the clock there is ahead of the one here, as far as that is sure.
        self.ahead = 0.0
        # What was learnt of each direction, by the side that gets the bytes.
        self.ways = {"here": Way(limit), "there": Way(limit)}
        self.rows = Rows()
        # What was prepared for a first upload, until it is done.
        self.foresight: Foresight | None = None
        self.problems = Problems()
        self.conflicts: dict[bytes, Conflict] = {}
        # What the last cycle agreed on, for whoever keeps contents of it.
        self.news: list[bytes] = []
        self.pending: set[bytes] = set()
        # New files that are sent although they might be renamed ones: the move failed.
        self.sent: set[bytes] = set()
        # Until the first cycle is done, everything has to be compared, not only what changed.
        self.compare_all = True

    def take_rows(self, rows: Rows) -> None:
        """Stand on what was agreed on before; both sides have to be scanned then."""
        self.rows = rows
        for side in (self.here, self.there):
            side.tree.attach(rows)
            side.needs_scan = True
        self.compare_all = not rows

    def forget_rows(self) -> None:
        """Agree on nothing; what is known of the sides stays."""
        rows = Rows()
        for side in (self.here, self.there):
            if side.was_scanned:
                side.tree.detach(rows)
            else:
                side.tree.attach(rows)
        self.rows = rows
        self.compare_all = True

    def agree(self, new: dict[bytes, Row], gone: list[bytes]) -> None:
        """Take over what a cycle agreed on."""
        agree(self.rows, (self.here.tree, self.there.tree), new, gone)

    def side(self, name: str) -> Side:
        """The side called "here" or "there"."""
        return self.here if name == "here" else self.there

    def base(self) -> NodeView:
        """What was agreed on, as nodes."""
        return NodeView(self.rows)

    def seen(self, side: Side) -> NodeView:
        """The nodes of a side, as far as its file system can show them."""
        other = self.there if side is self.here else self.here
        probe = side.opened.probe if side.opened is not None else {}
        if probe.get("exec_bit", True):
            return NodeView(side.tree)
        return BlindView(side.tree, self.rows, other.tree)

    def entry(self, side: str, path: bytes) -> Entry | None:
        """What is known to stand at a path of a side."""
        found: Entry | None = self.side(side).tree.get(path)
        return found

    @property
    def quiet(self) -> bool:
        """Whether nothing is known to be open right now (what waits for its time does not count)."""
        sides = (self.here, self.there)
        return not (self.compare_all or self.pending or any(side.changed or side.needs_scan for side in sides))
