"""Trees of a million paths in little memory: what was agreed on (``Rows``), and one side as what differs from it (``SideTree``).

An entry is one bytes object: a code for its kind, its stats as 32 bytes each, its content. A side that equals the base
holds nothing of its own, so a synced tree is in memory once. Rules: both are mappings like any other (path → Row, path → Entry);
what is given out is made on demand; ``below`` costs what it gives. No I/O.
"""

from __future__ import annotations

import gc
import struct
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any, NamedTuple

from afield.tree.entries import FOLDER, OTHER, UNKNOWN, UNKNOWN_EXECUTABLE, Entry, Node, Stat
from afield.tree.listing import digest_of

# u64 size, mtime, inode, ctime; times may be before 1970.
STAT = struct.Struct("<QqQq")
# The codes of tree/entries.py: o other, f and x files of unknown content, F and X of a known one, l link.
_SIMPLE = {b"d"[0]: FOLDER, b"o"[0]: OTHER, b"f"[0]: UNKNOWN, b"x"[0]: UNKNOWN_EXECUTABLE}
_CODES = {node: bytes([code]) for code, node in _SIMPLE.items()}
_EXECUTABLE, _LINK, _FOLDER = b"X"[0], b"l"[0], b"d"[0]
_LETTERS = {b"d"[0]: b"d", b"F"[0]: b"f", b"X"[0]: b"x", b"l"[0]: b"l"}
# In an entry the content follows one stat, in a row two.
_IN_ENTRY, _IN_ROW = 33, 65
# So many new paths are put into the sorted list one by one; more are sorted in at once.
FEW = 64
# Files of one content that are worth knowing: one of them will stand as it was agreed on.
ALIKE = 4
_MISSING = b"?"
# The stat of a folder changes with every name in it and says nothing: all folders are equal.
_FOLDER_ENTRY, _FOLDER_ROW = b"d" + bytes(32), b"d" + bytes(64)


class Row(NamedTuple):
    """What was agreed at one path: the node, and its stat here and there."""

    node: Node
    here: Stat
    there: Stat


def _code(node: Node) -> bytes:
    if node.content is None:
        return _CODES[node]
    if node.kind == "l":
        return b"l"
    return b"X" if node.executable else b"F"


def _node(data: bytes, at: int) -> Node:
    code = data[0]
    simple = _SIMPLE.get(code)
    if simple is not None:
        return simple
    return Node("l", False, data[at:]) if code == _LINK else Node("f", code == _EXECUTABLE, data[at:])


def _stat(data: bytes, at: int) -> Stat:
    return Stat._make(STAT.unpack_from(data, at))


def pack_row(row: Row) -> bytes:
    """A row as bytes. Raises KeyError for a node that cannot be, struct.error for numbers beyond 64 bits."""
    node, here, there = row
    if node.kind == "d":
        return _FOLDER_ROW
    return b"".join((_code(node), STAT.pack(*here), STAT.pack(*there), node.content or b""))


def is_row(path: bytes, data: bytes) -> bool:
    """Whether these can be a path and a packed row."""
    size = len(data) - _IN_ROW
    code = data[:1]
    return bool(path) and (
        (code in (b"F", b"X") and size == 32) or (code == b"l" and size > 0) or (code, size) == (b"d", 0)
    )


def _pack_entry(entry: Entry) -> bytes:
    node = entry.node
    if node.kind == "d":
        return _FOLDER_ENTRY
    return b"".join((_code(node), STAT.pack(*entry.stat), node.content or b""))


class Sorted:
    """The sorted keys of a dict, made when first asked for and kept up from then on."""

    def __init__(self, of: dict[bytes, Any]) -> None:
        self._of = of
        self._keys: list[bytes] | None = None
        self._new: list[bytes] = []

    def added(self, path: bytes) -> None:
        """A key came."""
        if self._keys is not None:
            self._new.append(path)

    def clear(self) -> None:
        """All keys went."""
        self._keys = None
        self._new = []

    def below(self, path: bytes) -> list[bytes]:
        """All keys below a folder, sorted; for the root all."""
        keys = self._sorted()
        if not path:
            start, end = 0, len(keys)
        else:
            start, end = bisect_left(keys, path + b"/"), bisect_left(keys, path + b"0")
        of = self._of
        found = [key for key in keys[start:end] if key in of]
        if len(found) != end - start:
            keys[start:end] = found
        return found

    def _sorted(self) -> list[bytes]:
        if self._keys is None:
            self._keys = sorted(self._of)
        elif self._new:
            self._insert(self._keys, sorted(set(self._new)))
        self._new = []
        return self._keys

    @staticmethod
    def _insert(keys: list[bytes], new: list[bytes]) -> None:
        at = bisect_left(keys, new[0])
        if at == len(keys) or keys[at] > new[-1]:
            # A new folder: one move of what comes after it.
            keys[at:at] = new
            return
        places = ((bisect_left(keys, path), path) for path in new)
        fresh = [path for place, path in places if place == len(keys) or keys[place] != path]
        if len(fresh) <= FEW:
            for path in fresh:
                insort(keys, path)
        else:
            # Two sorted runs: sorting is merging them.
            keys += fresh
            keys.sort()


class Rows(MutableMapping[bytes, Row]):
    """Path → Row. ``packed``: as bytes, for the store."""

    def __init__(self, packed: dict[bytes, bytes] | None = None) -> None:
        self.packed: dict[bytes, bytes] = {} if packed is None else packed
        self._sorted = Sorted(self.packed)
        self._digests: list[tuple[bytes, bytes, bytes]] | None = None

    def __getitem__(self, path: bytes) -> Row:
        data = self.packed[path]
        return Row(_node(data, _IN_ROW), _stat(data, 1), _stat(data, 33))

    def __setitem__(self, path: bytes, row: Row) -> None:
        if path not in self.packed:
            self._sorted.added(path)
        self.packed[path] = pack_row(row)
        self._digests = None

    def __delitem__(self, path: bytes) -> None:
        del self.packed[path]
        self._digests = None

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.packed)

    def __len__(self) -> int:
        return len(self.packed)

    def __contains__(self, path: object) -> bool:
        return path in self.packed

    def node(self, path: bytes) -> Node | None:
        """The node at a path."""
        data = self.packed.get(path)
        return None if data is None else _node(data, _IN_ROW)

    def entry(self, path: bytes, side: int) -> bytes | None:
        """The packed entry that side 0 (here) or 1 (there) had when it was agreed on."""
        data = self.packed.get(path)
        if data is None:
            return None
        return data[:33] + data[65:] if side == 0 else data[:1] + data[33:]

    def below(self, path: bytes) -> list[bytes]:
        """All paths below a folder, sorted."""
        return self._sorted.below(path)

    def folders(self) -> list[tuple[bytes, bytes, bytes]]:
        """Every folder with the digests of its listing here and there (see tree/listing.py)."""
        if self._digests is None:
            # A hundred thousand new tuples, none in a cycle, would start the collector again and again.
            collecting = gc.isenabled()
            gc.disable()
            try:
                self._digests = [(path, *_digests(children)) for path, children in self._groups().items()]
            finally:
                if collecting:
                    gc.enable()
        return self._digests

    def _groups(self) -> dict[bytes, list[tuple[bytes, bytes]]]:
        groups: dict[bytes, list[tuple[bytes, bytes]]] = {b"": []}
        for path, data in self.packed.items():
            above, _, name = path.rpartition(b"/")
            groups.setdefault(above, []).append((name, data))
            if data[0] == _FOLDER:
                groups.setdefault(path, [])
        return groups

    def of_sizes(self, sizes: set[int]) -> dict[tuple[int, bytes], list[bytes]]:
        """Give (size, content) → paths, at most ALIKE, of the files with these sizes in bytes; one pass over all rows."""
        wanted = {size.to_bytes(8, "little"): size for size in sizes}
        found: dict[tuple[int, bytes], list[bytes]] = {}
        for path, data in self.packed.items():
            if data[1:9] in wanted and _LETTERS.get(data[0]) in (b"f", b"x"):
                paths = found.setdefault((wanted[data[1:9]], data[_IN_ROW:]), [])
                if len(paths) < ALIKE:
                    paths.append(path)
        return found

    def clear(self) -> None:
        """Forget all."""
        self.packed.clear()
        self._sorted.clear()
        self._digests = None


def _digests(children: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    children.sort()
    names = [_LETTERS[data[0]] + name for name, data in children]
    files = [data for _, data in children if data[0] != _FOLDER]
    here, there = b"".join([data[1:33] for data in files]), b"".join([data[33:65] for data in files])
    return digest_of(names, here), digest_of(names, there)


class SideTree(MutableMapping[bytes, Entry]):
    """Path → Entry of one side: ``own`` has what differs from what ``rows`` say of it (None: nothing stands there)."""

    def __init__(self, side: int, rows: Rows | None = None) -> None:
        self.side = side
        self.rows = Rows() if rows is None else rows
        self.own: dict[bytes, bytes | None] = {}
        self._sorted = Sorted(self.own)
        self._count = len(self.rows)

    def attach(self, rows: Rows) -> None:
        """Take the rows for the tree, and forget what was known."""
        self.rows = rows
        self.own.clear()
        self._sorted.clear()
        self._count = len(rows)

    def adopt(self, other: SideTree) -> None:
        """Take over all of another tree that stands on nothing; this one has to be empty, and so have its rows."""
        self.own = other.own
        self._sorted = Sorted(self.own)
        self._count = len(other)

    def detach(self, rows: Rows) -> None:
        """Hold all by itself, on the empty ``rows``: the old ones are going to be forgotten. Costs what the tree has."""
        own = {path: self.packed(path) for path in self}
        self.attach(rows)
        self.own.update(own)
        self._count = len(own)

    def grew(self) -> None:
        """Something stands at a path now where nothing stood, because the rows say so."""
        self._count += 1

    def reset(self, path: bytes) -> bool:
        """Take what the rows say of a path; gives whether something else stood there."""
        if path not in self.own:
            return False
        was = self.own.pop(path)
        self._count += (path in self.rows.packed) - (was is not None)
        return True

    def packed(self, path: bytes) -> bytes | None:
        """The entry as bytes; equal bytes are equal entries."""
        data = self.own.get(path, _MISSING)
        return self.rows.entry(path, self.side) if data is _MISSING else data

    def put(self, path: bytes, data: bytes | None) -> None:
        """Make ``data`` (None: nothing) what stands at the path; no change of the count."""
        if data == self.rows.entry(path, self.side):
            self.own.pop(path, None)
            return
        if path not in self.own:
            self._sorted.added(path)
        self.own[path] = data

    def __getitem__(self, path: bytes) -> Entry:
        found: Entry | None = self.get(path)
        if found is None:
            raise KeyError(path)
        return found

    def get(self, path: bytes, default: Any = None) -> Any:
        """As of any mapping."""
        data = self.own.get(path, _MISSING)
        if data is _MISSING:
            row = self.rows.packed.get(path)
            if row is None:
                return default
            return Entry(_node(row, _IN_ROW), _stat(row, 1 if self.side == 0 else 33))
        return default if data is None else Entry(_node(data, _IN_ENTRY), _stat(data, 1))

    def node(self, path: bytes) -> Node | None:
        """The node at a path: cheaper than the entry."""
        data = self.own.get(path, _MISSING)
        if data is _MISSING:
            row = self.rows.packed.get(path)
            return None if row is None else _node(row, _IN_ROW)
        return None if data is None else _node(data, _IN_ENTRY)

    def __contains__(self, path: object) -> bool:
        data = self.own.get(path, _MISSING)  # type: ignore[call-overload]
        return path in self.rows.packed if data is _MISSING else data is not None

    def __setitem__(self, path: bytes, entry: Entry) -> None:
        if path not in self:
            self._count += 1
        self.put(path, _pack_entry(entry))

    def __delitem__(self, path: bytes) -> None:
        if path not in self:
            raise KeyError(path)
        self._count -= 1
        self.put(path, None)

    def __iter__(self) -> Iterator[bytes]:
        own = self.own
        for path in self.rows.packed:
            if path not in own:
                yield path
        for path, data in own.items():
            if data is not None:
                yield path

    def __len__(self) -> int:
        return self._count

    def below(self, path: bytes) -> Iterable[bytes]:
        """All paths below a folder, in no fixed order."""
        own = self.own
        for known in self.rows.below(path):
            if known not in own:
                yield known
        for known in self._sorted.below(path):
            if own[known] is not None:
                yield known


def agree(rows: Rows, sides: Iterable[SideTree], new: dict[bytes, Row], gone: Iterable[bytes]) -> None:
    """Change the rows under the trees that stand on them, so that no tree changes by it."""
    trees = list(sides)
    for path, row in [*new.items(), *((path, None) for path in gone)]:
        before = [tree.packed(path) for tree in trees]
        if row is None:
            del rows[path]
        else:
            rows[path] = row
        for tree, data in zip(trees, before, strict=True):
            tree.put(path, data)


def take_over(rows: Rows, sides: Iterable[SideTree], new: dict[bytes, Row]) -> None:
    """Change the rows and have the trees say the same of these paths, whatever they said before: what both sides confirmed."""
    trees = list(sides)
    for path, row in new.items():
        known = path in rows.packed
        for tree in trees:
            was = tree.own.pop(path, _MISSING)
            if was is None or (was is _MISSING and not known):
                tree.grew()
        rows[path] = row
