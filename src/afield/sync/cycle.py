"""One cycle of a sync, a function per step: scan, hash_undecided, decide, check_removals, guard, plan, carry_out, remember.

``run`` calls them in that order. Rules: a step that fails leaves the picture such that the same cycle can be run again
(its paths are pending); nothing is remembered that both sides did not confirm; what decides is pure and lives elsewhere
(tree/, limits, outcome). The cost of a cycle follows the paths that changed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from afield.errors import FileFailed
from afield.sync import outcome as outcomes
from afield.sync import steps
from afield.sync.copied import learn_copied
from afield.sync.limits import Impossible, possible
from afield.sync.moves import learn_moved
from afield.sync.outcome import Done, Plan
from afield.sync.packed import take_over
from afield.sync.together import together
from afield.sync.transfer import Progress, transfer
from afield.tree.reconcile import Change, Outcome, reconcile, undecided

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from afield.errors import AfieldError
    from afield.sync.answers import Result
    from afield.sync.copied import Copies
    from afield.sync.packed import Row
    from afield.sync.picture import Picture
    from afield.sync.side import Side
    from afield.tree.entries import Node, Stat

# Rows that are written without leaving the loop's thread: less than a millisecond.
ROWS_INLINE = 200
# How often one cycle starts over because what it meant to remove turned out to be there or to be ignored.
CHECKS = 5


class Report(NamedTuple):
    """What one cycle did. Sizes in bytes."""

    looked_at: int
    to_here: int
    to_there: int
    bytes: int
    failed: int
    conflicts: int

    def plus(self, part: Report) -> Report:
        """Add what a part of the same cycle did."""
        sums = [one + other for one, other in zip(self[1:], part[1:], strict=True)]
        return Report(self.looked_at, *sums)


async def run(
    picture: Picture, *, check: Callable[[Plan], None], on_progress: Callable[[Progress], None] | None = None
) -> Report:
    """Run one cycle. ``check(plan)`` may raise to hold it back. Raises LinkLost and the like when a side is gone."""
    paths = await scan(picture)
    try:
        plan = await decide_all(picture, paths)
        steps.at("guard")
        check(plan)
        progress = Progress(on_progress)
        progress.expect(plan.to_here)
        progress.expect(plan.to_there)
        report = Report(len(paths), 0, 0, 0, 0, 0)
        for part in outcomes.parts(plan, picture.here.tree, picture.there.tree, picture.pending):
            results = await carry_out(picture, part, progress)
            report = report.plus(await remember(picture, part, results))
        drop_foresight(picture)
        return report
    except BaseException:
        picture.pending |= paths
        if _unwatched(picture):
            # What was written is in no tree yet.
            picture.here.needs_scan = picture.there.needs_scan = True
        raise


def drop_foresight(picture: Picture) -> None:
    """Forget what was prepared."""
    if picture.foresight is not None:
        picture.foresight.close()
        picture.foresight = None


async def decide_all(picture: Picture, paths: set[bytes]) -> Plan:
    """All steps that only look: from changed paths to a plan that may be carried out."""
    foreseen = None if picture.foresight is None else picture.foresight.plan(paths, picture.sent)
    if foreseen is not None:
        return foreseen
    unknown = await hash_undecided(picture, paths)
    unread, ignored = _unread(picture, unknown), set[bytes]()
    for _ in range(CHECKS):
        found = decide(picture, paths, unknown | ignored)
        more, changed = await check_removals(picture, found, ignored)
        if not more and not changed:
            found, copies = await learn_copied(picture, await learn_moved(picture, found))
            changed = changed_meanwhile(picture, found)
            if not changed:
                break
        ignored |= more
        paths |= changed
        unknown |= await hash_undecided(picture, paths)
        unread.update(_unread(picture, unknown))
    else:
        # The tree does not hold still: leave what would be removed for the next cycle.
        held = {change.path for change in (*found.to_here, *found.to_there) if change.new is None}
        picture.pending |= held
        found, copies = decide(picture, paths, unknown | ignored | held), ({}, {})
    for (side, path), error in unread.items():
        picture.problems.add(side, path, error, picture.now())
    waiting = {path for _, path in unread}
    picture.pending |= unknown - waiting
    return plan_for(picture, paths, found, copies, waiting)


# -- steps


async def scan(picture: Picture) -> set[bytes]:
    """Bring both pictures up to date; gives the paths that have to be looked at."""
    steps.at("scan")
    await together(*(_scan_side(side, everything=picture.compare_all) for side in (picture.here, picture.there)))
    due = picture.problems.due(picture.now())
    sides = () if picture.compare_all else (picture.here.changed, picture.there.changed)
    paths = picture.pending.union(due, picture.conflicts, *sides)
    again = picture.pending | due
    picture.here.changed, picture.there.changed, picture.pending = set(), set(), set()
    if again and not picture.compare_all:
        try:
            await together(picture.here.rescan(again), picture.there.rescan(again))
        except BaseException:
            picture.pending |= paths
            raise
        paths |= picture.here.changed | picture.there.changed
        picture.here.changed, picture.there.changed = set(), set()
    return paths | _freed(picture)


def _freed(picture: Picture) -> set[bytes]:
    """What is below a folder that stood against a file and does so no more: nobody looked at it until now."""
    ended = [
        path for path, conflict in picture.conflicts.items() if conflict.kind == "clash" and not _clash(picture, path)
    ]
    return {*picture.here.at_or_below(ended), *picture.there.at_or_below(ended)} if ended else set()


def _clash(picture: Picture, path: bytes) -> bool:
    one, other = picture.here.tree.get(path), picture.there.tree.get(path)
    return one is not None and other is not None and (one.node.kind == "d") != (other.node.kind == "d")


async def _scan_side(side: Side, *, everything: bool) -> None:
    if side.needs_scan:
        await side.scan(everything=everything)


async def hash_undecided(picture: Picture, paths: set[bytes]) -> set[bytes]:
    """Learn contents that the decision depends on; gives the paths where that failed (they change right now)."""
    scope = None if picture.compare_all else paths
    trees = (picture.base(), picture.seen(picture.here), picture.seen(picture.there))
    here, there = undecided(*trees, paths=scope)
    if not here and not there:
        return set()
    steps.at("hash")
    await together(picture.here.hash(here), picture.there.hash(there))
    here, there = undecided(*trees, paths={*here, *there})
    return {*here, *there}


def decide(picture: Picture, paths: set[bytes], keep: set[bytes]) -> Outcome:
    """Reconcile what is to be looked at; what could not be read on either side is left alone with all below it."""
    steps.at("decide")
    left = keep | set(picture.here.unreadable) | set(picture.there.unreadable)
    return reconcile(
        picture.base(),
        picture.seen(picture.here),
        picture.seen(picture.there),
        picture.decide_mode or picture.mode,
        keep=left,
        paths=None if picture.compare_all else paths,
    )


async def check_removals(picture: Picture, found: Outcome, known: set[bytes]) -> tuple[set[bytes], set[bytes]]:
    """Before something is removed on one side, ask the other whether it is really gone.

    Gives the paths that the ignore rules of the other side leave out (they must stay), and what turned out changed.
    """
    gone_here = [c.path for c in found.to_there if c.new is None and c.path not in known]
    gone_there = [c.path for c in found.to_here if c.new is None and c.path not in known]
    steps.at("check-removals")
    ignored_here, ignored_there = await together(picture.here.rescan(gone_here), picture.there.rescan(gone_there))
    changed = picture.here.changed | picture.there.changed
    picture.here.changed, picture.there.changed = set(), set()
    return ignored_here | ignored_there, changed


def changed_meanwhile(picture: Picture, found: Outcome) -> set[bytes]:
    """Give what changed since the decision, when that is any of what was decided: the ops must be of what was looked at."""
    changed = picture.here.changed | picture.there.changed
    if not changed or changed.isdisjoint(outcomes.touched(found)):
        return set()
    picture.here.changed, picture.there.changed = set(), set()
    return changed


def _unread(picture: Picture, unknown: set[bytes]) -> dict[tuple[str, bytes], AfieldError]:
    """Give what of this cannot be read, by side and path; the rest changes right now."""
    sides = (picture.here, picture.there)
    return {(side.name, path): side.unread[path] for side in sides for path in unknown & side.unread.keys()}


def plan_for(
    picture: Picture, paths: set[bytes], found: Outcome, copies: tuple[Copies, Copies], unread: set[bytes]
) -> Plan:
    """Turn a decision into ops for both sides, without what a side cannot hold."""
    steps.at("plan")
    to_here, not_here = _possible(picture.here, found.to_here)
    to_there, not_there = _possible(picture.there, found.to_there)
    for side, impossible in (("here", not_here), ("there", not_there)):
        for item in impossible:
            picture.problems.stuck(side, item.path, item.code, item.text)
    stuck = unread | {item.path for item in (*not_here, *not_there)}
    found = found._replace(to_here=to_here, to_there=to_there)
    everything = picture.compare_all
    trees = (picture.here.tree, picture.there.tree)
    return outcomes.plan(
        found, *trees, paths=paths, stuck=stuck, everything=everything, sent=picture.sent, copies=copies
    )


def _possible(side: Side, changes: list[Change]) -> tuple[list[Change], list[Impossible]]:
    return possible(changes, side.opened.probe if side.opened is not None else {}, side.tree)


async def carry_out(picture: Picture, plan: Plan, progress: Progress) -> tuple[Done, Done]:
    """Do what the plan says, on both sides at once; gives what was done here and there."""
    steps.at("carry-out")
    in_here, in_there = await together(
        _one_way(picture, picture.there, picture.here, plan.to_here, plan, progress),
        _one_way(picture, picture.here, picture.there, plan.to_there, plan, progress),
    )
    return in_here, in_there


async def _one_way(
    picture: Picture, source: Side, target: Side, ops: Sequence[outcomes.Op], plan: Plan, progress: Progress
) -> Done:
    entries = plan.here if source.name == "here" else plan.there
    after: dict[bytes, tuple[Node | None, Stat | None]] = {}
    # Where no event comes in between, both trees can learn of it all at once (``_agree``): a third of the work.
    unwatched = _unwatched(picture)

    def note(results: list[Result]) -> None:
        steps.at("results")
        for result in results:
            if result.outcome != "ok":
                continue
            for path, node, stat in outcomes.left_by(result, plan.new):
                after[path] = node, stat
                if not unwatched:
                    target.wrote(path, node, stat)
            if result.digest is not None and not unwatched:
                path = result.op["path"]
                source.read(path, entries[path].stat, result.digest)

    if not ops:
        return Done([], after)
    results = await transfer(
        source.asked(),
        target.asked(),
        ops,
        entry_of=entries.__getitem__,
        progress=progress,
        on_results=note,
        way=picture.ways[target.name],
        begun=target.opened.begun if target.opened is not None else frozenset(),
        ahead=picture.foresight.bundle if picture.foresight is not None and target.name == "there" else None,
    )
    return Done(results, after)


def _unwatched(picture: Picture) -> bool:
    return not (picture.here.watch_mode or picture.there.watch_mode)


def _agree(picture: Picture, new: dict[bytes, Row], gone: list[bytes], results: tuple[Done, Done]) -> None:
    """Have the rows, and the trees that stand on them, say what was agreed on."""
    if not _unwatched(picture):
        picture.agree(new, gone)
        return
    for side, done in zip((picture.here, picture.there), results, strict=True):
        for path, (node, stat) in done.after.items():
            if path not in new:
                side.wrote(path, node, stat)
    if gone:
        picture.agree({}, gone)
    take_over(picture.rows, (picture.here.tree, picture.there.tree), new)


async def remember(picture: Picture, plan: Plan, results: tuple[Done, Done]) -> Report:
    """Write what both sides confirmed to the base, note what failed; the cycle is over."""
    steps.at("remember")
    in_here, in_there = results
    learned = outcomes.learn(plan, in_here, in_there)
    _note_failures(picture, plan, learned.failed)
    seen = (picture.here.tree, picture.there.tree)
    again = outcomes.refreshed(plan, picture.rows, *seen, learned) if picture.rows else {}
    rows = {**learned.rows, **again} if again else learned.rows
    gone = [path for path in learned.gone if path in picture.rows]
    if rows or gone:
        if len(rows) + len(gone) <= ROWS_INLINE:
            picture.store.remember(rows.items(), gone)
        else:
            await asyncio.to_thread(picture.store.remember, list(rows.items()), gone)
        steps.at("remembered")
        _agree(picture, rows, gone, results)
        picture.news = list(rows)
    elif _unwatched(picture):
        _agree(picture, {}, [], results)
    if plan.final:
        picture.conflicts = {conflict.path: conflict for conflict in plan.conflicts}
        picture.compare_all = False
    picture.sent.difference_update(learned.rows)
    steps.at("agreed")
    moved = sum(op["size"] for op in (*plan.to_here, *plan.to_there) if op["op"] == "put")
    return Report(
        len(plan.paths), len(in_here.results), len(in_there.results), moved, len(learned.failed), len(plan.conflicts)
    )


def _note_unreadable(picture: Picture, now: float) -> set[bytes]:
    """Note what no scan could look at, to be looked at later; gives those paths."""
    for side in (picture.here, picture.there):
        for path, text in side.unreadable.items():
            if not picture.problems.waits(side.name, path, now):
                picture.problems.add(side.name, path, FileFailed(f"it cannot be read {side.name}: {text}"), now)
    return {*picture.here.unreadable, *picture.there.unreadable}


def _note_failures(picture: Picture, plan: Plan, failed: Iterable[tuple[str, Result]]) -> None:
    now = picture.now()
    bad = _note_unreadable(picture, now)
    for side, result in failed:
        path = result.op["path"]
        bad.add(path)
        if result.op["op"] == "move":
            # Not again: the next cycle sends the file and removes the old one, each with its own check.
            picture.sent.add(result.op["to"])
            picture.pending.add(result.op["to"])
            bad.add(result.op["to"])
        elif result.op["op"] == "copy":
            picture.sent.add(path)
        # It moved under our hands at the target, or at the source: a second link that went changes a file's times without an event.
        refused = result.outcome == "refused" or (result.error is not None and result.error.code == "file-changed")
        if result.outcome == "lost" or picture.problems.add(side, path, result.error, now, refused=refused):
            picture.pending.add(path)
    if len(picture.problems):
        if plan.everything:
            picture.problems.keep_only(bad | plan.stuck)
        for path in plan.paths:
            if path not in bad and path not in plan.stuck:
                picture.problems.clear(path)
        if plan.final:
            picture.problems.settle()
