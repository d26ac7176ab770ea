"""The verbs on one root, as a table of generators; the loop that runs them is in ``worker.py``  [P].

Rules: a verb checks its arguments, hands the work to the module that knows it, and gives back plain values; nothing
here reads the pipe. What each verb takes and gives is in files-service.md.
"""

from time import monotonic, time

from afield.errors import AfieldError, FilesError, NoSuchFile, ProtocolError, WrongIdentity
from afield.files import away, hashes, looking, parking, steps
from afield.files.apply import Apply
from afield.files.bundle import Pack
from afield.files.columns import decode_ops, row_of, stat_row
from afield.files.faults import from_os_error
from afield.files.history import History
from afield.files.probe import glance, probe
from afield.files.roots import Root
from afield.files.rules import Rules
from afield.files.squeeze import Squeezer
from afield.files.stage import Stage
from afield.files.state import State, is_marked
from afield.tree.entries import decode_entries
from afield.tree.paths import check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Generator, List, Optional

    from afield.files.columns import StatRow
    from afield.files.watch import Watch


class Service:
    """One worker's root and what belongs to it; ``None`` before ``open``."""

    # Makes what tells of changes in place of inotify, where the system has something else; takes the root's path.
    new_events: "Any" = None

    def __init__(self) -> "None":
        self.root: "Optional[Root]" = None
        self.state: "Optional[State]" = None
        self.history: "Optional[History]" = None
        self.stage: "Optional[Stage]" = None
        self.watch: "Optional[Watch]" = None
        self.extra: "List[str]" = []
        # Whether its client left and may come back; how the root was opened, and what ``open`` said then.
        self.parked = False
        self.asked: "Any" = None
        self.opened: "Dict[str, Any]" = {}
        # The part of a broken `store` whose digest was just asked for: path, size, hash object.
        self.hashed: "Any" = None
        # Tests poll where the system has inotify; nothing else sets this.
        self.use_inotify = True

    def need_root(self) -> "Root":
        """Give the root. Raises FilesError before ``open``, RootReplaced when another folder has its path now."""
        if self.root is None:
            raise FilesError("no root is open", hint="send open first")
        self.root.check_place()
        return self.root

    def need_state(self) -> "Root":
        """Give the root when it may be written to. Raises FilesError for one that was opened only to look, and as ``need_root``."""
        root = self.need_root()
        if self.state is None:
            raise FilesError("the root was opened only to look", hint="open it without look first", path=root.path)
        return root

    def rules(self) -> "Rules":
        """Make fresh ignore rules."""
        return Rules(self.extra)

    def close(self) -> "None":
        """Let go of everything; staging is removed."""
        for part in (self.watch, self.history, self.state, self.root):
            if part is not None:
                part.close()
        self.root = self.state = self.history = self.stage = self.watch = None

    def done(self, path: "bytes", stat: "Optional[StatRow]", folder: "bool" = False) -> "None":
        """Hear of what an apply did."""
        if self.watch is not None:
            self.watch.done(path, stat, folder)


def open_root(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":  # noqa: ARG001  all verbs are called alike
    """Verb ``open``."""
    where, extra, state = args.get("root"), args.get("ignore") or [], args.get("state")
    identity = args.get("identity")
    if not isinstance(where, bytes) or not where or not isinstance(extra, list):
        raise ProtocolError("expected open with root as bytes and ignore as a list, got %.200r" % (args,))
    try:
        again = parking.resume(service, args) if service.parked else None
    except (OSError, AfieldError):
        again = None
    if again is not None:
        yield None
        return again
    service.close()
    try:
        steps.at("open")
        known = bool(args.get("known"))
        service.root = Root(where, bool(args.get("create")) and not known)
        if args.get("look") and not known and not is_marked(service.root, state):
            found = _look_at(service, extra)
            yield None
            return found
        service.state = State(service.root, state, known)
        service.state.take_identity(identity, bool(args.get("take_over")))
        service.history = History(service.state, bool(args.get("history", True)))
        service.stage = Stage(service.state.staging, service.history, service.state.stages)
        found = probe(service.state.fd, service.state.path)
        steps.at("opened")
    except OSError as error:
        path = where if service.root is None else service.root.path
        service.close()
        raise from_os_error(error, path)
    except AfieldError:
        service.close()
        raise
    service.extra = [str(line) for line in extra]
    root = service.root
    root.exact = found["case_sensitive"] and found["unicode_exact"]
    service.asked = parking.asked(args)
    service.opened = {
        "identity": service.state.identity,
        "identity_new": service.state.identity_new,
        "created": root.created,
        "probe": found,
        "root": root.path,
        "begun": service.state.begun,
    }
    answer = service.opened
    yield None
    return answer


def _look_at(service: "Service", extra: "List[Any]") -> "Dict[str, Any]":
    """Open a root that was never synced without anything of ours in it: it can be looked at, and no more. Raises OSError."""
    root = service.need_root()
    found = glance(root.fd, root.path)
    service.extra = [str(line) for line in extra]
    root.exact = found["case_sensitive"]
    return {"identity": b"", "identity_new": False, "created": False, "probe": found, "root": root.path, "begun": []}


def hash_paths(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``hash``."""
    steps.at("hash")
    paths = [check(path) for path in args.get("paths") or []]
    for rows in hashes.hash_files(service.need_root(), paths, task):
        yield rows
    return {}


def read(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``read``."""
    steps.at("read")
    root, items = service.need_root(), args.get("items")
    if isinstance(items, bytes):
        wanted: "List[Any]" = [(path, tuple(entry.stat)) for path, entry in decode_entries(items)]
    elif isinstance(items, list):
        wanted = [(check(item[0]), None if item[1] is None else stat_row(item[1])) for item in items]
    else:
        raise ProtocolError("expected read with items, got %.200r" % (args,))
    pack = Pack(root, wanted)
    squeeze = squeezer(args)
    try:
        for piece in pack.run(task):
            yield piece if piece is None or squeeze is None else squeeze.pack(piece)
    finally:
        root.forget()
    return {"failed": pack.failed}


def squeezer(args: "Dict[str, Any]") -> "Optional[Squeezer]":
    """Give what packs the pieces when ``squeeze`` is asked for (a level as zlib has it; 0 packs, but nothing smaller)."""
    level = args.get("squeeze")
    if level is None:
        return None
    if type(level) is not int or not 0 <= level <= 9:
        raise ProtocolError("expected squeeze from 0 to 9, got %.100r" % (level,))
    return Squeezer(level)


def apply_ops(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``apply``."""
    root, ops = service.need_state(), args.get("ops")
    assert service.stage is not None  # it comes with the state
    assert service.history is not None
    if isinstance(ops, bytes):
        rows = decode_ops(ops)
    elif isinstance(ops, list):
        rows = [row_of(op) for op in ops]
    else:
        raise ProtocolError("expected apply with ops, got %.200r" % (args,))
    yield None
    work = Apply(root, service.stage, service.history, service.done, args.get("form", "bundle"))
    for value in work.run(rows, isinstance(ops, bytes), task):
        yield value
    return {}


def signature(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``signature``."""
    from afield.files import large

    return large.signature(service, args, task)


def patch(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``patch``."""
    from afield.files import large

    return large.patch_file(service, args, task)


def storing(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``store``."""
    from afield.files import store

    return store.store(service, args, task)


def part(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``part``."""
    from afield.files import store

    return store.part(service, args, task)


def explain(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``explain``."""
    from afield.files import explain as explaining

    return explaining.explain(service, args, task)


def left_out(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``left-out``."""
    from afield.files import explain as explaining

    return explaining.left_out(service, args, task)


def clock(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":  # noqa: ARG001  all verbs are called alike
    """Verb ``clock``: what time it is here."""
    yield None
    return {"now_ns": int(time() * 1e9)}


def history(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``history``: as the done value, or with ``parts`` in parts that fit any record."""
    service.need_state()
    assert service.history is not None  # it comes with the state
    limit = int(args.get("limit") or 1000)
    found: "List[List[Any]]" = []
    for some in service.history.batches(args.get("path") or b""):
        found.extend(some)
        if len(found) >= limit:
            break
        if monotonic() >= task.until:
            yield None
    found = found[:limit]
    if not args.get("parts"):
        return found
    # A path is at most 4 KB and stands in an event twice: 100 of them fit.
    for place in range(0, len(found), 100):
        yield found[place : place + 100]
    return []


def restore(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":  # noqa: ARG001  all verbs are called alike
    """Verb ``restore``."""
    root, event = service.need_state(), args.get("event")
    assert service.history is not None  # it comes with the state
    if not isinstance(event, bytes):
        raise NoSuchFile("there is no such event in the history: %.100r" % (event,))
    yield None
    steps.at("restore")
    path = service.history.restore(root, check(event))
    steps.at("restored")
    return {"path": path}


def remove_root(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``remove-root``."""
    from afield.files.removal import remove_tree

    root = service.need_state()
    assert service.state is not None
    if args.get("yes") != service.state.identity:
        raise WrongIdentity(
            "expected the identity of the root as a confirmation, got %.50r" % (args.get("yes"),), path=root.path
        )
    path = root.path
    service.close()
    try:
        for _ in remove_tree(path, task):
            yield None
    except OSError as error:
        raise from_os_error(error, path)
    return {"root": path}


VERBS: "Dict[str, Callable[[Service, Dict[str, Any], Any], Generator[Any, None, Any]]]" = {
    "open": open_root,
    "scan": looking.scan,
    "rescan": looking.rescan,
    "hash": hash_paths,
    "read": read,
    "apply": apply_ops,
    "signature": signature,
    "patch": patch,
    "watch": looking.watch,
    "barrier": looking.barrier,
    "park": parking.park,
    "clock": clock,
    "list": away.list_folder,
    "fetch": away.fetch,
    "store": storing,
    "part": part,
    "history": history,
    "restore": restore,
    "explain": explain,
    "left-out": left_out,
    "remove-root": remove_root,
}
BULK = frozenset(("scan", "rescan", "hash", "read", "signature", "patch", "fetch", "list"))
# One queue: a later apply may build on an earlier one, and opening or removing the root waits for both.
QUEUES = {
    "apply": "apply",
    "read": "read",
    "patch": "read",
    "open": "apply",
    "remove-root": "apply",
    "restore": "apply",
}
EVENTS = frozenset(("watch", "barrier"))
