"""The verbs that look at a root and tell what changes: scan, rescan, watch, barrier  [P].

Rules: as in service.py, whose table has them; how a scan and a watch work is in their own modules.
"""

from time import monotonic

from afield.errors import AfieldError, FilesError, ProtocolError
from afield.files import steps
from afield.files.early import Early
from afield.files.faults import from_os_error, show
from afield.files.scan import Scan, columns
from afield.files.tasks import WAIT
from afield.tree.listing import decode_known, encode_same
from afield.tree.paths import check, check_or_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Generator, Iterator, List, Optional

    from afield.files.service import Service
    from afield.files.watch import Watch

# What is known of two million folders; see tree/listing.py.
MAX_KNOWN = 64 << 20


def scan(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``scan``; ``watch`` begins to watch with it, ``known`` leaves out what the asker knows."""
    steps.at("scan")
    root, path = service.need_root(), check_or_root(args.get("path", b""))
    watching = watch_with(service) if args.get("watch") and not path else None
    rules = service.rules() if watching is None else watching.rules
    work = Scan(root, rules, None if watching is None else watching.folder)
    told = follow_up(task) if args.get("known") else None
    if told is not None and watching is not None:
        watching.kept.settle()
        work.kept = watching.kept
    try:
        if path and rules.left_out(root, path):
            raise FilesError("%s: the path is ignored" % show(path), path=path)
        if told is not None:
            work.early = Early()
            if work.kept is not None and work.kept.listed:
                # Most need not be listed at all.
                for pause in hear(work, told, task, wait=True):
                    yield pause
                told = None
        for pairs in work.run(path, task):
            if told is not None:
                for pause in hear(work, told, task, wait=False):
                    yield pause
                told = told if work.early is not None else None
            if pairs is None:
                yield None
            else:
                for part in columns(pairs):
                    yield part
        if told is not None:
            for pause in hear(work, told, task, wait=True):
                yield pause
        for part in columns(work.take()):
            yield part
        limited = None if watching is None else watching.begin()
        ignored = yield from measure(work, task)
    except OSError as error:
        raise from_os_error(error, path)
    finally:
        root.forget()
    result: "Dict[str, Any]" = {"count": work.count, "ignored": ignored, "errors": work.errors}
    if work.known:
        result.update(same=encode_same(work.known, work.same), dropped=work.dropped)
    if watching is not None:
        result.update(mode=watching.mode, limited=limited[1] if limited else None)
    return result


def measure(work: "Scan", task: "Any") -> "Generator[None, None, Dict[str, Any]]":
    """Say how much is left out; measured anew only when other folders are than at the last scan."""
    known = None if work.kept is None else work.kept.measured
    if known is None or known[0] != work.skipped:
        for _ in work.measure(task):
            yield None
        known = work.skipped, work.ignored()
    if work.kept is not None:
        work.kept.measured = known
    return known[1]


def hear(work: "Scan", told: "Iterator[Optional[bytes]]", task: "Any", wait: "bool") -> "Iterator[Any]":
    """Take in what the asker knows when it has come; wait for it when asked to, or when too much is held back."""
    assert work.early is not None
    while True:
        piece = next(told)
        if piece is not None:
            for pause in work.early.settle(work, decode_known(piece), task):
                yield pause
            return
        if not wait and not work.early.full:
            return
        yield WAIT


def follow_up(task: "Any") -> "Iterator[Optional[bytes]]":
    """Give None while follow-up data is awaited, and all of it as one piece at the end. Raises ProtocolError."""
    pieces: "List[bytes]" = []
    size = 0
    while True:
        while task.inbox:
            pieces.append(task.inbox.popleft())
            size += len(pieces[-1])
            if size > MAX_KNOWN:
                raise ProtocolError("expected at most %d bytes of follow-up data" % MAX_KNOWN)
        if task.ended:
            break
        yield None
    yield b"".join(pieces)


def rescan(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``rescan``."""
    root = service.need_root()
    paths = [check(path) for path in args.get("paths") or []]
    rules = service.rules()
    work = Scan(root, rules)
    absent: "List[bytes]" = []
    ignored: "List[bytes]" = []
    # The last folder where nothing stands, with a slash: nothing stands below it either, and no look is needed there.
    gone = b"/"
    try:
        for path in paths:
            if monotonic() >= task.until:
                root.forget()
                yield None
                gone = b"/"
            if path.startswith(gone):
                (ignored if rules.left_out_below(gone[:-1], path) else absent).append(path)
                continue
            try:
                if rules.left_out(root, path):
                    ignored.append(path)
                    continue
                root.lstat(path)
                for pairs in work.run(path, task):
                    if pairs is None:
                        yield None
                    else:
                        for part in columns(pairs):
                            yield part
                if len(work.pairs) >= 1000:
                    for part in columns(work.take()):
                        yield part
            except (FileNotFoundError, NotADirectoryError):
                absent.append(path)
                gone = path + b"/"
            except OSError as error:
                work.error(path, from_os_error(error, path).text)
            except AfieldError as error:
                work.error(path, error.text)
        for part in columns(work.take()):
            yield part
    finally:
        root.forget()
    return {"absent": absent, "errors": work.errors, "ignored": ignored}


def watch(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":
    """Verb ``watch``: its events are sent by the loop."""
    service.need_root()
    if not args.get("on", True):
        if service.watch is not None:
            service.watch.close()
            service.watch = None
        return {"mode": "off"}
    watching = new_watch(service)
    for event in watching.start(task):
        yield event
    return {"mode": watching.mode}


def watch_with(service: "Service") -> "Watch":
    """Give the watch for a scan: the one that there is when it missed nothing, else a fresh one."""
    watching = service.watch
    if watching is not None:
        watching.read()
        if watching.sees_all:
            return watching
    return new_watch(service)


def new_watch(service: "Service") -> "Watch":
    """Make a fresh watch of the root in place of the old one."""
    from afield.files.watch import Watch

    if service.watch is not None:
        service.watch.close()
    service.watch = Watch(service.need_root(), service.rules, service.use_inotify, service.new_events)
    return service.watch


def barrier(service: "Service", args: "Dict[str, Any]", task: "Any") -> "Generator[Any, None, Any]":  # noqa: ARG001  all verbs are called alike
    """Verb ``barrier``: report everything that happened until now."""
    service.need_root()
    if service.watch is not None:
        if service.state is not None:
            for _ in service.watch.catch_up(service.state.staging_path):
                yield None
        service.watch.read()
        while service.watch is not None and service.watch.reporting:
            # A report that began before took paths and has not told of them all: this one must not overtake it.
            yield None
    if service.watch is not None:
        for event in service.watch.run(task, everything=True):
            yield event
    return {}
