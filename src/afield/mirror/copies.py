"""One sync of a mirror, from the first question to the last folder.

Steps: ask with what is known → check the listing → bring the contents that lack → build the changed units aside → change them one by one →
write the record. Until all contents are here nothing of the old mirror changes; what came before a cut stays in the store.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from afield.errors import FileFailed, ProtocolError
from afield.files.faults import from_os_error
from afield.mirror import layout as layouts
from afield.mirror import paths, pth
from afield.mirror.fetch import Fetched, Wanted, fetch
from afield.mirror.layout import Layout, Root
from afield.mirror.listing import Listing, Unit
from afield.mirror.record import Held, Record, dump, load
from afield.mirror.record import Unit as HeldUnit
from afield.mirror.tree import OPENED, Tree, remove

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.mirror.far import Far
    from afield.mirror.store import Store

    Tell = Callable[..., None]

_NO_KEY = bytes(32)  # no unit there has it: listed again at the next sync


class Job(NamedTuple):
    """``base``: the project's ``.afield``; ``own``: (far, local) folders that are synced anyway; ``delay``: of the link, seconds."""

    base: bytes
    python: bytes
    own: list[tuple[bytes, bytes]]
    machine: str
    env: str | None
    full: bool
    delay: float


def load_record(base: bytes) -> Record | None:
    """Give what stands in a project's record, None without a usable one."""
    from afield.errors import ConfigError

    try:
        with open(os.path.join(base, paths.FILE), "rb") as file:
            return load(file.read(), base)
    except (OSError, ConfigError):
        return None


def sync(job: Job, far: Far, store: Store, tell: Tell) -> dict[str, Any]:
    """Make the mirror what the environment there is now. Raises AfieldError."""
    try:
        return _Sync(job, far, store, tell).run()
    except OSError as error:
        raise from_os_error(error, os.fsencode(error.filename or job.base)) from error


class _Sync:
    def __init__(self, job: Job, far: Far, store: Store, tell: Tell) -> None:
        self.job, self.far, self.store, self.tell = job, far, store, tell
        self.old = load_record(job.base)
        self.changed = self.removed = 0

    def run(self) -> dict[str, Any]:
        began = time.monotonic()
        layout, listing = self._look()
        wanted, numbers = self._wanted(listing)
        fetched = fetch(self.far, self.store, wanted, self.job.delay, self._progress)
        record = self._record(layout, listing)
        with Tree(self.job.base) as tree:
            self._apply(tree, layout, listing, numbers, fetched, record)
            self._forget_old(tree, layout)
        write(self.job.base, record)
        return {
            "python": record.version,
            "prefix": paths.text(record.prefix),
            "env": record.env,
            "files": record.files,
            "bytes": record.bytes,
            "changed": self.changed,
            "removed": self.removed,
            "fetched": fetched.files,
            "fetched_bytes": fetched.size,
            "received": self.far.received,
            "missing": sum(1 for digest in fetched.other.values() if digest is None),
            "large": [paths.text(path) for path in record.large],
            "seconds": round(time.monotonic() - began, 3),
        }

    # ---- what is there

    def _look(self) -> tuple[Layout, Listing]:
        own = [far for far, _ in self.job.own]
        number = self.far.ask("look", python=self.job.python, own=own, full=self.job.full, known=self._known())
        layout, listing = None, Listing(0)
        for part in self.far.answers(number):
            if layout is None:
                layout = layouts.read(part)
                listing = Listing(len(layout.roots))
            else:
                listing.take(part)
                self.tell(what="list", files=listing.files)
        listing.end()
        if layout is None:
            raise ProtocolError("expected the folders of an environment, got nothing")
        return self._without_clashes(layout), listing

    def _without_clashes(self, layout: Layout) -> Layout:
        bad = layouts.clashes(layout)
        return layout._replace(roots=tuple(root._replace(here=None) if root in bad else root for root in layout.roots))

    def _known(self) -> dict[str, Any]:
        """Give what need not be told again: of each root, the units that still stand here."""
        known = {}
        for held in self.old.roots if self.old is not None else ():
            if held.root.here is None or not held.units:
                continue
            here = _names(self.job.base + b"/" + held.root.here)
            # The text of a .pth depends on where other roots go: it is told each time.
            names = [name for name in held.units if name in here and not name.endswith(b".pth")]
            known[held.root.key(self.old.name if self.old is not None else b"")] = [
                names,
                b"".join(held.units[name].key for name in names),
            ]
        return known

    def _wanted(self, listing: Listing) -> tuple[list[Wanted], list[int]]:
        """Give each listed file, and the number of the first one of each unit."""
        wanted: list[Wanted] = []
        numbers = []
        for unit in listing.units:
            numbers.append(len(wanted))
            first = len(wanted)
            wanted += [
                Wanted(first + at, digest, size)
                for at, (digest, size) in enumerate(zip(unit.digests, unit.sizes, strict=True))
            ]
        return wanted, numbers

    def _progress(self, files: int, of: int, size: int, of_size: int) -> None:
        self.tell(what="fetch", done=files, total=of, bytes=size, bytes_total=of_size)

    # ---- what it becomes

    def _record(self, layout: Layout, listing: Listing) -> Record:
        """Give the record with what stays; the new units are added as they come into their place."""
        own = self.job.own
        found = layouts.path_map(layout, self.job.base, own)
        roots = [Held(root) for root in layout.roots]
        for number, held in enumerate(roots):
            before = self._before(held.root, layout)
            held.units = {name: unit for name, unit in before.items() if name in listing.same[number]}
        large = [layout.roots[number].far for number in sorted(listing.large)]
        return Record(
            layout.version,
            layout.name,
            layout.prefix,
            self.job.machine,
            self.job.env,
            time.time(),
            list(found.pairs),
            roots,
            large,
        )

    def _before(self, root: Root, layout: Layout) -> dict[bytes, HeldUnit]:
        if self.old is None or root.here is None:
            return {}
        key = root.key(layout.name)
        for held in self.old.roots:
            if held.root.here == root.here and held.root.key(self.old.name) == key:
                return held.units
        return {}

    def _apply(
        self, tree: Tree, layout: Layout, listing: Listing, numbers: list[int], fetched: Fetched, record: Record
    ) -> None:
        found = paths.PathMap(self.job.base, record.map)
        by_root: dict[int, list[tuple[Unit, int]]] = {}
        for unit, first in zip(listing.units, numbers, strict=True):
            by_root.setdefault(unit.root, []).append((unit, first))
        for number, root in enumerate(layout.roots):
            if root.here is None:
                continue
            held = record.roots[number]
            mine = by_root.get(number, [])
            stay = set(held.units) | {unit.name for unit, _ in mine}
            stay |= {pth.OWN} if root.here == layout.site else set()
            gone = _names(self.job.base + b"/" + root.here) - stay
            if mine or gone or not os.path.isdir(self.job.base + b"/" + root.here):
                tree.open(root.here)
            for unit, first in mine:
                self._unit(tree, root, unit, first, fetched, found, held)
            for name in gone:
                tree.swap(None, root.here, name)
            self.removed += len(gone)
        self._own_pth(tree, layout, found)

    def _unit(
        self, tree: Tree, root: Root, unit: Unit, first: int, fetched: Fetched, found: paths.PathMap, held: Held
    ) -> None:
        assert root.here is not None
        if unit.name == pth.OWN:
            return
        digests: dict[bytes, bytes] = {}
        key = unit.key
        for at, (path, digest) in enumerate(zip(unit.paths, unit.digests, strict=True)):
            real = fetched.other.get(first + at, digest)
            if real is None:
                key = _NO_KEY
            else:
                digests[path] = real

        text: bytes | None = None
        if digests and unit.kind == "f" and unit.name.endswith(b".pth"):
            text = pth.localised(self.store.read(digests[unit.name]), root.far, found)

        def put(path: bytes, name: bytes, fd: int) -> None:
            if text is not None:
                write_at(fd, name, text)
            else:
                self.store.link(digests[path], name, fd)

        if digests:
            held.units[unit.name] = HeldUnit(key, unit.kind, len(digests), sum(unit.sizes))
            if text is not None and _holds(self.job.base + b"/" + root.here + b"/" + unit.name, text):
                return
        tree.swap(tree.stage(unit.name, unit.kind, digests, put) if digests else None, root.here, unit.name)
        self.changed += 1

    def _own_pth(self, tree: Tree, layout: Layout, found: paths.PathMap) -> None:
        """Write the .pth that names the other folders on sys.path, where it is not right already."""
        text = pth.own(layouts.path_folders(layout, found))
        path = self.job.base + b"/" + layout.site + b"/" + pth.OWN
        if _holds(path, text):
            return
        tree.open(layout.site)
        if text or os.path.lexists(path):
            staged = tree.stage(pth.OWN, "f", [pth.OWN], lambda _, name, fd: write_at(fd, name, text)) if text else None
            tree.swap(staged, layout.site, pth.OWN)

    def _forget_old(self, tree: Tree, layout: Layout) -> None:
        """Remove the roots of before that are none any more."""
        stays = {root.here for root in layout.listed} | {layout.site}
        for held in self.old.roots if self.old is not None else ():
            here = held.root.here
            if here is None or here in stays or any(paths.below(here, each or b"") for each in stays):
                continue
            above, _, name = here.rpartition(b"/")
            if not os.path.isdir(self.job.base + b"/" + here):
                continue
            tree.open(above)
            tree.swap(None, above, name)
            self.removed += len(held.units)
            _drop_empty(self.job.base, above)


def _drop_empty(base: bytes, here: bytes) -> None:
    """Remove folders that have become empty, from ``here`` upward."""
    while here:
        with contextlib.suppress(OSError):
            if b"/" in here:
                os.chmod(base + b"/" + here.rpartition(b"/")[0], OPENED)
            os.rmdir(base + b"/" + here)
        if os.path.isdir(base + b"/" + here):
            return
        here = here.rpartition(b"/")[0]


def _names(folder: bytes) -> set[bytes]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def _holds(path: bytes, data: bytes) -> bool:
    """Whether a file has this content."""
    try:
        with open(path, "rb") as file:
            return file.read() == data
    except OSError:
        return False


def write_at(fd: int, name: bytes, data: bytes) -> None:
    """Write a read-only file into an open folder. Raises OSError."""
    made = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=fd)
    with open(made, "wb") as file:
        file.write(data)
        os.fchmod(made, 0o444)


def write(base: bytes, record: Record) -> None:
    """Write the record by a rename. Raises OSError."""
    path = os.path.join(base, paths.FILE)
    part = b"%s.%d.part" % (path, os.getpid())
    try:
        with open(part, "wb") as file:
            file.write(dump(record, base))
        os.replace(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)


def status(base: bytes) -> dict[str, Any] | None:
    """Tell of the mirror of a project, None when there is none; ``odd``: what somebody else wrote or took away there."""
    record = load_record(base)
    if record is None:
        return None
    return {
        "python": record.version,
        "prefix": paths.text(record.prefix),
        "machine": record.machine,
        "env": record.env,
        "time": record.time,
        "files": record.files,
        "bytes": record.bytes,
        "roots": [_describe(base, held) for held in record.roots],
        "large": [paths.text(path) for path in record.large],
        "odd": [paths.text(path) for held in record.roots for path in _odd(base, held)],
    }


def _describe(base: bytes, held: Held) -> dict[str, Any]:
    here = held.root.here
    return {
        "far": paths.text(held.root.far),
        "role": held.root.role,
        "here": None if here is None else paths.text(base + b"/" + here),
        "files": sum(unit.files for unit in held.units.values()),
        "bytes": sum(unit.bytes for unit in held.units.values()),
    }


def _odd(base: bytes, held: Held) -> list[bytes]:
    """Give the units that are not as the record tells: foreign, missing, or with another number of files."""
    if held.root.here is None:
        return []
    top = base + b"/" + held.root.here
    names = _names(top)
    odd = names.symmetric_difference(held.units) - {pth.OWN}
    for name, unit in held.units.items():
        if (
            name not in odd
            and unit.kind == "d"
            and unit.files != sum(len(files) for _, _, files in os.walk(top + b"/" + name))
        ):
            odd.add(name)
    return [held.root.here + b"/" + name for name in sorted(odd)]


def remove_all(base: bytes) -> int:
    """Take a project's mirror away; gives the number of files. Raises FileFailed, OSError."""
    count = 0
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(base, paths.FILE))
    for name in (b"lib", b"base/lib", b"far", b"mirror.new"):
        path = base + b"/" + name
        if os.path.islink(path) or os.path.islink(os.path.dirname(path)):
            raise FileFailed(f"{os.fsdecode(path)} is a link and not afield's", hint="remove it by hand")
        count += remove(path)
    with contextlib.suppress(OSError):
        os.rmdir(base + b"/base")
    return count
