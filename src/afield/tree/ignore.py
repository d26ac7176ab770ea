"""Which paths stay out of the sync, and which rule says so  [P].

Order, the later wins: built in, ``.gitignore`` from the outermost folder inwards, ``.afieldignore`` likewise, settings;
within one file the last line that matches. What is below a folder that is left out is out whatever else matches, and
nothing takes back ``noise.LOCKED``. The meaning of a line is git's (``patterns.py``). Rules: bytes, any names; a folder's
rules are added before the folder is asked about, or everything known so far is worked out anew. No files are read here.

Each folder gets a view in which a plain name, a ``*.ext`` and a plain path are looked up in dicts; all other patterns
are tried as one expression that nearly always says no.
"""

import re
from collections import namedtuple

from afield.tree import noise, patterns
from afield.tree.paths import join, parent, parents
from afield.tree.paths import name as name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

    from afield.tree.patterns import Pattern

    Match = Callable[[bytes], object]
    Hard = List[Tuple[int, Match]]

    class Rule(NamedTuple):
        """A pattern and where it stands."""

        pattern: Pattern
        folder: bytes
        source: str
        line: int

    class Decision(NamedTuple):
        """What becomes of a path, and why."""

        ignored: bool
        rule: Optional[bytes]
        source: Optional[str]
        line: int
        at: bytes

else:
    Rule = namedtuple("Rule", "pattern folder source line")
    Decision = namedtuple("Decision", "ignored rule source line at")
    Decision.__doc__ = """What becomes of a path, and why.

    ``rule``: the line that decides (None: no rule matches), ``source`` and ``line``: where it stands; ``at``: the path it
    matches, which is a folder above when that is what is left out.
    """

BUILT_IN = noise.BUILT_IN
LEVELS = ("built-in", "git", "afield", "settings")
_NAMED = {b".gitignore": "git", b".afieldignore": "afield"}
FILE_NAMES = tuple(_NAMED)  # the files to look for in each folder
_BUILT_IN_SOURCE = "built-in: "


class Ignore:
    """The rules of one root."""

    def __init__(self, *, built_in: "bool" = True) -> "None":
        """``built_in``: start with the rules of ``noise.py``; the locked ones hold in any case."""
        self._rules = {}  # type: Dict[Tuple[str, bytes], List[Rule]]
        self._with_rules = {b""}
        self._views = {}  # type: Dict[bytes, FolderRules]
        self._locked = _noise_rules(noise.LOCKED)
        if built_in:
            self._rules["built-in", b""] = _noise_rules(noise.BUILT_IN)

    def add_rules(self, folder: "bytes", text: "bytes", source: "str", *, level: "Optional[str]" = None) -> "None":
        """Add the lines of a file. ``folder``: the one it stands in; ``source``: how to name it to a person.

        ``level`` is one of LEVELS; by default it follows from the name of the file at the end of ``source``.
        """
        if level is None:
            level = _NAMED.get(name_of(source.encode("utf-8", "surrogateescape")), "settings")
        assert level in LEVELS, level
        rules = [Rule(pattern, folder, source, line) for line, pattern in patterns.parse_lines(text)]
        if rules:
            self._rules.setdefault((level, folder), []).extend(rules)
            self._with_rules.add(folder)
            if folder in self._views:  # a view below a folder is made after the folder's own
                self._views = {}

    def folder(self, folder: "bytes") -> "FolderRules":
        """Give the rules for what is directly in a folder that is itself not left out."""
        view = self._views.get(folder)
        if view is not None:
            return view
        above = self._views.get(parent(folder)) if folder else None
        if above is not None:
            view = self._views[folder] = self._make_view(folder, above)
            return view
        # From the top down and not by recursion: a path of 4,096 bytes can have 2,000 folders.
        for each in ([b""] if folder else []) + list(parents(folder))[::-1] + [folder]:
            view = self._views.get(each)
            if view is None:
                view = self._views[each] = self._make_view(each, above)
            above = view
        assert view is not None
        return view

    def decide(self, path: "bytes", is_dir: "bool") -> "Decision":
        """Decide on a path and say why; the folders above it are looked at first."""
        for above in reversed(list(parents(path))):
            rule = self.folder(parent(above)).rule(name_of(above), True)
            if rule is not None and not rule.pattern.negated:
                return _decision(rule, above)
        rule = self.folder(parent(path)).rule(name_of(path), is_dir)
        return Decision(False, None, None, 0, path) if rule is None else _decision(rule, path)

    def _make_view(self, folder: "bytes", above: "Optional[FolderRules]") -> "FolderRules":
        if above is not None and folder not in self._with_rules:
            return FolderRules(folder, above.tables)
        chain = [b"", *reversed(list(parents(folder))), folder] if folder else [b""]
        rules = [rule for level in LEVELS for each in chain for rule in self._rules.get((level, each), ())]
        rules.extend(self._locked)
        return FolderRules(folder, (_Table(rules, for_folders=False), _Table(rules, for_folders=True)))


def _noise_rules(listed: "Iterable[Tuple[bytes, str]]") -> "List[Rule]":
    rules = []
    for line, (text, reason) in enumerate(listed, 1):
        pattern = patterns.parse(text)
        assert pattern is not None
        rules.append(Rule(pattern, b"", _BUILT_IN_SOURCE + reason, line))
    return rules


def _decision(rule: "Rule", path: "bytes") -> "Decision":
    return Decision(not rule.pattern.negated, rule.pattern.text, rule.source, rule.line, path)


class _Table:
    """The rules that hold in a folder and below, sorted by how they are looked up. A rule is its place: the later wins."""

    def __init__(self, rules: "Sequence[Rule]", *, for_folders: "bool") -> "None":
        self.rules = rules
        self.names = {}  # type: Dict[bytes, int]
        self.suffixes = {}  # type: Dict[bytes, int]
        self.paths = {}  # type: Dict[bytes, Dict[bytes, int]]
        self.wild = []  # type: List[Tuple[bytes, int, bytes]]
        hard = []  # type: List[Tuple[int, bytes]]
        for place, rule in enumerate(rules):
            if rule.pattern.only_folders and not for_folders:
                continue
            if rule.pattern.in_folder:
                self._add_path(place, rule)
            else:
                self._add_name(place, rule.pattern, hard)
        self.hard = _Expressions(hard)

    def _add_name(self, place: "int", pattern: "Pattern", hard: "List[Tuple[int, bytes]]") -> "None":
        spelled = patterns.spelled_out(pattern)
        if spelled is not None and not spelled[0]:
            self.names.update((text, place) for text in spelled[1])
        elif spelled is not None and all(text.rfind(b".") == 0 for text in spelled[1]):
            self.suffixes.update((text, place) for text in spelled[1])
        else:
            hard.append((place, patterns.expression(pattern)))

    def _add_path(self, place: "int", rule: "Rule") -> "None":
        spelled = patterns.spelled_out(rule.pattern)
        if spelled is None:
            # The folder is matched as it is, so that views of deeper folders need no cutting.
            front = rule.folder + b"/" if rule.folder else b""
            self.wild.append(
                (
                    front + patterns.fixed_folder(rule.pattern),
                    place,
                    re.escape(front) + patterns.expression(rule.pattern),
                )
            )
            return
        for text in spelled[1]:
            if all(text.split(b"/")):  # a path with an empty part is not the path without it: nothing has it
                path = join(rule.folder, text)
                self.paths.setdefault(parent(path), {})[name_of(path)] = place


class _Expressions:
    """Expressions of which the last that matches counts."""

    def __init__(self, hard: "List[Tuple[int, bytes]]") -> "None":
        self._each = [(place, re.compile(text, patterns.FLAGS).match) for place, text in reversed(hard)]  # type: Hard
        joined = [text for _, text in hard if patterns.can_be_joined(text)]
        self._any = None  # type: Optional[Match]
        if len(joined) == len(hard) and len(hard) > 1:
            self._any = re.compile(b"|".join(joined), patterns.FLAGS).match

    def __bool__(self) -> "bool":
        return bool(self._each)

    def any_of(self, texts: "Sequence[bytes]") -> "bool":
        """Tell whether any matches any of these; yes when only a closer look could tell."""
        return bool(self._each) and (self._any is None or any(map(self._any, texts)))

    def last(self, text: "bytes", best: "int") -> "int":
        """Give the place of the last that matches, or ``best`` when that is later."""
        if self._any is None or self._any(text):
            for place, match in self._each:
                if place < best:
                    return best
                if match(text):
                    return place
        return best


class FolderRules:
    """The rules for what is directly in one folder."""

    def __init__(self, folder: "bytes", tables: "Tuple[_Table, _Table]") -> "None":
        self.tables = tables
        self._front = folder + b"/" if folder else b""
        self._for = tuple(self._lookups(folder, table) for table in tables)

    def _lookups(self, folder: "bytes", table: "_Table") -> "Tuple[Dict[bytes, int], _Table, Optional[_Expressions]]":
        names = table.names
        own = table.paths.get(folder)
        if own is not None:
            names = dict(names)
            for name, place in own.items():
                names[name] = max(place, names.get(name, -1))
        wild = [(place, text) for front, place, text in table.wild if self._front.startswith(front)]
        return names, table, _Expressions(wild) if wild else None

    def rule(self, name: "bytes", is_dir: "bool") -> "Optional[Rule]":
        """Give the rule that decides on a name in this folder, None when there is none."""
        names, table, wild = self._for[is_dir]
        best = names.get(name, -1)
        dot = name.rfind(b".")
        if dot >= 0:
            place = table.suffixes.get(name[dot:], -1)
            best = max(best, place)
        if table.hard:
            best = table.hard.last(name, best)
        if wild is not None:
            best = wild.last(self._front + name, best)
        return table.rules[best] if best >= 0 else None

    def free(self, names: "Sequence[bytes]") -> "bool":
        """Tell whether no rule says anything of any of these names; a cheap look that may say no where none does."""
        # What holds for files holds for folders as well.
        known, table, wild = self._for[True]
        if wild is not None or not known.keys().isdisjoint(names) or table.hard.any_of(names):
            return False
        return table.suffixes.keys().isdisjoint([name[name.rfind(b".") :] for name in names])

    def ignored(self, name: "bytes", is_dir: "bool") -> "bool":
        """Tell whether a name in this folder is left out."""
        rule = self.rule(name, is_dir)
        return rule is not None and not rule.pattern.negated
