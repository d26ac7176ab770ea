"""What has to happen on each side so that two trees agree again  [P].

``reconcile`` compares the trees of both sides with what they last agreed on and says what to change here, what there,
what agrees now and what only a person can settle. Rules: no content that one side alone has is replaced or removed,
unless the mode says in words that the other side wins; a path that cannot be settled is left alone on both sides and
keeps only its own subtree back; the order of the result is fixed by the paths alone. What a mode means for one path is
in ``modes.py``. No stats, no operations, no limits in here (``plan.py``, ``guard.py``).

A tree is a dict path -> Node without the root, in which every path stands in a folder. Cost follows the paths asked for.
"""

from collections import namedtuple

from afield.tree.modes import CONFLICT, EVEN, HERE, LEFT, MERGE, STUCK, THERE, Mode, judge, merged, mode_named
from afield.tree.paths import parent, parents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, FrozenSet, Iterable, List, Mapping, NamedTuple, Optional, Set, Tuple, Union

    from afield.tree.entries import Node

    Tree = Mapping[bytes, Node]
    Trees = Tuple[Tree, Tree, Tree]
    Verdicts = Dict[bytes, int]

    class Change(NamedTuple):
        """One path of one side: what stands there, what has to."""

        path: bytes
        old: Optional[Node]
        new: Optional[Node]

    class Conflict(NamedTuple):
        """A path that only a person can settle."""

        path: bytes
        here: Optional[Node]
        there: Optional[Node]
        base: Optional[Node]
        kind: str

    class Outcome(NamedTuple):
        """What reconcile says."""

        to_here: List[Change]
        to_there: List[Change]
        agreed: List[Tuple[bytes, Optional[Node]]]
        conflicts: List[Conflict]

else:
    Change = namedtuple("Change", "path old new")
    Change.__doc__ = "One path of one side: what stands there, what has to (None: nothing)."
    Conflict = namedtuple("Conflict", "path here there base kind")
    Conflict.__doc__ = """A path that only a person can settle.

    ``kind``: ``edit`` both changed it, ``add`` both made it, ``clash`` a folder on one side and something else on the other,
    ``other`` a socket, device or the like is in the way, ``blocked`` a folder that is gone on one side holds such a thing.
    Of a clash only the topmost path is named; everything below it is left alone with it.
    """
    Outcome = namedtuple("Outcome", "to_here to_there agreed conflicts")
    Outcome.__doc__ = """What reconcile says.

    ``to_here``, ``to_there``: changes in an order in which they can be applied: folders are emptied before something else
    takes their place, parents come before children, other removals last, the deepest first. ``agreed``: (path, node) that
    both sides have and the base has not. ``conflicts``: sorted by path.
    """


# Up to here comparing the start of every path with each of them is faster than looking up every folder above.
FEW_TOPS = 20


def reconcile(
    base: "Tree",
    here: "Tree",
    there: "Tree",
    mode: "Union[str, Callable[[bytes], str]]",
    *,
    keep: "Iterable[bytes]" = (),
    paths: "Optional[Iterable[bytes]]" = None,
) -> "Outcome":
    """Say what has to change on each side.

    ``mode``: a name of ``modes.MODES``, or a function from a path to one. ``keep``: paths that are left alone with everything
    below them (unreadable on one side, say). ``paths``: look only at these, the folders above them and, where a folder is
    to go, what is below it: the same as the whole result without the rest. It costs what it looks at, and one pass over
    the trees when a folder is to go (none over trees that have ``below(path)``). Raises UsageError for an unknown mode.
    """
    trees = (base, here, there)
    verdicts = {}  # type: Verdicts
    court = _Court(trees, mode, frozenset(keep))
    court.judge_all(open_paths(base, here, there) if paths is None else _with_parents(trees, paths), verdicts)
    if paths is not None:
        court.judge_all(_below(trees, {path for path in verdicts if court.needs_below(path, verdicts[path])}), verdicts)
    order = sorted(verdicts)
    conflicts = {}  # type: Dict[bytes, str]
    subtrees = _settle_folders(court, verdicts, order, conflicts)
    _settle_subtrees(court, verdicts, order, subtrees, conflicts)
    return _outcome(trees, verdicts, order, conflicts)


def undecided(
    base: "Tree", here: "Tree", there: "Tree", *, paths: "Optional[Iterable[bytes]]" = None
) -> "Tuple[List[bytes], List[bytes]]":
    """Give the paths here and the paths there whose content has to be known before ``reconcile``, sorted.

    That is every unknown file that could be equal to a file of the base or of the other side; one that is new on one side
    alone is not among them: it will be copied whatever it holds.
    """
    unknown_here, unknown_there = [], []
    trees = (base, here, there)
    for path in sorted(open_paths(base, here, there) if paths is None else _with_parents(trees, paths)):
        old, one, other = base.get(path), here.get(path), there.get(path)
        if _is_file(one) and _is_unknown(one) and (_is_file(old) or _is_file(other)):
            unknown_here.append(path)
        if _is_file(other) and _is_unknown(other) and (_is_file(old) or _is_file(one)):
            unknown_there.append(path)
    return unknown_here, unknown_there


def open_paths(base: "Tree", here: "Tree", there: "Tree") -> "List[bytes]":
    """Give the paths at which the three trees are not known to be equal, in no fixed order."""
    found = [
        path
        for path, node in here.items()
        if base.get(path) != node or there.get(path) != node or (node[2] is None and node[0] == "f")
    ]
    found.extend(path for path in there if path not in here)
    found.extend(path for path in base if path not in here and path not in there)
    return found


def _is_file(node: "Optional[Node]") -> "bool":
    return node is not None and node.kind == "f"


def _is_unknown(node: "Optional[Node]") -> "bool":
    return node is not None and node.content is None


def _is_folder(node: "Optional[Node]") -> "bool":
    return node is not None and node.kind == "d"


def _with_parents(trees: "Trees", paths: "Iterable[bytes]") -> "Set[bytes]":
    found = set(paths)
    for path in list(found):
        for above in parents(path):
            if above in found:
                break
            found.add(above)
    return {path for path in found if any(path in tree for tree in trees)}


def _below(trees: "Trees", folders: "Set[bytes]") -> "Set[bytes]":
    tops = {path for path in folders if not any(above in folders for above in parents(path))}
    found = set()  # type: Set[bytes]
    for tree in trees if tops else ():
        find = getattr(tree, "below", None)
        if find is not None:
            for path in tops:
                found.update(find(path))
        elif len(tops) <= FEW_TOPS:
            fronts = tuple(path + b"/" for path in tops)
            found.update(path for path in tree if path.startswith(fronts))
        else:
            found.update(path for path in tree if any(above in tops for above in parents(path)))
    return found


class _Court(object):
    """Judges paths one by one: holds what a verdict depends on, and no verdict."""

    def __init__(self, trees: "Trees", mode: "Union[str, Callable[[bytes], str]]", keep: "FrozenSet[bytes]") -> "None":
        self.base, self.here, self.there = trees
        self._keep = keep
        # One mode for all but a few names at the top (rules.ModeRules) is as cheap as one for all: nothing is kept for each path.
        plain = getattr(mode, "plain", None) if callable(mode) else mode
        self._one = None if plain is None else mode_named(plain)
        self._own = {path: mode_named(mode(path)) for path in getattr(mode, "own", ())} if callable(mode) else {}
        self._names = mode if callable(mode) else None
        self._modes = {}  # type: Dict[bytes, Mode]

    @property
    def is_mixed(self) -> "bool":
        """Tell whether paths can have different modes."""
        return self._one is None

    def mode(self, path: "bytes") -> "Mode":
        """Give the mode of a path."""
        if self._one is not None:
            return self._own.get(path, self._one)
        # Asked twice or three times for each path of a tree; patterns are dear.
        mode = self._modes.get(path)
        if mode is None:
            assert self._names is not None
            mode = self._modes[path] = mode_named(self._names(path))
        return mode

    def judge_all(self, paths: "Iterable[bytes]", verdicts: "Verdicts") -> "None":
        """Put the verdicts on paths that have none yet."""
        base, here, there = self.base.get, self.here.get, self.there.get
        for path in paths:
            if path not in verdicts:
                kept = self._keep and self._is_kept(path)
                verdicts[path] = LEFT if kept else judge(base(path), here(path), there(path), self.mode(path))

    def _is_kept(self, path: "bytes") -> "bool":
        return b"" in self._keep or path in self._keep or any(above in self._keep for above in parents(path))

    def is_untouchable(self, path: "bytes") -> "bool":
        """Tell whether no verdict on the folder above can reach the path."""
        return judge(None, self.here.get(path), self.there.get(path), self.mode(path)) == STUCK or self._is_kept(path)

    def folder_side(self, path: "bytes") -> "int":
        """Give the side that alone has a folder at the path, 0 when there is none."""
        here, there = self.here.get(path), self.there.get(path)
        if _is_folder(here) == _is_folder(there):
            return 0
        return HERE if _is_folder(here) else THERE

    def is_clash(self, path: "bytes") -> "bool":
        """Tell whether a folder on one side stands against something else on the other."""
        return self.folder_side(path) != 0 and path in self.here and path in self.there

    def needs_below(self, path: "bytes", verdict: "int") -> "bool":
        """Tell whether what becomes of the path depends on what is below it."""
        side = self.folder_side(path)
        return side != 0 and (verdict != side or self.is_clash(path))

    def is_wanted(self, path: "bytes", verdict: "int") -> "bool":
        """Tell whether something will be on both sides at the path."""
        if verdict == HERE:
            return path in self.here
        return path in self.there if verdict == THERE else verdict == MERGE


# What is below a folder: something that both sides will have, something that nobody may touch, something left alone,
# something that does not follow the winner of the folder.
_WANTED, _HELD, _LET, _OTHERS = 1, 2, 4, 8
_FLAGS = {STUCK: _HELD, CONFLICT: _HELD, LEFT: _LET}


def _settle_folders(
    court: "_Court", verdicts: "Verdicts", order: "List[bytes]", conflicts: "Dict[bytes, str]"
) -> "Dict[bytes, int]":
    """Go up the tree: a folder goes only when nothing below it stays.

    Gives the paths whose whole subtree has one verdict, which ``_settle_subtrees`` hands down.
    """
    flags = {}  # type: Dict[bytes, int]
    subtrees = {}  # type: Dict[bytes, int]
    winners = {}  # type: Dict[bytes, int]
    for path in reversed(order):
        verdict = verdicts[path]
        if verdict == EVEN:
            continue
        below = flags.get(path, 0)
        if court.is_mixed and _others_win_below(court, path, winners):
            below |= _OTHERS
        side = court.folder_side(path)
        if side or verdict not in (HERE, THERE):
            verdict = _settle(court, path, verdict, below, subtrees, conflicts)
            verdicts[path] = verdict
        below &= ~_OTHERS
        below |= _FLAGS.get(verdict) or (_WANTED if court.is_wanted(path, verdict) else 0)
        if below:
            above = parent(path)
            flags[above] = flags.get(above, 0) | below
    return subtrees


def _others_win_below(court: "_Court", path: "bytes", winners: "Dict[bytes, int]") -> "bool":
    """Tell whether a clash has something below that has another winner; ``winners``: a bit for each, by the folder above."""
    winner = court.mode(path).winner
    own, below = 1 << winner, winners.get(path, 0)
    above = parent(path)
    winners[above] = winners.get(above, 0) | below | own
    return winner != 0 and below & ~own != 0 and court.is_clash(path)


def _settle(
    court: "_Court",
    path: "bytes",
    verdict: "int",
    below: "int",
    subtrees: "Dict[bytes, int]",
    conflicts: "Dict[bytes, str]",
) -> "int":
    """Give the verdict on a path once it is known what stays below it."""
    side = court.folder_side(path)
    if verdict == LEFT and not below & _WANTED:
        return LEFT
    if verdict == STUCK:
        subtrees[path] = LEFT
        if path in court.here and path in court.there and not _both_other(court, path):
            conflicts[path] = "other"
    elif court.is_clash(path):
        verdict = _settle_clash(court, path, verdict, below)
        if verdict == CONFLICT:
            subtrees[path] = LEFT
            conflicts[path] = "clash"
        elif court.mode(path).winner and not below & _OTHERS:
            subtrees[path] = verdict
    elif verdict == CONFLICT:
        conflicts[path] = "edit" if path in court.base else "add"
    elif side and verdict != side and below:
        verdict = side if below & _WANTED else STUCK if below & _HELD else LEFT
        if verdict == STUCK:
            conflicts[path] = "blocked"
    return verdict


def _both_other(court: "_Court", path: "bytes") -> "bool":
    return court.here[path].kind == court.there[path].kind == "o"


def _settle_clash(court: "_Court", path: "bytes", verdict: "int", below: "int") -> "int":
    """Judge a folder against something else: the folder gives way only when nothing below it stays."""
    if verdict in (CONFLICT, LEFT, court.folder_side(path)) or not below:
        return verdict
    winner = court.mode(path).winner
    if (
        winner
        and below & _WANTED
        and not below & _OTHERS
        and (winner == court.folder_side(path) or not below & (_HELD | _LET))
    ):
        return winner
    return CONFLICT


def _settle_subtrees(
    court: "_Court",
    verdicts: "Verdicts",
    order: "List[bytes]",
    subtrees: "Dict[bytes, int]",
    conflicts: "Dict[bytes, str]",
) -> "None":
    """Go down the tree: hand the verdict on a whole subtree to all that is below."""
    if not subtrees:
        return
    for path in order:
        verdict = subtrees.get(parent(path))
        if verdict is None:
            continue
        subtrees[path] = verdict
        conflicts.pop(path, None)
        if verdict == LEFT or (verdicts[path] != EVEN and not court.is_untouchable(path)):
            verdicts[path] = verdict


def _outcome(trees: "Trees", verdicts: "Verdicts", order: "List[bytes]", conflicts: "Dict[bytes, str]") -> "Outcome":
    base, here, there = trees
    to_here, to_there = [], []  # type: Tuple[List[Change], List[Change]]
    agreed = []  # type: List[Tuple[bytes, Optional[Node]]]
    for path in order:
        verdict = verdicts[path]
        one, other = here.get(path), there.get(path)
        if verdict == HERE:
            to_there.append(Change(path, other, one))
        elif verdict == THERE:
            to_here.append(Change(path, one, other))
        elif verdict == MERGE:
            _merge(path, base[path], here[path], there[path], to_here, to_there)
        elif verdict == EVEN and base.get(path) != one:
            agreed.append((path, one))
    listed = [
        Conflict(path, here.get(path), there.get(path), base.get(path), conflicts[path]) for path in sorted(conflicts)
    ]
    return Outcome(_in_order(to_here), _in_order(to_there), agreed, listed)


def _merge(
    path: "bytes", base: "Node", here: "Node", there: "Node", to_here: "List[Change]", to_there: "List[Change]"
) -> "None":
    node = merged(base, here, there)
    if node != here:
        to_here.append(Change(path, here, node))
    if node != there:
        to_there.append(Change(path, there, node))


def _in_order(changes: "List[Change]") -> "List[Change]":
    """Put changes, sorted by path, into an order in which they can be applied."""
    replaced = {path for path, old, new in changes if new is not None and _is_folder(old)}
    first, middle, last = [], [], []  # type: Tuple[List[Change], List[Change], List[Change]]
    for change in changes:
        if change.new is not None:
            middle.append(change)
        elif replaced and any(above in replaced for above in parents(change.path)):
            first.append(change)
        else:
            last.append(change)
    return first[::-1] + middle + last[::-1]
