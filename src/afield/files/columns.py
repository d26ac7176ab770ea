"""Many ops, and their results, as columns: one value of a few long byte strings  [P].

A map an op costs about 30 µs to decode in Python, columns about 2. Rules: every length is checked, nothing is taken on
trust; integers are little-endian arrays. What the ops mean is not known here. Pure.

A *row* is what the worker uses inside: (op, path, was kind or None, was stat or None, size, executable, mtime_ns,
digest or None, target of a link or of a move, what a copy copies), with op one of the letters below.
"""

import sys
import zlib
from array import array

from afield.errors import ProtocolError
from afield.tree import planes
from afield.wire.values import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

    StatRow = Tuple[int, int, int, int]
    Row = Tuple[str, bytes, Optional[str], Optional[StatRow], int, bool, int, Optional[bytes], bytes]

LETTERS = {"dir": "D", "put": "P", "link": "L", "mode": "M", "remove": "R", "move": "V", "copy": "C"}
# Ops that make a file have its size, time and digest; some name another path, or what a link holds.
MAKES, NAMES = "PC", "LVC"
OTHERS = {"L": "target", "V": "to", "C": "from"}
COMPRESS_ABOVE = 4096
# A handful of stats fit a packet as they are.
STATS_ABOVE = 1024
FORMS = (planes.SIGNED, planes.SIGNED, planes.UNSIGNED, planes.SIGNED)
# Sixteen times the largest record: paths of one folder compress well, but not without end.
LARGEST = 16 << 20


def encode_ops(ops: "Sequence[Dict[str, Any]]") -> "bytes":
    """Give the bytes for a list of op maps (see files-service.md). Raises ProtocolError for what is no op."""
    rows = [row_of(op) for op in ops]
    puts = [row for row in rows if row[0] in MAKES]
    stats = [row[3] or (0, 0, 0, 0) for row in rows if row[2]]
    table = {
        "op": "".join(row[0] for row in rows),
        "path": b"\0".join(row[1] for row in rows),
        "was": "".join(row[2] or "-" for row in rows),
        "stat": pack_stats(stats),
        "size": _pack("q", [row[4] for row in puts]),
        "mtime": _pack("q", [row[6] for row in puts]),
        "exec": bytes(bytearray(row[5] for row in rows)),
        "has": bytes(bytearray(row[7] is not None for row in puts)),
        "digest": b"".join(row[7] or b"" for row in puts),
        "target": b"\0".join(row[8] for row in rows if row[0] in NAMES),
    }
    return squeeze(encode(table))


def decode_ops(data: "bytes") -> "List[Row]":
    """Give the rows of ``encode_ops``. Raises ProtocolError for anything else."""
    try:
        table = decode(unsqueeze(data))
        rows = list(_rows(table))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ProtocolError("expected columns of ops, got something else (%s)" % (error,))
    return rows


def _rows(table: "Dict[str, Any]") -> "Iterator[Row]":
    letters, was, flags = table["op"], table["was"], table["exec"]
    count = len(letters)
    paths = table["path"].split(b"\0") if count else []
    puts, links = (sum(letters.count(letter) for letter in some) for some in (MAKES, NAMES))
    targets = table["target"].split(b"\0") if links else []
    has = table["has"]
    same = len(was) == len(flags) == len(paths) == count and len(targets) == links and len(has) == puts
    if not same or len(table["digest"]) != 32 * sum(has):
        raise ProtocolError("expected columns of one length, got %d ops and %d paths" % (count, len(paths)))
    if set(letters) - set(LETTERS.values()) or set(was) - set("-dflo"):
        raise ProtocolError("expected ops C D L M P R V and kinds - d f l o, got others")
    stats = iter(unpack_stats(table["stat"], count - was.count("-")))
    sizes, times = _unpack("q", table["size"], puts), _unpack("q", table["mtime"], puts)
    digests, next_put, next_target, at = table["digest"], 0, 0, 0
    for letter, path, kind, flag in zip(letters, paths, was, flags):
        known = None if kind == "-" else kind
        stat = next(stats) if known else None
        target = b""
        if letter in NAMES:
            target = targets[next_target]
            next_target += 1
        if letter in MAKES:
            digest = None
            if has[next_put]:
                digest = digests[at : at + 32]
                at += 32
            yield letter, path, known, stat, sizes[next_put], flag == 1, times[next_put], digest, target
            next_put += 1
        else:
            yield letter, path, known, stat, 0, flag == 1 and letter not in NAMES, 0, None, target


def row_of(op: "Dict[str, Any]") -> "Row":
    """Give the row for one op map. Raises ProtocolError that names what is wrong."""
    try:
        letter, path, was = LETTERS[op["op"]], op["path"], op.get("was")
        kind = op.get("was_kind") or (None if was is None else "f")
        size, mtime = (op["size"], op["mtime_ns"]) if letter in MAKES else (0, 0)
        digest = op.get("digest") if letter in MAKES else None
        target = op[OTHERS[letter]] if letter in NAMES else b""
        stat = None if was is None else stat_row(was)
        good = isinstance(path, bytes) and isinstance(target, bytes) and type(size) is type(mtime) is int
        if not good or size < 0 or b"\0" in path or b"\0" in target or (kind and kind not in "dflo"):
            raise ValueError(op)
        if digest is not None and (not isinstance(digest, bytes) or len(digest) != 32):
            raise ValueError(digest)
        if letter == "C" and (digest is None or kind is not None):
            raise ValueError(op)
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError("expected an op as in files-service.md, got %.200r (%s)" % (op, error))
    return letter, path, kind, stat, size, bool(op.get("executable")), mtime, digest, target


def stat_row(value: "Any") -> "StatRow":
    """Check a stat from the wire: four integers. Raises ProtocolError."""
    if not isinstance(value, (list, tuple)) or len(value) != 4 or not all(isinstance(part, int) for part in value):
        raise ProtocolError("expected [size, mtime_ns, ino, ctime_ns], got %.100r" % (value,))
    return tuple(value)


def encode_results(results: "Sequence[Tuple[int, str, Any]]") -> "Dict[str, Any]":
    """Give the part for (index, status, value) triples; ``ok`` ones go into columns."""
    with_stat = [item for item in results if item[1] == "ok" and item[2] is not None]
    return {
        "ok": _pack("I", [item[0] for item in with_stat]),
        "stat": pack_stats([item[2] for item in with_stat]),
        "plain": _pack("I", [item[0] for item in results if item[1] == "ok" and item[2] is None]),
        "other": [list(item) for item in results if item[1] != "ok"],
    }


def decode_results(part: "Any") -> "List[List[Any]]":
    """Give [[index, status, value]…] for either form of an apply part. Raises ProtocolError."""
    if isinstance(part, list):
        return part
    try:
        index = _unpack("I", part["ok"], len(part["ok"]) // 4)
        stats = unpack_stats(part["stat"], len(index))
        plain = _unpack("I", part["plain"], len(part["plain"]) // 4)
        found: "List[List[Any]]" = [[at, "ok", list(stat)] for at, stat in zip(index, stats)]
        found.extend([at, "ok", None] for at in plain)
        found.extend(part["other"])
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError("expected the results of an apply, got something else (%s)" % (error,))
    return found


def pack_stats(stats: "Sequence[StatRow]") -> "bytes":
    """Give stats as four columns (size, mtime_ns, ino unsigned, ctime_ns) in byte planes, compressed when it pays."""
    columns = zip(*stats) if stats else ((), (), (), ())
    return squeeze(
        b"".join([b"".join(planes.split(column, form)) for column, form in zip(columns, FORMS)]), STATS_ABOVE
    )


def unpack_stats(data: "bytes", count: "int") -> "List[StatRow]":
    """Undo ``pack_stats``. Raises ProtocolError when the length is not that of ``count`` stats."""
    plain = unsqueeze(data)
    if len(plain) != 32 * count:
        raise ProtocolError("expected %d stats, got %d bytes" % (count, len(plain)))
    if not count:
        return []
    split = [plain[at : at + count] for at in range(0, len(plain), count)]
    return list(zip(*[planes.join(split[at * 8 : at * 8 + 8], form) for at, form in enumerate(FORMS)]))


def _pack(code: "str", numbers: "Sequence[int]") -> "bytes":
    column = array(code, numbers)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _unpack(code: "str", data: "bytes", count: "int") -> "Sequence[int]":
    column = array(code)
    if len(data) != count * column.itemsize:
        raise ProtocolError("expected %d numbers, got %d bytes" % (count, len(data)))
    column.frombytes(data)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def squeeze(data: "bytes", above: "int" = COMPRESS_ABOVE) -> "bytes":
    """Give ``data`` with a first byte that says whether the rest is compressed."""
    return b"Z" + zlib.compress(data, 1) if len(data) > above else b"R" + data


def unsqueeze(data: "bytes") -> "bytes":
    """Undo ``squeeze``. Raises ProtocolError for bad or endless data."""
    if data[:1] == b"R":
        return data[1:]
    if data[:1] != b"Z":
        raise ProtocolError("expected R or Z first, got %r" % (data[:1],))
    worker = zlib.decompressobj()
    try:
        plain = worker.decompress(data[1:], LARGEST)
    except zlib.error as error:
        raise ProtocolError("expected compressed bytes, got others (%s)" % (error,))
    if not worker.eof or worker.unused_data:
        raise ProtocolError("expected one whole compressed value of at most %d bytes, got more or less" % LARGEST)
    return plain
