"""Finds in a new file what the other end holds already: the pure heart of a transfer of a large file  [P].

Fixed blocks are compared by hash where they are expected (in-place edits, appended ends: at the speed of SHA-256); after
a difference the next blocks are looked for by their needles (inserted and removed bytes: at the speed of ``bytes.find``).
Rules: every byte of the new file is in exactly one step, in order; a step is copied only where a hash says so; the
effort of a search is bounded and searches that fail get rarer, so a file that is all different costs little more.
No I/O: bytes come through ``read(offset, length)``, rows through a ``Table`` that may still grow.
"""

from afield.files.blocks import NEEDLE, digest_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, List, Optional, Tuple

    from afield.files.blocks import Table

    Step = Tuple[str, int, Any]

# How far a search looks: an insertion of up to this is found at once, larger ones by the next searches.
WINDOW = 8 << 20
# The first look is a near one: most edits are small, and a needle that is gone costs a pass over what is looked at.
NEAR = 4
# Candidates per needle: common bytes (zeros, blanks) stand everywhere, and each costs a hash.
CANDIDATES = 6
PROBES = 48
READ = 1 << 20
NEED: "Step" = ("need", 0, None)
REST: "Step" = ("rest", 0, None)


class Window:
    """The part of the new file that is in memory."""

    def __init__(self, read: "Callable[[int, int], bytes]", stop: "int") -> "None":
        self.read = read
        self.stop = stop
        self.start = 0
        self.data = b""

    def hold(self, at: "int", length: "int") -> "None":
        """Have ``length`` bytes from ``at`` on in ``data`` (fewer at the end); what is before ``at`` may go."""
        end = min(at + length, self.stop)
        have = self.start + len(self.data)
        if at >= self.start and end <= have:
            return
        kept = self.data[at - self.start :] if self.start <= at < have else b""
        begin = at + len(kept)
        more = min(max(end - begin, READ), self.stop - begin)
        self.data = kept + self.read(begin, more) if kept else self.read(begin, more)
        self.start = at

    def view(self, at: "int", length: "int") -> "memoryview":
        """Give bytes that ``hold`` made sure of."""
        begin = at - self.start
        return memoryview(self.data)[begin : begin + length]


class Matcher:
    """``steps(start, stop)`` of the new file, once for each range, in order.

    Steps: ("copy", offset in the old file, memoryview), ("data", 0, memoryview), REST (a moment to give way), NEED
    (more rows of the table have to come before it can go on). The views hold the bytes of the new file and are valid
    until the next step is asked for.
    """

    def __init__(self, read: "Callable[[int, int], bytes]", size: "int", table: "Table") -> "None":
        self.table = table
        self.window = Window(read, size)
        # The block that is expected next, and the one after the last that matched: where an insertion goes on.
        self.expected = 0
        self.anchor = 0
        self.search_from = 0
        self.fails = 0

    def begin_at(self, offset: "int") -> "None":
        """Say that the new file is known up to here by other means."""
        self.expected = self.anchor = -(-offset // self.table.block)

    def steps(self, start: "int", stop: "int") -> "Iterator[Step]":
        """Give the steps that make up the new file from ``start`` to ``stop``."""
        table, window = self.table, self.window
        window.stop = stop
        at = start
        while at < stop:
            while self.expected >= table.count and not table.complete:
                yield NEED
            window.hold(at, table.block)
            length = min(table.block, stop - at)
            number = self._known(at, length)
            if number is not None:
                length = table.length(number)
                yield "copy", number * table.block, window.view(at, length)
                at += length
                self.expected = self.anchor = number + 1
                self.fails = 0
                self.search_from = at
                continue
            if at >= self.search_from:
                while not table.complete:
                    yield NEED
                found: "Optional[Tuple[int, int]]" = None
                for found in self._search(at, stop):
                    if found is not None:
                        break
                    yield REST
                if found is not None and found[0] > at:
                    yield "data", 0, window.view(at, found[0] - at)
                if found is not None:
                    at, self.expected = found
                    self.anchor = self.expected
                    continue
                self.search_from = at + (WINDOW << min(self.fails, 6))
                self.fails += 1
            yield "data", 0, window.view(at, length)
            at += length
            self.expected += 1

    def _known(self, at: "int", length: "int") -> "Optional[int]":
        """Give the number of the old block that stands at ``at``: the expected one, or any with the same hash."""
        table = self.table
        if not table.count:
            return None
        digest = digest_of(self.window.view(at, length))
        expected = self.expected
        if expected < table.count and table.digests[expected] == digest and table.length(expected) == length:
            return expected
        number = table.index.get(digest)
        if number is not None and table.length(number) == length:
            return number
        # The old file may end in a short block in the middle of the new one (something was appended).
        if expected == table.total - 1 and table.complete and table.length(expected) < length:
            short = self.window.view(at, table.length(expected))
            if digest_of(short) == table.digests[expected]:
                return expected
        return None

    def _search(self, at: "int", stop: "int") -> "Iterator[Optional[Tuple[int, int]]]":
        """Look for old blocks at any offset from ``at`` on; yields None to give way, then (offset, block) if found."""
        table, window = self.table, self.window
        if not table.total:
            return
        window.hold(at, table.block * 2)
        following = self.expected + 1
        if at + table.block < stop and self._stands(following, at + table.block):
            # One block was changed in place, by far the most common edit.
            yield at + table.block, following
            return
        for reach, probes in ((NEAR * table.block, self._near()), (WINDOW, self._far())):
            window.hold(at, max(reach, 2 * table.block))
            best: "Optional[Tuple[int, int]]" = None
            for number in probes:
                # The nearest hit wins: whether bytes came or went shows only when all candidates were looked for.
                place = self._find(number, at, best[0] if best else stop)
                if place is not None:
                    best = self._grow_back(place, number, at)
                if best is not None and best[0] - at <= NEAR * table.block:
                    break
                yield None
            if best is not None:
                yield best
                return

    def _near(self) -> "List[int]":
        wanted = [self.anchor, self.anchor + 1, self.anchor + 2, self.expected + 2]
        return [number for number in dict.fromkeys(wanted) if number < self.table.total]

    def _far(self) -> "List[int]":
        """Which blocks to look for: near ones, then ever farther ones (bytes were removed), in even steps at last."""
        total, block = self.table.total, self.table.block
        steps = [1 << power for power in range(2, 40) if (1 << power) * block <= WINDOW]
        stride = max(1, WINDOW // 2 // block)
        first = self.anchor
        wanted = [first, first + 1, self.expected + 1, *[first + step for step in steps]]
        wanted += range(first + stride, total, stride)
        wanted += range(stride, min(first, total), stride)
        wanted = [number for number in dict.fromkeys(wanted) if number < total]
        return wanted[:PROBES]

    def _find(self, number: "int", at: "int", end: "int") -> "Optional[int]":
        """Give the offset in what is in memory, from ``at`` on and before ``end``, at which an old block stands."""
        window, table = self.window, self.table
        if table.length(number) < table.block:
            return None
        place, needle = table.needle(number)
        begin = at - window.start + place
        for _ in range(CANDIDATES):
            found = window.data.find(needle, begin, end - window.start + place + NEEDLE)
            if found < 0:
                return None
            offset = window.start + found - place
            if self._stands(number, offset):
                return offset
            begin = found + 1
        return None

    def _stands(self, number: "int", offset: "int") -> "bool":
        """Tell whether an old block stands at ``offset``, as far as that is in memory."""
        table, window = self.table, self.window
        if not 0 <= number < table.count or offset < window.start:
            return False
        length = table.length(number)
        view = window.view(offset, length)
        return len(view) == length and digest_of(view) == table.digests[number]

    def _grow_back(self, offset: "int", number: "int", at: "int") -> "Tuple[int, int]":
        """Take the blocks before a found one along, as far as they stand there, too."""
        block = self.table.block
        while number > 0 and offset - block >= at and self._stands(number - 1, offset - block):
            offset -= block
            number -= 1
        return offset, number
