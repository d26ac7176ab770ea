"""One side of a sync: its endpoint and what is known of its tree, kept up by scans, events and our own writes.

Rules: the picture only changes by what the worker reported; content stays known while the stat stays equal, except for
a file that is reported as written again within one step of its clock (then it is hashed); what the worker could not
read is never taken as gone. No decisions about the other side in here.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from afield.errors import AfieldError, Cancelled, ProtocolError
from afield.sync.endpoint import Endpoint
from afield.tree.entries import Entry, Node, Stat, decode_entries, stat_from_value
from afield.tree.paths import check_or_root

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

    from afield.sync.base import Row
    from afield.sync.channel import Maker

# Two writes within one step of a file system's clock can leave equal stats; kernels step by 1 to 10 ms, NFS servers
# and loaded machines report a little later. A file seen this recently is hashed when it is reported again.
FRESH_SECONDS = 0.1

# Paths are asked about in lists that fit well into a record of 1 MiB.
ASKED_BYTES = 512 << 10


class Opened(NamedTuple):
    """What ``open`` said of a root."""

    identity: bytes
    created: bool
    identity_new: bool
    probe: dict[str, Any]
    root: bytes


class Side:
    """``name`` is "here" or "there". ``wake`` is called when there is something to do; it must not wait."""

    def __init__(self, name: str, make: Maker, root: bytes, *, wake: Callable[[], None]) -> None:
        self.name = name
        self.root = root
        self._make = make
        self._wake = wake
        self.endpoint: Endpoint | None = None
        self.opened: Opened | None = None
        self.tree: dict[bytes, Entry] = {}
        self.changed: set[bytes] = set()
        self.unsure: set[bytes] = set()
        self.unreadable: dict[bytes, str] = {}
        self.ignored: dict[str, Any] = {}
        self.limited: dict[str, Any] | None = None
        self.watch_mode = ""
        self.needs_scan = True
        self.lost: AfieldError | None = None
        self._seen: dict[bytes, float] = {}
        # Paths that events told of while a scan was under way: the event is right, the scan may be older.
        self._during: set[bytes] = set()
        self._is_open = False

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
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"{self.name}: expected what open gives, got {done!r:.200}") from error
        self._is_open = True
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

    async def close(self) -> None:
        """End the worker; what is known of the tree stays."""
        endpoint, self.endpoint = self.endpoint, None
        self._is_open = False
        if endpoint is not None:
            await endpoint.close()

    # -- learning

    async def scan(self) -> None:
        """Learn the whole tree. Raises what the worker says; the old picture then stays."""
        fresh: dict[bytes, Entry] = {}
        self.needs_scan = False
        self._during = set()
        try:
            done = await self.asked().request(
                "scan", {"path": b""}, on_part=lambda part: fresh.update(decode_entries(part))
            )
        except BaseException:
            self.needs_scan = True
            raise
        self.unreadable = dict(_lists(done, "errors"))
        self.ignored = done.get("ignored") or {}
        if self.unreadable:
            for path, entry in self.tree.items():
                if path not in fresh and self.hidden(path):
                    fresh[path] = entry
        self._take(list(self.tree), fresh)

    async def rescan(self, paths: Iterable[bytes]) -> set[bytes]:
        """Learn what stands at and below these paths; gives those of them that the ignore rules leave out."""
        ignored: set[bytes] = set()
        for wanted in pieces(paths):
            fresh: dict[bytes, Entry] = {}
            self._during = set()
            done = await self.asked().request("rescan", {"paths": wanted}, on_part=_into(fresh))
            ignored.update(_lists(done, "ignored"))
            self.unreadable.update(_lists(done, "errors"))
            self._take([path for path in self.at_or_below(wanted) if not self.hidden(path)], fresh)
        return ignored

    def _take(self, old_paths: list[bytes], fresh: dict[bytes, Entry]) -> None:
        """Take over a scan, but for what events told of meanwhile."""
        told = self._during
        if told:
            old_paths = [path for path in old_paths if path not in told and not below_any(path, told)]
            fresh = {path: entry for path, entry in fresh.items() if path not in told and not below_any(path, told)}
        self._replace(old_paths, fresh)

    async def hash(self, paths: Iterable[bytes]) -> None:
        """Learn the content of these files; one that changes meanwhile stays without."""
        for wanted in pieces(paths):
            await self.asked().request("hash", {"paths": wanted}, on_part=self._hashed)

    def _hashed(self, part: list[list[Any]]) -> None:
        for path, digest, stat in part:
            entry = self.tree.get(path)
            if entry is None or entry.node.kind != "f" or digest is None or stat is None:
                continue
            self.unsure.discard(path)
            found = stat_from_value(stat)
            if found != entry.stat:
                self.changed.add(path)
            self.tree[path] = Entry(Node("f", entry.node.executable, digest), found)

    async def watch(self) -> None:
        """Ask for events from now on (a scan must follow, for what happened before)."""
        done = await self.asked().request("watch", {"on": True})
        self.watch_mode = str(done["mode"])

    async def barrier(self) -> None:
        """Wait until all that happened there up to now is in the picture."""
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
        paths = [check_or_root(path) for path in _lists(value, "paths")]
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
        """All known paths at or below these; costs one look per path, and one pass over the tree if one is a folder."""
        known: list[bytes] = []
        folders: set[bytes] = set()
        for path in set(paths):
            entry = self.tree.get(path)
            if not path:
                return list(self.tree)
            if entry is not None:
                known.append(path)
                if entry.node.kind == "d":
                    folders.add(path)
        if folders:
            given = set(known)
            known += [path for path in self.tree if path not in given and below_any(path, folders)]
        return known

    def hidden(self, path: bytes) -> bool:
        """Whether this path could not be looked at: at or below something unreadable."""
        return bool(self.unreadable) and (
            path in self.unreadable or b"" in self.unreadable or below_any(path, self.unreadable)
        )

    def _replace(self, old_paths: Iterable[bytes], fresh: Mapping[bytes, Entry]) -> None:
        """Make ``fresh`` the picture of ``old_paths``; what really differs becomes ``changed``."""
        now = time.monotonic()
        for path in old_paths:
            if path not in fresh:
                del self.tree[path]
                self.changed.add(path)
                self.unsure.discard(path)
        for path, entry in fresh.items():
            old = self.tree.get(path)
            if old is not None and old.node.kind == entry.node.kind == "d":
                self.tree[path] = entry
            elif old is not None and old.stat == entry.stat and old.node.kind == entry.node.kind == "f":
                self.tree[path] = self._same_stat(path, old, entry)
            else:
                if old != entry:
                    self.changed.add(path)
                    self._seen[path] = now
                self.tree[path] = entry
        if len(self._seen) > 4096:
            self._fresh()

    def _same_stat(self, path: bytes, old: Entry, entry: Entry) -> Entry:
        if path in self.unsure:
            self.changed.add(path)
            return Entry(Node("f", entry.node.executable, None), entry.stat)
        if old.node.executable != entry.node.executable:
            self.changed.add(path)
        return Entry(Node("f", entry.node.executable, entry.node.content or old.node.content), entry.stat)

    def recall(self, rows: Mapping[bytes, Row]) -> None:
        """Take content from the base wherever the stat is still the one that was agreed on."""
        for path, entry in self.tree.items():
            if entry.node.kind == "f" and entry.node.content is None and path not in self.unsure:
                row = rows.get(path)
                if row is not None and row.node.kind == "f":
                    stat = row.here if self.name == "here" else row.there
                    if stat == entry.stat:
                        self.tree[path] = Entry(Node("f", entry.node.executable, row.node.content), entry.stat)

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


def _lists(done: Any, name: str) -> list[Any]:
    """The list of that name in a done value. Raises ProtocolError."""
    found = done.get(name) if isinstance(done, dict) else None
    if not isinstance(found, list):
        raise ProtocolError(f"expected a list called {name}, got {done!r:.120}")
    return found


def _into(entries: dict[bytes, Entry]) -> Callable[[bytes], None]:
    return lambda part: entries.update(decode_entries(part))


def pieces(paths: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Cut paths, sorted, into lists that fit a record."""
    some: list[bytes] = []
    weight = 0
    for path in sorted(paths):
        if some and weight + len(path) > ASKED_BYTES:
            yield some
            some, weight = [], 0
        some.append(path)
        weight += len(path) + 9
    if some:
        yield some


def below_any(path: bytes, folders: Mapping[bytes, Any] | set[bytes]) -> bool:
    """Whether a parent of ``path`` is in ``folders``."""
    at = path.rfind(b"/")
    while at > 0:
        if path[:at] in folders:
            return True
        at = path.rfind(b"/", 0, at)
    return False


async def together(*waits: Awaitable[Any]) -> list[Any]:
    """Wait for several things at once; when one fails the others are still waited for, then the first failure is raised."""
    results = await asyncio.gather(*waits, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
