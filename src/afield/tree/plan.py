"""From changes to the operations of the files service, and renames and copies found among them  [P].

Rules: one operation a change, in the order of the changes; each says what has to stand there for it to take effect
(``was``). ``with_moves`` and ``with_copies`` are passes of their own: a plan without them is right, only slower. What the operations do is in
docs/development/files-service.md.
"""

from afield.tree.paths import name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Container, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

    from afield.tree.entries import Entry
    from afield.tree.reconcile import Change

    Op = Dict[str, Any]


def ops_for(
    changes: "Iterable[Change]", target: "Mapping[bytes, Entry]", source: "Mapping[bytes, Entry]"
) -> "List[Op]":
    """Give the operations that make the changes on ``target``, with the files of ``source``.

    Raises KeyError for a file that the source has not.
    """
    return [_op(change, target.get(change.path), source) for change in changes]


def _op(change: "Change", old: "Optional[Entry]", source: "Mapping[bytes, Entry]") -> "Op":
    op = {
        "path": change.path,
        "was": None if old is None else list(old.stat),
        "was_kind": None if old is None else old.node.kind,
    }  # type: Op
    node = change.new
    if node is None:
        op["op"] = "remove"
    elif node.kind == "d":
        op["op"] = "dir"
    elif node.kind == "l":
        op["op"] = "link"
        op["target"] = node.content
    elif old is not None and old.node.kind == "f" and node.content is not None and old.node.content == node.content:
        op["op"] = "mode"
        op["executable"] = node.executable
    else:
        stat = source[change.path].stat
        op["op"] = "put"
        op["size"], op["mtime_ns"] = stat.size, stat.mtime_ns
        op["executable"], op["digest"] = node.executable, node.content
    return op


def with_moves(ops: "Sequence[Op]", target: "Mapping[bytes, Entry]", *, sent: "Container[bytes]" = ()) -> "List[Op]":
    """Give the operations with a ``move`` for each file that goes at one path and comes, with equal content, at another.

    Both contents have to be known and not empty; new files at the paths ``sent`` stay what they are. A file of the same name is preferred, then the first by path. The move
    stands where the new file would have been put: the folder for it is there then, and the old file still is.
    """
    new = [
        index
        for index, op in enumerate(ops)
        if op["op"] == "put" and op["was"] is None and op["digest"] and op["size"] and op["path"] not in sent
    ]
    if not new:
        return list(ops)
    going = _Going(ops, target, {(ops[index]["digest"], ops[index]["executable"]) for index in new})
    moves = {}  # type: Dict[int, int]
    for by_name in (True, False):
        for index in new:
            found = going.take(ops[index], by_name) if index not in moves else None
            if found is not None:
                moves[index] = found
    gone = set(moves.values())
    return [_move(ops[moves[index]], op) if index in moves else op for index, op in enumerate(ops) if index not in gone]


def with_copies(ops: "Sequence[Op]", copies: "Mapping[bytes, bytes]") -> "List[Op]":
    """Give the operations with a ``copy`` for each new file that ``copies`` (path -> path on the target) has.

    What another operation changes is not copied from; contents have to be known.
    """
    if not copies:
        return list(ops)
    touched = {op["path"] for op in ops}
    return [
        dict(op, op="copy", **{"from": copies[op["path"]]})
        if op["op"] == "put"
        and op["was"] is None
        and op["digest"]
        and copies.get(op["path"], op["path"]) not in touched
        else op
        for op in ops
    ]


def _move(old: "Op", new: "Op") -> "Op":
    return {"op": "move", "path": old["path"], "was": old["was"], "was_kind": old["was_kind"], "to": new["path"]}


class _Going:
    """Removals of files whose content is wanted elsewhere, as places among the operations."""

    def __init__(
        self, ops: "Sequence[Op]", target: "Mapping[bytes, Entry]", wanted: "Set[Tuple[bytes, bool]]"
    ) -> "None":
        self._by_content = {}  # type: Dict[Tuple[bytes, bool], List[int]]
        self._by_name = {}  # type: Dict[Tuple[bytes, bool, bytes], List[int]]
        self._taken = set()  # type: Set[int]
        # Removals before the last put make room for something else: there is nothing left to move afterwards.
        last = max((index for index, op in enumerate(ops) if op["op"] != "remove"), default=0)
        for index in range(len(ops) - 1, last, -1):
            op = ops[index]
            if op["was_kind"] != "f":
                continue
            node = target[op["path"]].node
            if node.content is not None and (node.content, node.executable) in wanted:
                self._by_content.setdefault((node.content, node.executable), []).append(index)
                self._by_name.setdefault((node.content, node.executable, name(op["path"])), []).append(index)
        # The removals come in falling order of their paths: what was appended first is the first by path.
        for places in list(self._by_content.values()) + list(self._by_name.values()):
            places.reverse()

    def take(self, op: "Op", by_name: "bool") -> "Optional[int]":
        """Give the place of a removal for this put, None when there is none."""
        content, executable = op["digest"], op["executable"]
        if by_name:
            places = self._by_name.get((content, executable, name(op["path"])), [])
        else:
            places = self._by_content.get((content, executable), [])
        while places:
            place = places.pop()
            if place not in self._taken:
                self._taken.add(place)
                return place
        return None
