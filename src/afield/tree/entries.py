"""What stands at a path (node, stat, entry), and many of them as bytes: columns  [P].

Rules: a node says what has to be the same on both sides, a stat is how one side sees that a file is unchanged. A file
with content None is *unknown* and equal to nothing, itself included: compare nodes with ``same``. What comes in is
checked whole (paths, kinds, counts, lengths, what it would expand to) before anything of it is given out.

Columns: ``<BBIII`` version 1, flags (1: the head is deflated), count, length of the head as it is, as it is stored; the
head; the rest. Head: u32 mask of the planes that are in the rest, u32 length of the names, u32 length of the link
targets, names and targets each joined by NUL, one kind byte an entry, planes. Rest: SHA-256 digests, planes that
look like noise. Names are not front-coded: for 8,000 of them that takes Python 14 ms, and deflating them as they are 0.6 ms.
"""

import gc
import struct
import zlib
from collections import namedtuple
from itertools import chain, repeat

from afield.errors import BadPath, ProtocolError
from afield.tree import paths, planes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

    class Node(NamedTuple):
        """What both sides have to agree on."""

        kind: str
        executable: bool
        content: Optional[bytes]

    class Stat(NamedTuple):
        """How one side recognises an unchanged file: bytes, ns since 1970, inode, ns since 1970."""

        size: int
        mtime_ns: int
        ino: int
        ctime_ns: int

    class Entry(NamedTuple):
        """What a scan found at a path."""

        node: Node
        stat: Stat

    Pair = Tuple[bytes, Entry]

else:
    Node = namedtuple("Node", "kind executable content")
    Node.__doc__ = "Kind d, f, l or o; executable (files only); SHA-256 or None of a file, target of a link, else None."
    Stat = namedtuple("Stat", "size mtime_ns ino ctime_ns")
    Stat.__doc__ = "How one side recognises an unchanged file: bytes, ns since 1970, inode, ns since 1970."
    Entry = namedtuple("Entry", "node stat")
    Entry.__doc__ = "What a scan found at a path."

FOLDER = Node("d", False, None)
OTHER = Node("o", False, None)
UNKNOWN = Node("f", False, None)
UNKNOWN_EXECUTABLE = Node("f", True, None)

DIGEST = 32  # bytes of a SHA-256
SMALL = 4096  # below this a deflated head saves less than a packet
MAX_HEAD = 32 << 20  # names and numbers of half a million entries; a peer cannot make us expand more than that
PART_ENTRIES = (
    8192  # an entry takes at most 65 bytes beside its names: with PART_NAMES less than 1 MiB, whatever is in it
)
PART_NAMES = 448 << 10
_HEADER = struct.Struct("<BBIII")
_HEAD = struct.Struct("<III")
_VERSION = 1
_DEFLATED = 1
_LEVEL = 1  # level 6 takes three times as long for a tenth less
_FORMS = (planes.UNSIGNED, planes.SIGNED, planes.UNSIGNED, planes.SIGNED)
_PLANES = len(_FORMS) * planes.WIDTH
_U64, _I64_LEAST, _I64_MOST = (1 << 64) - 1, -(1 << 63), (1 << 63) - 1
_SIMPLE = {b"d"[0]: FOLDER, b"o"[0]: OTHER, b"f"[0]: UNKNOWN, b"x"[0]: UNKNOWN_EXECUTABLE}
_KINDS = {node: code for code, node in _SIMPLE.items()}
_DIGEST, _DIGEST_EXECUTABLE, _LINK = b"F"[0], b"X"[0], b"l"[0]
_CODES = bytes(sorted(_SIMPLE)) + b"FXl"
# Any of these in names that are framed and joined by slashes is an empty part, . or .. (or an empty or absolute path).
_BAD = (b"//", b"/./", b"/../")


def same(one: "Optional[Node]", other: "Optional[Node]") -> "bool":
    """Tell whether two nodes (or None: nothing there) are known to be equal."""
    return one == other and not (one is not None and one.content is None and one.kind == "f")


def stat_from_value(value: "Any") -> "Stat":
    """Give the stat of a value; raises ProtocolError."""
    if isinstance(value, list) and len(value) == 4 and all(type(number) is int for number in value):
        stat = Stat(*value)
        times = min(stat.mtime_ns, stat.ctime_ns) >= _I64_LEAST and max(stat.mtime_ns, stat.ctime_ns) <= _I64_MOST
        if times and 0 <= stat.size <= _I64_MOST and 0 <= stat.ino <= _U64:
            return stat
    raise ProtocolError("expected a stat [size, mtime_ns, ino, ctime_ns], got %.100r" % (value,))


def entry_parts(pairs: "Iterable[Pair]") -> "Iterator[List[Pair]]":
    """Cut pairs into lists of which each fits a record of 1 MiB as columns, also when nothing deflates."""
    part = []  # type: List[Pair]
    names = 0
    for pair in pairs:
        node = pair[1].node
        weight = len(pair[0]) + 2 + (len(node.content) if node.kind == "l" and node.content else 0)
        if part and (len(part) >= PART_ENTRIES or names + weight > PART_NAMES):
            yield part
            part, names = [], 0
        part.append(pair)
        names += weight
    if part:
        yield part


def encode_entries(pairs: "Sequence[Pair]") -> "bytes":
    """Give the columns of ``[(path, Entry)]``, in that order; raises ProtocolError for more than MAX_HEAD bytes of names."""
    names = b"\0".join([path for path, _ in pairs])
    kinds, digests, targets = _encode_nodes([entry.node for _, entry in pairs])
    numbers = list(chain.from_iterable([entry.stat for _, entry in pairs]))
    split = list(chain.from_iterable(planes.split(numbers[at :: len(_FORMS)], form) for at, form in enumerate(_FORMS)))
    noise = [planes.is_noise(plane) for plane in split]
    mask = sum(1 << place for place, is_noise in enumerate(noise) if is_noise)
    goal = b"\0".join(targets)
    head = [_HEAD.pack(mask, len(names), len(goal)), names, goal, kinds]
    head.extend(plane for plane, is_noise in zip(split, noise) if not is_noise)
    plain = b"".join(head)
    if len(plain) > MAX_HEAD:
        raise ProtocolError(
            "%d entries are too many for one block of columns" % len(pairs), hint="cut with entry_parts"
        )
    stored = zlib.compress(plain, _LEVEL) if len(plain) > SMALL else plain
    flags = _DEFLATED if stored is not plain else 0
    rest = digests + [plane for plane, is_noise in zip(split, noise) if is_noise]
    return b"".join([_HEADER.pack(_VERSION, flags, len(pairs), len(plain), len(stored)), stored] + rest)


def _encode_nodes(nodes: "List[Node]") -> "Tuple[bytes, List[bytes], List[bytes]]":
    kinds = bytearray()
    digests, targets = [], []  # type: Tuple[List[bytes], List[bytes]]
    for node in nodes:
        kind, executable, content = node
        if content is None:
            code = _KINDS.get(node)
            if code is None:
                raise ProtocolError("expected a node, got %.100r" % (node,))
            kinds.append(code)
        elif kind == "f" and len(content) == DIGEST:
            kinds.append(_DIGEST_EXECUTABLE if executable else _DIGEST)
            digests.append(content)
        elif kind == "l" and content and b"\0" not in content:
            kinds.append(_LINK)
            targets.append(content)
        else:
            raise ProtocolError("expected a node, got %.100r" % (node,))
    return bytes(kinds), digests, targets


def decode_entries(data: "bytes", *, limit: "int" = MAX_HEAD) -> "List[Pair]":
    """Give ``[(path, Entry)]`` of columns. ``limit``: bytes that the head may expand to. Raises ProtocolError."""
    if len(data) < _HEADER.size:
        raise ProtocolError("expected columns of entries, got %d bytes" % len(data))
    version, flags, count, size, stored = _HEADER.unpack_from(data)
    if version != _VERSION or flags & ~_DEFLATED:
        raise ProtocolError("expected columns of version %d, got version %d, flags %d" % (_VERSION, version, flags))
    if size > limit or stored > len(data) - _HEADER.size:
        raise ProtocolError("a head of %d bytes (%d stored): allowed are %d" % (size, stored, limit))
    head = memoryview(data)[_HEADER.size : _HEADER.size + stored]
    plain = _inflate(head, size) if flags else bytes(head)
    if len(plain) != size:
        raise ProtocolError("expected a head of %d bytes, got %d" % (size, len(plain)))
    # Half a million new tuples would start the collector hundreds of times; none of them is in a cycle.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _decode_columns(plain, bytes(data[_HEADER.size + stored :]), count)
    finally:
        if collecting:
            gc.enable()


def _inflate(data: "memoryview", size: "int") -> "bytes":
    machine = zlib.decompressobj()
    try:
        plain = machine.decompress(data, size + 1)  # one more than promised shows a liar without expanding the rest
    except zlib.error as error:
        raise ProtocolError("expected deflated columns: %s" % error) from None
    if not machine.eof or machine.unused_data:
        raise ProtocolError("expected deflated columns of %d bytes, got another length" % size)
    return plain


def _decode_columns(head: "bytes", rest: "bytes", count: "int") -> "List[Pair]":
    if len(head) < _HEAD.size:
        raise ProtocolError("expected the head of columns, got %d bytes" % len(head))
    mask, names_size, targets_size = _HEAD.unpack_from(head)
    in_rest = bin(mask).count("1")
    kinds_at = _HEAD.size + names_size + targets_size
    kinds = head[kinds_at : kinds_at + count]
    digests = kinds.count(b"F") + kinds.count(b"X")
    if len(head) != kinds_at + count * (1 + _PLANES - in_rest) or len(rest) != count * in_rest + digests * DIGEST:
        raise ProtocolError("columns of %d entries have a wrong length: %d + %d" % (count, len(head), len(rest)))
    names = _decode_names(head[_HEAD.size : _HEAD.size + names_size], count)
    targets = _decode_targets(head[_HEAD.size + names_size : kinds_at], kinds.count(b"l"))
    nodes = _decode_nodes(kinds, rest, targets)
    columns = _decode_numbers(mask, head, kinds_at + count, rest, digests * DIGEST)
    if count and max(columns[0]) > _I64_MOST:
        raise ProtocolError("expected sizes of at most 2^63 - 1 bytes, got %d" % max(columns[0]))
    # tuple.__new__ skips the constructor written in Python, which would be most of the time here.
    stats = map(tuple.__new__, repeat(Stat), zip(*columns))  # type: Iterable[Any]
    return list(zip(names, map(tuple.__new__, repeat(Entry), zip(nodes, stats))))


def _decode_names(block: "bytes", count: "int") -> "List[bytes]":
    if not count:
        if block:
            raise ProtocolError("names for no entries: %.100r" % block)
        return []
    names = block.split(b"\0")
    if len(names) != count:
        raise ProtocolError("expected %d names, got %d" % (count, len(names)))
    framed = b"/" + block.replace(b"\0", b"/") + b"/"
    # Searching the block at once takes a tenth of the time of a check for each; only a suspicious block is looked at so.
    if max(map(len, names)) > paths.MAX_NAME or any(bad in framed for bad in _BAD):
        try:
            for name in names:
                paths.check(name)
        except BadPath as error:
            raise ProtocolError("columns hold a path that cannot be: %s" % error) from None
    return names


def _decode_targets(block: "bytes", count: "int") -> "List[bytes]":
    targets = block.split(b"\0") if count else []
    if len(targets) != count or (block and not count) or not all(targets):
        raise ProtocolError("expected %d link targets, got %.100r" % (count, block))
    if targets and max(map(len, targets)) > paths.MAX_PATH:
        raise ProtocolError("a link target has more than %d bytes" % paths.MAX_PATH)
    return targets


def _decode_nodes(kinds: "bytes", digests: "bytes", targets: "List[bytes]") -> "List[Node]":
    if kinds.translate(None, _CODES):
        raise ProtocolError("expected kinds of %r, got %.20r" % (_CODES, kinds.translate(None, _CODES)))
    if not kinds.translate(None, bytes(_SIMPLE)):
        return [_SIMPLE[code] for code in kinds]
    nodes = []
    place, links = 0, iter(targets)
    for code in kinds:
        if code in _SIMPLE:
            nodes.append(_SIMPLE[code])
        elif code == _LINK:
            nodes.append(Node("l", False, next(links)))
        else:
            nodes.append(Node("f", code == _DIGEST_EXECUTABLE, digests[place : place + DIGEST]))
            place += DIGEST
    return nodes


def _decode_numbers(mask: "int", head: "bytes", at: "int", rest: "bytes", rest_at: "int") -> "List[Sequence[int]]":
    count = (len(rest) - rest_at) // bin(mask).count("1") if mask else (len(head) - at) // _PLANES
    split = []
    for place in range(_PLANES):
        if mask >> place & 1:
            split.append(rest[rest_at : rest_at + count])
            rest_at += count
        else:
            split.append(head[at : at + count])
            at += count
    width = planes.WIDTH
    return [planes.join(split[column * width : column * width + width], form) for column, form in enumerate(_FORMS)]
