"""One side of a sync: its endpoint and what is known of its tree, kept up by scans, events and our own writes.

Rules: the picture only changes by what the worker reported; content stays known while the stat stays equal, except for
a file that is reported as written again within one step of its clock (then it is hashed); what the worker could not
read is never taken as gone. No decisions about the other side in here.
"""

from __future__ import annotations

import time
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from afield.errors import AfieldError, Cancelled, LinkLost, ProtocolError, from_value
from afield.sync.bounds import Bound
from afield.sync.endpoint import Endpoint, Request
from afield.sync.packed import SideTree
from afield.sync.pieces import below_any, pieces
from afield.sync.told import into, lists, tell
from afield.tree.entries import FOLDER, Entry, Node, Stat, decode_entries, stat_from_value
from afield.tree.listing import decode_same, encode_known
from afield.tree.paths import check_or_root, parent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from afield.sync.channel import Maker

# Two writes within one step of a file system's clock can leave equal stats; kernels step by 1 to 10 ms, NFS servers
# and loaded machines report a little later. A file seen this recently is hashed when it is reported again.
FRESH_SECONDS = 0.1

# An answer from the other side of the world; a link that is lost right now must not hold up the end.
PART_SECONDS = 1.0


class Opened(NamedTuple):
    """What ``open`` said of a root."""

    identity: bytes
    created: bool
    identity_new: bool
    probe: dict[str, Any]
    root: bytes
    begun: frozenset[str] = frozenset()


class Side:
    """``name`` is "here" or "there". ``wake`` is called when there is something to do; it must not wait."""

    def __init__(self, name: str, make: Maker, root: bytes, *, wake: Callable[[], None]) -> None:
        self.name = name
        self.root = root
        self._make = make
        self._wake = wake
        self.endpoint: Endpoint | None = None
        self.opened: Opened | None = None
        self.tree = SideTree(0 if name == "here" else 1)
        self.changed: set[bytes] = set()
        self.unsure: set[bytes] = set()
        self.unreadable: dict[bytes, str] = {}
        # Files whose content was asked for last and cannot be had, and why.
        self.unread: dict[bytes, AfieldError] = {}
        self.ignored: dict[str, Any] = {}
        self.limited: dict[str, Any] | None = None
        self.watch_mode = ""
        self.needs_scan = True
        self.was_scanned = False
        self.lost: AfieldError | None = None
        self._watch_next = False
        self._seen: dict[bytes, float] = {}
        # Paths that events told of while a scan was under way: the event is right, the scan may be older.
        self._during: set[bytes] = set()
        self._is_open = False
        # There is no folder and none is to be made: it counts as an empty one.
        self.is_absent = False

    @property
    def connected(self) -> bool:
        """Whether there is a living worker."""
        return self.endpoint is not None and self.endpoint.alive

    @property
    def alive(self) -> bool:
        """Whether there is a living worker that has the root open."""
        return self._is_open and self.connected

    def asked(self) -> Endpoint:
        """Give the endpoint; raises what made it end."""
        if self.endpoint is None or not self.endpoint.alive:
            raise self.lost or Cancelled(f"{self.name}: not open")
        return self.endpoint

    # -- opening and losing

    async def connect(self) -> None:
        """Start a worker. Raises what the maker says."""
        await self.close()
        self.endpoint = Endpoint(self.name, await self._make(), on_event=self._event, on_lost=self._lost)

    async def open(self, args: Mapping[str, Any]) -> Opened:
        """Open the root (on a fresh worker when there is none); the tree has to be scanned next. Raises what the worker says."""
        if not self.connected or self._is_open:
            await self.connect()
        done = await self.asked().request("open", {"root": self.root, **args})
        try:
            self.opened = Opened(
                bytes(done["identity"]),
                bool(done["created"]),
                bool(done["identity_new"]),
                dict(done["probe"]),
                done["root"],
                frozenset(str(name) for name in done.get("begun") or ()),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"{self.name}: expected what open gives, got {done!r:.200}") from error
        self._is_open = True
        self.is_absent = False
        self.lost = None
        self.limited = None
        self.watch_mode = ""
        # Writes of the last moments may hide behind equal stats, and no event will tell of them any more.
        self.unsure.update(self._fresh())
        self.needs_scan = True
        return self.opened

    def _fresh(self) -> Iterable[bytes]:
        limit = time.monotonic() - FRESH_SECONDS
        self._seen = {path: at for path, at in self._seen.items() if at > limit}
        return self._seen

    def _lost(self, reason: AfieldError) -> None:
        self.lost = reason
        self.needs_scan = True
        self._wake()

    async def part(self) -> None:
        """Close, but have a worker that watches kept for whoever opens this root next. Takes PART_SECONDS at most."""
        if self.endpoint is not None and self._is_open and self.watch_mode == "inotify":
            await self.endpoint.park(PART_SECONDS)
        await self.close()

    async def close(self) -> None:
        """End the worker; what is known of the tree stays."""
        endpoint, self.endpoint = self.endpoint, None
        self._is_open = False
        if endpoint is not None:
            await endpoint.close()

    # -- learning

    def begin_watch(self) -> None:
        """Have the next scan watch each folder before it lists it: nothing falls between the two."""
        self._watch_next = True
        self.needs_scan = True

    async def scan(self, *, everything: bool = False, known_after: Awaitable[None] | None = None) -> None:
        """Learn the whole tree, by telling what is known of it and hearing the rest.

        ``everything``: all is going to be compared, so what is new need not be listed. ``known_after``: what is known is told
        when this is done, and the worker begins before. Raises what the worker says; the old picture then stays.
        """
        fresh = SideTree(self.tree.side)
        self._during = set()
        request: Request | None = None
        try:
            args = {"path": b"", "known": known_after is not None or bool(self.tree.rows), "watch": self._watch_next}
            request = self.asked().start("scan", args, on_part=into(fresh, Bound(self.name)))
            if known_after is not None:
                await known_after
            self.needs_scan = False
            known, rows = self._known(), self.tree.rows
            if args["known"]:
                tell(request, encode_known(known))
            done = await request.wait()
            flags = decode_same(done["same"], [path for path, _ in known]) if known else []
        except BaseException:
            self.needs_scan = True
            if request is not None and not request.done.done():
                request.cancel()
            raise
        if self._watch_next:
            self._watch_next = False
            self.watch_mode = str(done["mode"])
            self.limited = done.get("limited")
        self.unreadable = dict(lists(done, "errors"))
        self.ignored = done.get("ignored") or {}
        if self.tree.rows is not rows:
            # What was told as known counts no more.
            self.needs_scan = True
            return
        if everything and not self.tree and not self._during:
            self.tree.adopt(fresh)
            self.was_scanned = True
            return
        same = {path for (path, _), flag in zip(known, flags, strict=True) if flag}
        self._take(self._stale(same, done.get("dropped") or []), fresh)
        self._restore(same)
        self.was_scanned = True

    def _known(self) -> list[tuple[bytes, bytes]]:
        """The folders that were agreed on with their digests, but for those with a file whose stat is not to be trusted."""
        unsure = {parent(path) for path in self.unsure}
        at = 1 if self.name == "here" else 2
        return [(row[0], row[at]) for row in self.tree.rows.folders() if row[0] not in unsure] if self.tree.rows else []

    def _stale(self, same: set[bytes], dropped: list[bytes]) -> list[bytes]:
        """What is known and not in a folder that is the same."""
        tree = self.tree
        if same:
            changed = [row[0] for row in tree.rows.folders() if row[0] not in same]
            found = {path for folder in changed for path in tree.rows.below(folder) if parent(path) == folder}
            found.update(path for path in tree.own if parent(path) not in same)
            found.update(dropped)
            old = [path for path in found if path in tree]
        else:
            old = list(tree)
        return [path for path in old if not self.hidden(path)] if self.unreadable else old

    def _restore(self, same: set[bytes]) -> None:
        """Folders that are the same hold what was agreed on, whatever was known of them."""
        told = self._during
        for path in [path for path in self.tree.own if parent(path) in same]:
            if path not in told and not below_any(path, told) and self.tree.reset(path):
                self.changed.add(path)

    async def rescan(self, paths: Iterable[bytes]) -> set[bytes]:
        """Learn what stands at and below these paths; gives those of them that the ignore rules leave out."""
        ignored: set[bytes] = set()
        for wanted in pieces(paths):
            fresh: dict[bytes, Entry] = {}
            self._during = set()
            done = await self.asked().request("rescan", {"paths": wanted}, on_part=into(fresh, Bound(self.name)))
            ignored.update(lists(done, "ignored"))
            for path in wanted:
                self.unreadable.pop(path, None)
            self.unreadable.update(lists(done, "errors"))
            self._take([path for path in self.at_or_below(wanted) if not self.hidden(path)], fresh)
        return ignored

    def _take(self, old_paths: list[bytes], fresh: Mapping[bytes, Entry]) -> None:
        """Take over a scan, but for what events told of meanwhile."""
        told = self._during
        if told:
            old_paths = [path for path in old_paths if path not in told and not below_any(path, told)]
            fresh = {path: entry for path, entry in fresh.items() if path not in told and not below_any(path, told)}
        self._replace(old_paths, fresh)

    async def hash(self, paths: Iterable[bytes]) -> None:
        """Learn the content of these files; one that changes meanwhile or cannot be read (``unread``) stays without."""
        self.unread = {}
        for wanted in pieces(paths):
            await self.asked().request("hash", {"paths": wanted}, on_part=self._hashed)

    def _hashed(self, part: list[list[Any]]) -> None:
        for path, digest, stat in part:
            entry = self.tree.get(path)
            if digest is None and isinstance(stat, str) and entry is not None:
                self.unread[path] = from_value({"code": stat, "text": f"the file cannot be read {self.name} ({stat})"})
            if entry is None or entry.node.kind != "f" or digest is None or stat is None:
                continue
            self.unsure.discard(path)
            found = stat_from_value(stat)
            if found != entry.stat:
                self.changed.add(path)
            self.tree[path] = Entry(Node("f", entry.node.executable, digest), found)

    async def barrier(self) -> None:
        """Wait until all that happened there up to now is in the picture. Raises LinkLost before the root is open."""
        if self.connected and not self._is_open:
            raise LinkLost(f"{self.name}: the folder is being opened again", hint="try again in a moment")
        await self.asked().request("barrier")

    def look(self, answer: Callable[[bool], None]) -> bool:
        """Ask for the same and call back, False when it failed; gives False when it cannot be asked. A third of the time of a wait."""
        if self.endpoint is None or not self.alive:
            return False
        request = self.endpoint.start("barrier")
        request.done.add_done_callback(lambda done: answer(not done.cancelled() and done.exception() is None))
        return True

    def _event(self, name: str, value: Any) -> None:
        if name == "changed":
            self._told(value)
        elif name == "overflow":
            self.needs_scan = True
        elif name == "limited":
            self.limited = value
        self._wake()

    def _told(self, value: Any) -> None:
        fresh = dict(decode_entries(value["entries"])) if value.get("entries") else {}
        paths = [check_or_root(path) for path in lists(value, "paths")]
        if fresh or paths:
            Bound(self.name, max(len(self.tree), len(self._during))).add(chain(fresh, paths))
        limit = time.monotonic() - FRESH_SECONDS
        for path, entry in fresh.items():
            old = self.tree.get(path)
            same = old is not None and old.stat == entry.stat and entry.node.kind == "f"
            if same and self._seen.get(path, 0.0) > limit:
                self.unsure.add(path)
        for path in paths:
            self.unreadable.pop(path, None)
        self._during.update(paths, fresh)
        self._replace(self.at_or_below(paths), fresh)

    # -- the picture

    def at_or_below(self, paths: Iterable[bytes]) -> list[bytes]:
        """All known paths at or below these; costs what it gives."""
        known: set[bytes] = set()
        for path in paths:
            node = self.tree.node(path) if path else FOLDER
            if node is not None and path not in known:
                if path:
                    known.add(path)
                if node.kind == "d":
                    known.update(self.tree.below(path))
        return list(known)

    def hidden(self, path: bytes) -> bool:
        """Whether this path could not be looked at: at or below something unreadable."""
        return bool(self.unreadable) and (
            path in self.unreadable or b"" in self.unreadable or below_any(path, self.unreadable)
        )

    def _replace(self, old_paths: Iterable[bytes], fresh: Mapping[bytes, Entry]) -> None:
        """Make ``fresh`` the picture of ``old_paths``; what really differs becomes ``changed``."""
        now = time.monotonic()
        # Two writes can leave equal stats only where the first was about now: not before the newest of these by much.
        newest = max((entry.stat.ctime_ns for entry in fresh.values()), default=0) - int(FRESH_SECONDS * 1e9)
        for path in old_paths:
            if path not in fresh:
                del self.tree[path]
                self.changed.add(path)
                self.unsure.discard(path)
        for path, entry in fresh.items():
            old = self.tree.get(path)
            if old is not None and old.node.kind == entry.node.kind == "d":
                continue
            if old is not None and old.stat == entry.stat and old.node.kind == entry.node.kind == "f":
                self.tree[path] = self._same_stat(path, old, entry)
            else:
                if old != entry:
                    self.changed.add(path)
                    if entry.stat.ctime_ns >= newest:
                        self._seen[path] = now
                self.tree[path] = self._recalled(path, entry)
        if len(self._seen) > 4096:
            self._fresh()

    def _recalled(self, path: bytes, entry: Entry) -> Entry:
        """Take content from the base where the stat is still the one that was agreed on."""
        if entry.node.kind != "f" or entry.node.content is not None or path in self.unsure:
            return entry
        row = self.tree.rows.get(path)
        if row is None or row.node.kind != "f" or (row.here if self.name == "here" else row.there) != entry.stat:
            return entry
        return Entry(Node("f", entry.node.executable, row.node.content), entry.stat)

    def _same_stat(self, path: bytes, old: Entry, entry: Entry) -> Entry:
        if path in self.unsure:
            self.changed.add(path)
            return Entry(Node("f", entry.node.executable, None), entry.stat)
        if old.node.executable != entry.node.executable:
            self.changed.add(path)
        return Entry(Node("f", entry.node.executable, entry.node.content or old.node.content), entry.stat)

    def wrote(self, path: bytes, node: Node | None, stat: Stat | None) -> None:
        """Take over what our own op left at a path (None: nothing)."""
        self.unsure.discard(path)
        if node is None or stat is None:
            self.tree.pop(path, None)
        else:
            self.tree[path] = Entry(node, stat)
            if self.watch_mode:
                self._seen[path] = time.monotonic()

    def read(self, path: bytes, stat: Stat, digest: bytes) -> None:
        """Take over the content of a file that was read while its stat was ``stat``."""
        entry = self.tree.get(path)
        if entry is not None and entry.stat == stat and path not in self.unsure:
            self.tree[path] = Entry(Node("f", entry.node.executable, digest), stat)
