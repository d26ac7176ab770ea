"""Small contents of a side, whole: read for a diff or a merge, and written by one. Sizes are bounded by the caller.

Rules: what is read is checked against the stat that was asked for; what is written replaces only what was looked at, and
what it replaces goes to the history of that side.
"""

from __future__ import annotations

import hashlib
import struct
import time
from typing import TYPE_CHECKING, Any

from afield.errors import AfieldError, FileChanged, ProtocolError, from_value
from afield.files.columns import decode_results
from afield.tree.entries import Entry, Node, Stat, stat_from_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from afield.sync.side import Side

LENGTH = struct.Struct("<Q")
# One piece of follow-up data: far below the 1 MiB of a record.
PIECE = 256 << 10


async def read_contents(side: Side, items: Mapping[bytes, Stat]) -> dict[bytes, bytes]:
    """Give the contents of files whose stat is still the given one; others are left out. Raises LinkLost and the like."""
    if not items:
        return {}
    parts, _ = await side.asked().collect("read", {"items": [[path, list(stat)] for path, stat in items.items()]})
    whole, at = b"".join(parts), 0
    found = {}
    for path in items:
        if len(whole) < at + LENGTH.size:
            raise ProtocolError(f"{side.name}: a bundle ended before its last file")
        (length,) = LENGTH.unpack_from(whole, at)
        at += LENGTH.size
        data, status = whole[at : at + length], whole[at + length : at + length + 1]
        digest = whole[at + length + 1 : at + length + 33]
        at += length + 33
        if status == b"\0" and hashlib.sha256(data).digest() == digest:
            found[path] = data
    return found


async def write_content(side: Side, path: bytes, data: bytes, *, executable: bool, was: Entry | None) -> None:
    """Put a content in place of ``was``; the picture of the side then shows it. Raises FileChanged, and what apply says."""
    digest = hashlib.sha256(data).digest()
    op: dict[str, Any] = {
        "op": "put",
        "path": path,
        "was": None if was is None else list(was.stat),
        "was_kind": None if was is None else was.node.kind,
        "size": len(data),
        "mtime_ns": time.time_ns(),
        "executable": executable,
        "digest": digest,
    }
    stat = await _one(side, op, LENGTH.pack(len(data)) + data + b"\0" + digest)
    side.wrote(path, Node("f", executable, digest), stat)


async def move(side: Side, path: bytes, to: bytes, *, was: Entry) -> None:
    """Give a file or link another name. Raises FileChanged, and what apply says."""
    op = {"op": "move", "path": path, "to": to, "was": list(was.stat), "was_kind": was.node.kind}
    stat = await _one(side, op, None)
    side.wrote(path, None, None)
    side.wrote(to, was.node, stat)


async def _one(side: Side, op: dict[str, Any], data: bytes | None) -> Stat | None:
    parts: list[Any] = []
    request = side.asked().start("apply", {"ops": [op]}, on_part=parts.append)
    if data is not None:
        for start in range(0, len(data), PIECE):
            request.send_data(data[start : start + PIECE])
        request.send_end()
    await request.wait()
    results = [result for part in parts for result in decode_results(part)]
    if len(results) != 1:
        raise ProtocolError(f"{side.name}: expected one result, got {len(results)}")
    _, status, value = results[0]
    if status == "ok":
        return None if value is None else stat_from_value(value)
    raise _error_of(side, op["path"], status, value)


def _error_of(side: Side, path: bytes, status: str, value: Any) -> AfieldError:
    if status == "refused":
        shown = path.decode("utf-8", "backslashreplace")
        return FileChanged(f"{shown} {side.name}: {value}", hint="look at it again", side=side.name)
    return from_value(value)
