"""What differs between the two sides at and below a folder, by content. Looks, never acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.errors import NoSuchFile
from afield.files.faults import show
from afield.sync import cycle
from afield.sync.explain import changed
from afield.sync.together import together
from afield.sync.versions import described

if TYPE_CHECKING:
    from collections.abc import Mapping

    from afield.sync.picture import Picture
    from afield.sync.session import Session
    from afield.tree.entries import Node


async def compare(session: Session, folder: bytes = b"") -> dict[str, Any]:
    """Give ``rows`` (one a path that differs, by path) and ``same`` (how many files are equal).

    A row: ``path``, ``how`` (only-here, only-there, content, mode, kind), ``changed`` (the side that changed since both
    agreed: here, there, both), ``here`` and ``there`` as ``described``. Raises NoSuchFile when neither side has the folder.
    """
    picture = session.picture
    async with session._lock:
        await session.open()
        await together(*(side.barrier() for side in (picture.here, picture.there) if side.watch_mode))
        looked_at = await cycle.scan(picture)
        picture.pending |= looked_at
        paths = {*_below(picture.here.tree, folder), *_below(picture.there.tree, folder)}
        if not paths and folder:
            raise NoSuchFile(f"neither side has {show(folder)}", hint="what is left out of the sync is not compared")
        unknown = await cycle.hash_undecided(picture, paths)
        picture.pending |= unknown
        here, there, base = picture.seen(picture.here), picture.seen(picture.there), picture.base()
        rows, same = [], 0
        for path in sorted(paths):
            one, other = here.get(path), there.get(path)
            how = difference(one, other)
            if how is not None:
                rows.append(_row(picture, path, how, changed(base.get(path), one, other)))
            elif one is not None and one.kind != "d":
                same += 1
    return {"rows": rows, "same": same}


def difference(here: Node | None, there: Node | None) -> str | None:
    """How two nodes differ; a content that could not be read differs from all others."""
    if here is None or there is None:
        return None if here is there else "only-here" if there is None else "only-there"
    if here.kind != there.kind:
        return "kind"
    if here.kind in ("d", "o"):
        return None
    if here.content != there.content or here.content is None:
        return "content"
    return "mode" if here.executable != there.executable else None


def _below(tree: Mapping[bytes, Any], folder: bytes) -> list[bytes]:
    front = folder + b"/"
    return list(tree) if not folder else [path for path in tree if path == folder or path.startswith(front)]


def _row(picture: Picture, path: bytes, how: str, side: str | None) -> dict[str, Any]:
    one, other = picture.here.tree.get(path), picture.there.tree.get(path)
    return {
        "path": path,
        "how": how,
        "changed": side,
        "here": None if one is None else described(one),
        "there": None if other is None else described(other),
    }
