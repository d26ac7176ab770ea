"""The versions of one path: what stands here, what stands there, what was agreed on, with their texts. Looks, never acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.sync.contents import read_contents
from afield.sync.merge import LARGEST, is_text
from afield.sync.together import together

if TYPE_CHECKING:
    from afield.sync.session import Session
    from afield.sync.side import Side
    from afield.tree.entries import Entry


async def versions(session: Session, path: bytes) -> dict[str, Any]:
    """Give ``here``, ``there``, ``base`` (None: nothing; else kind, size, mtime, executable, target, text) and ``conflict``.

    ``text`` is None for what is binary or larger than 1 MiB (``why`` says which). Sizes in bytes, times in seconds.
    Raises LinkLost and the like.
    """
    picture = session.picture
    async with session._lock:
        await together(picture.here.rescan([path]), picture.there.rescan([path]))
        picture.pending.add(path)
    here, there = await together(_version(picture.here, path), _version(picture.there, path))
    conflict = picture.conflicts.get(path)
    return {
        "path": path,
        "conflict": None if conflict is None else conflict.kind,
        "here": here,
        "there": there,
        "base": await _base(session, path),
    }


async def _version(side: Side, path: bytes) -> dict[str, Any] | None:
    entry = side.tree.get(path)
    if entry is None:
        return None
    told = described(entry)
    if entry.node.kind == "f" and entry.stat.size <= LARGEST:
        text = (await read_contents(side, {path: entry.stat})).get(path)
        told.update(_shown(text, "it changed right now"))
    elif entry.node.kind == "f":
        told["why"] = "it is large"
    return told


async def _base(session: Session, path: bytes) -> dict[str, Any] | None:
    row = session.picture.rows.get(path)
    if row is None:
        return None
    node = row.node
    told: dict[str, Any] = {
        "kind": node.kind,
        "executable": bool(node.executable),
        "size": row.here.size if node.kind == "f" else None,
        "mtime": row.here.mtime_ns / 1e9 if node.kind == "f" else None,
        "target": node.content if node.kind == "l" else None,
    }
    if node.kind == "f":
        told.update(_shown(await session.texts.base_of(path), "nothing has kept it"))
    return told


def _shown(text: bytes | None, missing: str) -> dict[str, Any]:
    if text is None:
        return {"text": None, "why": missing}
    return {"text": text, "why": None} if is_text(text) else {"text": None, "why": "it is binary"}


def described(entry: Entry) -> dict[str, Any]:
    """An entry as plain values."""
    node, stat = entry
    return {
        "kind": node.kind,
        "executable": bool(node.executable),
        "size": stat.size if node.kind == "f" else None,
        "mtime": stat.mtime_ns / 1e9 if node.kind in ("f", "l") else None,
        "target": node.content if node.kind == "l" else None,
        "digest": node.content.hex() if node.kind == "f" and node.content else None,
    }
