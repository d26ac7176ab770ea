"""The ``changed`` events of a watch: what came and what is gone, in parts that a record can hold  [P].

Pure. What is in an event is part of files-service.md.
"""

from afield.tree.entries import encode_entries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

    Event = Tuple[str, Dict[str, Any]]

# A record holds 1 MiB, and each path may be in it twice.
PART, NAMES = 4000, 200 << 10


def changed(pairs: "List[Any]", absent: "List[bytes]", folder: "Optional[bytes]" = None) -> "Iterator[Event]":
    """Give the ``changed`` events, each far below a record; ``folder``: the first one replaces all below it.

    What came and what is gone are said in one event where they fit, else what is gone comes first.
    """
    parts = list(cut(pairs, pair_weight))
    together = len(parts) == 1 and len(pairs) + len(absent) <= PART
    if not together or sum(map(pair_weight, pairs)) + sum(map(len, absent)) > NAMES:
        for some in cut(absent, len):
            yield "changed", {"paths": some, "entries": encode_entries([]), "absent": some}
        absent = []
    for place, part in enumerate(parts):
        paths = [folder] if folder is not None and place == 0 else [path for path, _ in part]
        yield "changed", {"paths": paths + absent, "entries": encode_entries(part), "absent": absent}


def pair_weight(pair: "Any") -> "int":
    """Give the bytes of names in an entry."""
    return len(pair[0]) + len(pair[1].node.content or b"")


def cut(items: "List[Any]", weight: "Callable[[Any], int]") -> "Iterator[List[Any]]":
    """Cut a list into lists of at most PART items and about NAMES bytes."""
    part: "List[Any]" = []
    total = 0
    for item in items:
        total += weight(item)
        part.append(item)
        if len(part) >= PART or total >= NAMES:
            yield part
            part, total = [], 0
    if part:
        yield part


def own_mark(entry: "Any") -> "Any":
    """Give what ``Watch.own`` holds for an entry that we made ourselves."""
    return True if entry.node.kind == "d" else tuple(entry.stat)
