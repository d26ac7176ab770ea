"""Why a path is left out of the sync, and what is left out in all: verbs ``explain`` and ``left-out``  [P].

Rules: the same rules as a scan's, asked with their reasons; nothing is changed, and no root has to be open (``root`` and
``ignore`` may come with the request, so that a project that is not up can be explained too).
"""

import os
import stat as modes
from time import monotonic

from afield.errors import AfieldError, ProtocolError
from afield.files.roots import Root
from afield.files.rules import Rules, existing, has_mark, standing_kind
from afield.files.state import NAME
from afield.tree.ignore import FILE_NAMES
from afield.tree.paths import check, check_or_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Generator, Iterator, List, Optional, Tuple

    from afield.files.service import Service
    from afield.tree.ignore import Rule

# A person waits for this answer; data folders with millions of files are counted as far as that goes.
MEASURED_SECONDS = 10.0
# More than a person reads.
NAMED = 200
VENV = "a virtual environment (it has a pyvenv.cfg): it works only where it was made"
OWN = "afield's own state: staging, history, shims"
OTHER = "neither a file, a folder nor a link"


def explain(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":  # noqa: ARG001  all verbs are called alike
    """Verb ``explain``: say whether a path is left out, which rule says so and where that stands."""
    root, rules, own = asked_root(service, args)
    try:
        path = check(args["path"] if "path" in args else b"")
        yield None
        found = why(root, rules, path)
        found["kind"], found["size"], found["mtime"], found["executable"] = told_of(root, path)
        if found["kind"] == "o" and not found["ignored"]:
            found.update(ignored=True, source=OTHER, at=path)
        return found
    finally:
        if own:
            root.close()
        else:
            root.forget()


def asked_root(service: "Service", args: "Dict[str, Any]") -> "Tuple[Root, Rules, bool]":
    """Give the root to look at, its rules, and whether it was opened for this request. Raises FilesError."""
    where, extra = args.get("root"), args.get("ignore")
    if where is None:
        return service.need_root(), service.rules(), False
    if not isinstance(where, bytes) or not isinstance(extra, list):
        raise ProtocolError("expected root as bytes and ignore as a list, got %.200r" % (args,))
    return Root(where), Rules([str(line) for line in extra]), True


def told_of(root: "Root", path: "bytes") -> "Tuple[str, Optional[int], Optional[float], bool]":
    """Give kind, size in bytes, time of change in seconds, executable of what stands there; the numbers of files only."""
    from afield.files.handles import kind_of

    try:
        found = root.lstat(path)
    except (OSError, AfieldError):
        return "", None, None, False
    kind = kind_of(found.st_mode)
    is_file = kind == "f"
    executable = is_file and bool(found.st_mode & 0o100)
    return kind, found.st_size if is_file else None, found.st_mtime if is_file else None, executable


def kind_at(root: "Root", path: "bytes") -> "str":
    """Give the kind letter of what stands there, "" for nothing."""
    return told_of(root, path)[0]


def why(root: "Root", rules: "Rules", path: "bytes") -> "Dict[str, Any]":
    """Give ``ignored`` and, of what decides, ``rule`` (its text), ``source``, ``line``, and ``at`` (the path it matches).

    Without ``ignored`` a rule that is given takes the path back in (``!pattern``).
    """
    above, left = b"", path
    last: "Optional[Rule]" = None
    while left:
        name, _, left = left.partition(b"/")
        learn(root, rules, above)
        inner = above + b"/" + name if above else name
        if inner.lower() == NAME:
            return told(True, None, inner, OWN)
        kind = "d" if left else standing_kind(root, inner)
        view = rules.ignore.folder(above)
        for is_folder in (kind != "f", False) if kind == "" else (kind != "f",):
            last = view.rule(name, is_folder)
            if last is not None and not last.pattern.negated:
                return told(True, last, inner)
        if kind == "d" and has_mark(root, inner):
            return told(True, None, inner, VENV)
        above = inner
    return told(False, last, path)


def learn(root: "Root", rules: "Rules", folder: "bytes") -> "None":
    """Read the ignore files of a folder once."""
    if folder not in rules.known:
        try:
            fd = root.folder(folder)
        except (OSError, AfieldError):
            return  # nothing there: it has no ignore files
        rules.enter(folder, fd, existing(fd, FILE_NAMES))


def told(ignored: "bool", rule: "Optional[Rule]", at: "bytes", source: "str" = "") -> "Dict[str, Any]":
    """Make the answer."""
    if rule is None:
        return {"ignored": ignored, "rule": None, "source": source, "line": 0, "at": at}
    return {"ignored": ignored, "rule": rule.pattern.text, "source": rule.source, "line": rule.line, "at": at}


def left_out(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``left-out``: the biggest things that are left out, each with its rule; done says how much it is in all."""
    root, rules, own = asked_root(service, args)
    counter = Counter(monotonic() + MEASURED_SECONDS)
    rows: "List[List[Any]]" = []
    try:
        pending = [check_or_root(args.get("path") or b"")]
        while pending:
            folder = pending.pop()
            for path, is_folder, reason in entries(root, rules, folder):
                if reason is None:
                    pending.append(path)
                else:
                    files, size = counter.files, counter.bytes
                    for _ in counter.measure(root, path, is_folder):
                        yield None
                    size, files = counter.bytes - size, counter.files - files
                    if files or is_folder:
                        rows.append([path, files, size, reason["rule"], reason["source"], reason["line"]])
                if monotonic() >= task.until:
                    yield None
            root.forget()
        rows.sort(key=lambda row: (-row[2], row[0]))
        for place in range(0, min(len(rows), NAMED), 50):
            yield rows[place : min(place + 50, NAMED)]
        return {"count": len(rows), "files": counter.files, "bytes": counter.bytes, "at_least": counter.stopped}
    finally:
        if own:
            root.close()
        else:
            root.forget()


def entries(root: "Root", rules: "Rules", folder: "bytes") -> "Iterator[Tuple[bytes, bool, Optional[Dict[str, Any]]]]":
    """Give (path, is folder, why it is left out) of what is left out of a folder, and (path, True, None) of folders to enter."""
    try:
        fd = root.folder(folder)
        names = [os.fsencode(name) for name in os.listdir(fd)]
    except (OSError, AfieldError):
        return
    learn(root, rules, folder)
    view = rules.ignore.folder(folder)
    for name in names:
        path = folder + b"/" + name if folder else name
        if path.lower() == NAME:
            continue
        is_folder = kind_at(root, path) == "d"
        rule = view.rule(name, is_folder)
        if rule is not None and not rule.pattern.negated:
            yield path, is_folder, told(True, rule, path)
        elif is_folder and has_mark(root, path):
            yield path, True, told(True, None, path, VENV)
        elif is_folder:
            yield path, True, None


class Counter:
    """Counts files and bytes until ``end`` (monotonic seconds); ``stopped`` says that there is more."""

    def __init__(self, end: "float") -> "None":
        self.end = end
        self.files = 0
        self.bytes = 0
        self.stopped = False

    def measure(self, root: "Root", path: "bytes", is_folder: "bool") -> "Iterator[None]":
        """Count what stands at and below a path; gives way after each folder."""
        if not is_folder:
            self._add(root, path)
            return
        pending = [path]
        while pending:
            if monotonic() >= self.end:
                self.stopped = True
                return
            folder = pending.pop()
            try:
                fd = root.folder(folder)
                names = [os.fsencode(name) for name in os.listdir(fd)]
            except (OSError, AfieldError):
                continue
            for name in names:
                try:
                    stat = os.stat(name, dir_fd=fd, follow_symlinks=False)
                except OSError:
                    continue
                if modes.S_ISDIR(stat.st_mode):
                    pending.append(folder + b"/" + name)
                else:
                    self.files += 1
                    self.bytes += stat.st_size
            yield None

    def _add(self, root: "Root", path: "bytes") -> "None":
        try:
            self.bytes += root.lstat(path).st_size
            self.files += 1
        except (OSError, AfieldError):
            return
