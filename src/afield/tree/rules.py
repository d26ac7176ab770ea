"""Which mode holds for which path: the lists of patterns in the settings, and the mode for all that none matches  [P].

Order: the first list that holds decides, in the order of ``ORDER``: the one that sends least over what programs made
there comes first. Patterns are written as in .gitignore (``ignore.py`` matches them): what matches a folder holds for
all below it, of several the last counts, ``!pattern`` takes back, and unlike in git also below a folder that is in.
No trees in here.
"""

from afield.tree.ignore import Ignore
from afield.tree.modes import mode_named
from afield.tree.paths import name as name_of
from afield.tree.paths import parent, parents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Mapping, Optional, Sequence, Tuple

    from afield.tree.ignore import Rule

# The lists, and the mode that each means.
ORDER = (("pull", "pull"), ("push", "push"), ("two-way", "two-way-safe"))
# The mode of paths that the other side must not write.
OWN = "push"
# Folders whose verdict is remembered: those of a large tree; beyond that the memory is emptied, which costs time only.
REMEMBERED = 100000


class ModeRules:
    """Called with a path it gives the mode's name, as ``reconcile`` wants it. ``mode`` is that of all other paths."""

    def __init__(self, mode: "str", lists: "Mapping[str, Sequence[str]]", own: "Sequence[bytes]" = ()) -> "None":
        """``lists``: patterns by the names of ``ORDER``; ``own``: names at the top that only go there, whatever the lists say.

        Raises UsageError for an unknown mode.
        """
        mode_named(mode)
        self.mode = mode
        self.own = frozenset(own)
        self.lists = {name: tuple(lists.get(name) or ()) for name, _ in ORDER}
        self._rules: "List[Tuple[str, Ignore]]" = []
        for name, meant in ORDER:
            if self.lists[name]:
                self._rules.append((meant, _patterns(name, self.lists[name])))
        self._folders: "Dict[bytes, Tuple[bool, ...]]" = {}

    @property
    def plain(self) -> "Optional[str]":
        """The mode of all paths but ``own``; None when lists decide."""
        return None if self._rules else self.mode

    @property
    def listed(self) -> "List[List[str]]":
        """The patterns, each as [list, pattern]."""
        return [[name, pattern] for name, _ in ORDER for pattern in self.lists[name]]

    def __bool__(self) -> "bool":
        """Whether any path can have another mode than ``mode``."""
        return bool(self._rules or self.own)

    def __call__(self, path: "bytes") -> "str":
        """Give the mode of a path (its name). A pattern for folders counts for any path of that name."""
        if path in self.own:
            return OWN
        if not self._rules:
            return self.mode
        above = self._holds(parent(path))
        for place, (mode, rules) in enumerate(self._rules):
            rule = _rule(rules, path)
            if above[place] if rule is None else not rule.pattern.negated:
                return mode
        return self.mode

    def explain(self, path: "bytes") -> "Tuple[str, Optional[bytes], str]":
        """Give (mode, the pattern that decides or None, the setting that it stands in or "")."""
        if path in self.own:
            return OWN, None, ""
        for mode, rules in self._rules:
            for each in [path, *parents(path)]:
                rule = _rule(rules, each)
                if rule is not None and not rule.pattern.negated:
                    return mode, rule.pattern.text, rule.source
                if rule is not None:
                    break
        return self.mode, None, ""

    def _holds(self, folder: "bytes") -> "Tuple[bool, ...]":
        """Tell for each list whether it holds for a folder."""
        known = self._folders.get(folder)
        if known is not None:
            return known
        if len(self._folders) >= REMEMBERED:
            self._folders.clear()
        state = (False,) * len(self._rules)
        # From the top down and not by recursion: a path of 4,096 bytes can have 2,000 folders.
        for each in [*reversed(list(parents(folder))), folder] if folder else []:
            found = self._folders.get(each)
            if found is None:
                found = tuple(self._at(place, each, state[place]) for place in range(len(state)))
                self._folders[each] = found
            state = found
        return state

    def _at(self, place: "int", folder: "bytes", above: "bool") -> "bool":
        rule = _rule(self._rules[place][1], folder)
        return above if rule is None else not rule.pattern.negated


def _patterns(name: "str", lines: "Sequence[str]") -> "Ignore":
    rules = Ignore(built_in=False)
    rules.add_rules(b"", "\n".join(lines).encode("utf-8", "surrogateescape"), "sync." + name, level="settings")
    return rules


def _rule(rules: "Ignore", path: "bytes") -> "Optional[Rule]":
    rule = rules.folder(parent(path)).rule(name_of(path), True)
    # Ignore has locked rules of its own, which say nothing about modes.
    return rule if rule is not None and rule.source.startswith("sync.") else None
