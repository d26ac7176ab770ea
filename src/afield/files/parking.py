"""A worker whose client leaves and may come back: what its watch lets it still know, and how it rests meanwhile  [P].

``Kept`` has the folders whose listing was the one that the asker knew, and nothing of which an event told since: a later
scan need not list them. Rules: only folders that were watched before they were listed are kept; what an event names, and
all below a folder that it names, is kept no more; with polling, lost events or changed rules nothing is.
"""

from afield.files import partials
from afield.files.tasks import Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Generator, List, NamedTuple, Optional, Set, Tuple

    from afield.files.service import Service
    from afield.files.watch import Watch

    Listed = NamedTuple(
        "Listed",
        [("digest", bytes), ("folders", List[bytes]), ("skipped", List[bytes]), ("files", int), ("size", int)],
    )
else:
    from collections import namedtuple

    # Of one folder: its digest, the folders in it, the ignored ones, number and bytes of ignored files.
    Listed = namedtuple("Listed", "digest folders skipped files size")


class Kept:
    """What is known by path; ``measured``: the ignored folders that were measured last, and the answer."""

    def __init__(self) -> "None":
        self.listed: "Dict[bytes, Listed]" = {}
        self.measured: "Optional[Tuple[List[bytes], Dict[str, Any]]]" = None
        # Told of since: these folders, and these with all below. Taken off in one pass when it is asked for.
        self._touched: "Set[bytes]" = set()
        self._touched_below: "Set[bytes]" = set()

    def touched(self, path: "bytes", is_folder: "bool") -> "None":
        """Hear of an event at ``path``."""
        self._touched.add(path.rpartition(b"/")[0])
        if is_folder:
            self._touched_below.add(path)

    def settle(self) -> "None":
        """Forget what events told of."""
        touched, below = self._touched, self._touched_below
        self._touched, self._touched_below = set(), set()
        for path in touched:
            self.listed.pop(path, None)
        if below:
            for path in [path for path in self.listed if at_or_below(path, below)]:
                del self.listed[path]

    def forget(self) -> "None":
        """Know nothing any more."""
        self.listed.clear()
        self._touched.clear()
        self._touched_below.clear()
        self.measured = None


def at_or_below(path: "bytes", folders: "Set[bytes]") -> "bool":
    """Tell whether the path or a folder above it is among these."""
    while path:
        if path in folders:
            return True
        path = path.rpartition(b"/")[0]
    return False


def park(service: "Service", args: "Dict[str, Any]", task: "Task") -> "Generator[Any, None, Any]":  # noqa: ARG001  all verbs are called alike
    """Verb ``park``: say nothing more until the next ``open``, but go on watching."""
    yield None
    watch = service.watch
    service.parked = watch is not None and watch.sees_all
    return {"parked": service.parked}


def rest(service: "Service", watch: "Watch") -> "None":
    """Take note of events without telling anybody; a watch that lost some ends."""
    watch.pending.clear()
    watch.own.clear()
    if not watch.sees_all:
        watch.close()
        service.watch = None


def resume(service: "Service", args: "Dict[str, Any]") -> "Optional[Dict[str, Any]]":
    """Give what ``open`` answers when the root is the one that rested here, opened in the same way; else None.

    Whatever is not as it was is left to a fresh ``open``, which says what is wrong. Raises OSError, FilesError.
    """
    service.parked = False
    root, state, watch = service.root, service.state, service.watch
    if root is None or state is None or watch is None or args.get("take_over") or asked(args) != service.asked:
        return None
    root.check_place()
    if args.get("identity") not in (None, state.identity) or state.read_identity() != state.identity:
        return None
    watch.read()
    if not watch.sees_all:
        return None
    state.begun = partials.prune(state.stages)
    return dict(service.opened, identity_new=False, created=False, begun=state.begun)


def asked(args: "Dict[str, Any]") -> "Tuple[Any, ...]":
    """Give what decides how a root is opened."""
    return (
        args.get("root"),
        [str(line) for line in args.get("ignore") or []],
        args.get("state"),
        bool(args.get("history", True)),
    )
