"""From a decision to ops, and from results to what may be remembered. Pure.

Rules: a row is made only when every op on its path was confirmed; its stats are those of the moment (the file that was
read here, what the op left there), so that a change in between shows as a change in the next cycle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from afield.sync.base import Row
from afield.tree.entries import FOLDER, Entry, Node, Stat, same
from afield.tree.plan import ops_for, with_copies, with_moves
from afield.tree.reconcile import Change, Conflict, Outcome

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from afield.sync.answers import Result

Op = dict[str, Any]

# A plan of more changes that only add is made, carried out and remembered in parts of so many: what is in memory for an op
# is more than its file's entry, and a first upload that is cut off goes on where it was.
PART = 20_000

# Folders have no stat that means anything: it changes with every file in them.
NO_STAT = Stat(0, 0, 0, 0)


class Plan(NamedTuple):
    """What one cycle is going to do. ``here`` and ``there``: entries of the planned paths as they were when it was made."""

    paths: set[bytes]
    to_here: Sequence[Op]
    to_there: Sequence[Op]
    here: dict[bytes, Entry]
    there: dict[bytes, Entry]
    new: dict[bytes, Node | None]
    agreed: list[tuple[bytes, Node | None]]
    conflicts: list[Conflict]
    stuck: set[bytes]
    everything: bool
    # False for a part of a plan that is not the last one; what a whole plan of many parts decided.
    final: bool = True
    found: Outcome | None = None


# So many short ops are kept: they are looked at four times before anything is carried out.
KEPT = 50_000
_KINDS = {"d": "dir", "f": "put", "l": "link"}


class Additions(Sequence[Op]):
    """The ops of changes that only add, made when they are looked at: a million of them need not be in memory.

    Iterating gives only what they do, where, and with how many bytes. What is gone from the source meanwhile is left out.
    """

    def __init__(self, changes: list[Change], source: Mapping[bytes, Entry]) -> None:
        self._changes = changes
        self._source = source
        self._short: list[Op] | None = None

    def __len__(self) -> int:
        return len(self._changes)

    def __getitem__(self, at: Any) -> Any:
        return ops_for(self._changes[at], {}, self._source) if isinstance(at, slice) else self[at : at + 1][0]

    def __iter__(self) -> Iterator[Op]:
        if self._short is not None and len(self._short) == len(self._changes):
            return iter(self._short)
        if len(self._changes) > KEPT:
            return self._made()
        self._short = list(self._made())
        return iter(self._short)

    def _made(self) -> Iterator[Op]:
        for path, _, new in self._changes:
            entry = self._source.get(path)
            if entry is not None and new is not None:
                yield {
                    "op": _KINDS[new.kind],
                    "path": path,
                    "was": None,
                    "was_kind": None,
                    "size": entry.stat.size if new.kind == "f" else 0,
                }


class Done(NamedTuple):
    """What became of one side's ops: a result each, and per path what the successful ones left (node, stat)."""

    results: list[Result]
    after: dict[bytes, tuple[Node | None, Stat | None]]


class Learned(NamedTuple):
    """What the results allow to remember, and (side, result) of what failed."""

    rows: dict[bytes, Row]
    gone: list[bytes]
    failed: list[tuple[str, Result]]


def plan(
    found: Outcome,
    here: Mapping[bytes, Entry],
    there: Mapping[bytes, Entry],
    *,
    paths: set[bytes],
    stuck: set[bytes],
    everything: bool,
    sent: Container[bytes] = (),
    copies: tuple[Mapping[bytes, bytes], Mapping[bytes, bytes]] = ({}, {}),
) -> Plan:
    """Make the ops for a decision, with copies of the entries that they depend on.

    ``sent``: new files that are no moves. ``copies``, for here and there: new files that are made from others on that side.
    """
    if is_long(found):
        return _long(found, here, there, paths=paths, stuck=stuck, everything=everything)
    return plan_of(found, here, there, paths=paths, stuck=stuck, everything=everything, sent=sent, copies=copies)


def _long(
    found: Outcome,
    here: Mapping[bytes, Entry],
    there: Mapping[bytes, Entry],
    *,
    paths: set[bytes],
    stuck: set[bytes],
    everything: bool,
) -> Plan:
    return Plan(
        paths=paths,
        to_here=Additions(found.to_here, there),
        to_there=Additions(found.to_there, here),
        here={},
        there={},
        new={},
        agreed=found.agreed,
        conflicts=found.conflicts,
        stuck=stuck,
        everything=everything,
        found=found,
    )


def plan_of(
    found: Outcome,
    here: Mapping[bytes, Entry],
    there: Mapping[bytes, Entry],
    *,
    paths: set[bytes],
    stuck: set[bytes],
    everything: bool,
    sent: Container[bytes] = (),
    copies: tuple[Mapping[bytes, bytes], Mapping[bytes, bytes]] = ({}, {}),
) -> Plan:
    """Make the ops for a decision at once."""
    decided = touched(found)
    before_here = {path: here[path] for path in decided if path in here}
    before_there = {path: there[path] for path in decided if path in there}
    new = {change.path: change.new for change in (*found.to_here, *found.to_there)}
    to_here = with_moves(ops_for(found.to_here, before_here, before_there), before_here, sent=sent)
    to_there = with_moves(ops_for(found.to_there, before_there, before_here), before_there, sent=sent)
    return Plan(
        paths=paths,
        to_here=with_copies(to_here, copies[0]),
        to_there=with_copies(to_there, copies[1]),
        here=before_here,
        there=before_there,
        new=new,
        agreed=list(found.agreed),
        conflicts=list(found.conflicts),
        stuck=stuck,
        everything=everything,
    )


def touched(found: Outcome) -> set[bytes]:
    """Give the paths that something is done at, or that are remembered as agreed on."""
    return {change.path for change in (*found.to_here, *found.to_there)}.union(path for path, _ in found.agreed)


def is_long(found: Outcome) -> bool:
    """Whether this is done in parts: so many changes that only add, as at a first sync."""
    changes = (found.to_here, found.to_there)
    return len(found.to_here) + len(found.to_there) + len(found.agreed) > PART and all(
        c.old is None for some in changes for c in some
    )


def parts(plan: Plan, here: Mapping[bytes, Entry], there: Mapping[bytes, Entry], late: set[bytes]) -> Iterator[Plan]:
    """Give the parts of a plan, each made when it is its turn; what is no longer as it was decided is put into ``late``.

    What was given is forgotten: the memory is wanted for what is agreed on.
    """
    found = plan.found
    if found is None:
        yield plan
        return
    while True:
        to_here = [change for change in _cut(found.to_here) if _stands(change, there, here, late)]
        to_there = [change for change in _cut(found.to_there) if _stands(change, here, there, late)]
        agreed = [(path, node) for path, node in _cut(found.agreed) if _is_agreed(path, node, (here, there), late)]
        final = not (found.to_here or found.to_there or found.agreed)
        part = Outcome(to_here, to_there, agreed, [])
        made = plan_of(part, here, there, paths=set(), stuck=set(), everything=False)
        yield made._replace(final=final, conflicts=plan.conflicts if final else [], found=None)
        if final:
            return


def _cut(items: list[Any]) -> list[Any]:
    """Take the next ones off a list."""
    some = items[:PART]
    del items[:PART]
    return some


def _stands(change: Change, source: Mapping[bytes, Entry], target: Mapping[bytes, Entry], late: set[bytes]) -> bool:
    entry = source.get(change.path)
    new = change.new
    good = entry is not None and new is not None and entry.node[:2] == new[:2] and change.path not in target
    if not good:
        late.add(change.path)
    return good


def _is_agreed(
    path: bytes, node: Node | None, sides: tuple[Mapping[bytes, Entry], Mapping[bytes, Entry]], late: set[bytes]
) -> bool:
    found = [side.get(path) for side in sides]
    if node is None:
        good = found == [None, None]
    else:
        good = all(entry is not None and _holds(entry.node, node) for entry in found)
    if not good:
        late.add(path)
    return good


def left_by(result: Result, new: Mapping[bytes, Node | None]) -> tuple[tuple[bytes, Node | None, Stat | None], ...]:
    """(path, node, stat) of what a successful op left behind; None for nothing."""
    op = result.op
    kind, path = op["op"], op["path"]
    if kind == "put":
        return ((path, Node("f", op["executable"], result.digest), result.stat),)
    if kind == "move":
        return (path, None, None), (op["to"], new[op["to"]], result.stat)
    node = FOLDER if kind == "dir" else new[path]
    return ((path, node, None if node is None else result.stat or NO_STAT),)


def learn(plan: Plan, in_here: Done, in_there: Done) -> Learned:
    """Say what may be remembered after this."""
    learned = Learned({}, [], [])
    bad: set[bytes] = set()
    for side, done in (("here", in_here), ("there", in_there)):
        for result in done.results:
            if result.outcome != "ok":
                learned.failed.append((side, result))
                bad.update(path for path in (result.op["path"], result.op.get("to")) if path)
    for path, (node, stat) in in_here.after.items():
        if path not in bad:
            other = in_there.after.get(path) or (None, _stat(plan.there, path))
            # Of two sides that both got something, the one that got the bytes knows the content.
            _learn(learned, path, known(node, other[0]), stat, other[1])
    for path, (node, stat) in in_there.after.items():
        if path not in bad and path not in in_here.after:
            _learn(learned, path, node, _stat(plan.here, path), stat)
    for path, node in plan.agreed:
        _learn(learned, path, node, _stat(plan.here, path), _stat(plan.there, path))
    return learned


def known(one: Node | None, other: Node | None) -> Node | None:
    """Of two nodes that stand for the same the one whose content is known."""
    return other if other is not None and (one is None or one.content is None) else one


def _learn(learned: Learned, path: bytes, node: Node | None, here: Stat | None, there: Stat | None) -> None:
    if node is None:
        learned.gone.append(path)
    elif here is not None and there is not None:
        learned.rows[path] = Row(node, here, there)


def _stat(entries: Mapping[bytes, Entry], path: bytes) -> Stat | None:
    entry = entries.get(path)
    return None if entry is None else entry.stat


def refreshed(
    plan: Plan,
    rows: Mapping[bytes, Row],
    here: Mapping[bytes, Entry],
    there: Mapping[bytes, Entry],
    learned: Learned,
) -> dict[bytes, Row]:
    """Rows whose content still stands on both sides under other stats (touched, rewritten with the same bytes)."""
    found = {}
    for path in rows if plan.everything else plan.paths:
        row = rows.get(path)
        if row is None or row.node.kind == "d" or path in learned.rows or path in plan.new:
            continue
        one, other = here.get(path), there.get(path)
        if one is None or other is None or (one.stat == row.here and other.stat == row.there):
            continue
        if _holds(one.node, row.node) and _holds(other.node, row.node):
            found[path] = Row(row.node, one.stat, other.stat)
    return found


def _holds(node: Node, agreed: Node) -> bool:
    return same(node, agreed) or (node.kind == agreed.kind and node.content == agreed.content is not None)
