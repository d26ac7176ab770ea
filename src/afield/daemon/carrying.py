"""What one run needs from outside the project: brought there before it starts, and its results back before its end is told.

Rules: helpers are sent once and known by path, size and time after that; a path that is not here, or that means the far machine, is
left as it is; where it stands there is never the path here but below a store of afield's own, so that nothing of the place is
touched. What must not go in: what belongs to a script (closure), what may be written here (bringing).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from afield.daemon import closure, mapping, outside, venvs
from afield.daemon.bringing import Bringer
from afield.daemon.courier import Courier, Item, Plan, digest_of, program
from afield.daemon.fifos import Fifo
from afield.errors import AfieldError

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.daemon.run_wire import RunRequest

Pairs = tuple[tuple[bytes, bytes], ...]

# VS Code waits as long for the rest of a pipe after the end of a test run.
_DRAIN_SECONDS = 5.0
# A helper that is there is sent no second time, but told as used: the place keeps what was used within a day (sweep_there.py).
BELIEVED = 6 * 3600.0
# What was changed outside the project is a report or a few stubs; the exit status must not wait for more.
_BRING_SECONDS = 60.0


class Store:
    """What is known of one place's store. ``open_stream`` opens a process there, in the view that programs run in."""

    def __init__(self) -> None:
        self.who = _who()
        self.base: bytes | None = None
        self._there: dict[bytes, tuple[str, float]] = {}
        self._digests: dict[bytes, tuple[tuple[int, int, int], str, int]] = {}

    def forget(self) -> None:
        """Ask again what is there: the place may have been cleaned."""
        self.base = None
        self._there.clear()

    def digest(self, path: bytes) -> tuple[str, int]:
        """Give digest and mode of a file here; read only when its size or time changed. Raises OSError."""
        info = os.stat(path)
        mark = (info.st_mtime_ns, info.st_size, info.st_ino)
        known = self._digests.get(path)
        if known is None or known[0] != mark:
            known = self._digests[path] = (mark, *digest_of(path))
        return known[1], known[2]

    def items(self, found: closure.Closure) -> tuple[list[Item], dict[str, bytes]]:
        """Give what has to be sent or checked, and where the bytes of each digest are. Reads files; for a thread."""
        items, source = [], {}
        for path, own in [*((path, False) for path in found.helpers), *((path, True) for path in found.files)]:
            try:
                digest, mode = self.digest(path)
            except OSError:
                continue  # it went meanwhile, or is not ours to read
            if own or self.base is None or not self._is_there(path, digest):
                items.append(Item(path, digest, mode, own))
                source[digest] = path
        return items, source

    def placed(self, base: bytes, items: list[Item]) -> None:
        """Note what is there now."""
        self.base = base
        now = time.time()
        self._there.update({item.path: (item.digest, now) for item in items if not item.own})

    def _is_there(self, path: bytes, digest: str) -> bool:
        known, when = self._there.get(path, ("", 0.0))
        # A clock that jumped, either way, ends the belief.
        return known == digest and abs(time.time() - when) < BELIEVED


class Carried:
    """What was brought for one run. ``pairs``: (path here, path there); ``fresh``: something was put there for it."""

    def __init__(self, pairs: Pairs = ()) -> None:
        self.pairs = pairs
        self.fresh = False
        self.left: list[bytes] = []
        self._courier: Courier | None = None
        self._bringer: Bringer | None = None
        self._listening: asyncio.Task[Any] | None = None
        self._fifos: list[Fifo] = []
        self._ending: asyncio.Future[None] | None = None

    @property
    def stays(self) -> bool:
        """Whether something may come back."""
        return self._courier is not None

    def follow(self, courier: Courier, bringer: Bringer, fifos: list[Fifo]) -> None:
        """Hear what the run changes."""
        self._courier, self._bringer, self._fifos = courier, bringer, fifos
        self._listening = asyncio.ensure_future(courier.listen(self._entry))

    def _entry(self, tree: venvs.Tree, path: bytes, entry: venvs.Entry | None, data: bytes) -> None:
        if not venvs.apply(tree, path, entry, data, digest_of):
            self.left.append(os.path.join(tree.here, path))

    async def bring(self) -> str:
        """Write back what changed; the text for the user when that fails, else nothing."""
        if self._courier is None or self._listening is None or self._bringer is None:
            return ""
        try:
            async with asyncio.timeout(_BRING_SECONDS):
                await self._courier.finish()
                changed, gone = await self._listening
                for fifo in self._fifos:
                    await fifo.drained(_DRAIN_SECONDS)
                left = await asyncio.to_thread(self._bringer.finish, changed, gone)
        except (AfieldError, OSError, TimeoutError) as error:
            return f"afield: files outside the project did not come back: {error or 'it takes too long'}"
        finally:
            await self.close()
        left += self.left
        if left:
            names = ", ".join(os.fsdecode(path) for path in left[:3])
            return f"afield: changed here and there, left as they are here: {names}"
        return ""

    def drop(self) -> None:
        """End it from where nothing can be awaited."""
        if self._courier is not None:
            self._ending = asyncio.ensure_future(self.close())

    async def close(self) -> None:
        """End all that was started for it; nothing more comes back."""
        courier, self._courier = self._courier, None
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError, AfieldError):
                await self._listening
        for fifo in self._fifos:
            await fifo.close()
        if courier is not None:
            courier.close()


def wanted(request: RunRequest, target: mapping.Target) -> list[outside.Named]:
    """Say what the run names outside the project: nothing for most runs, and that is all it costs them."""
    return outside.named(request, mapping.PathMap(target.roots, target.there, target.more))


async def carry(
    store: Store,
    found: list[outside.Named],
    *,
    python: bytes,
    start: Callable[[list[bytes]], Any],
    exists: Callable[[bytes], Any],
    trees: list[tuple[bytes, bytes]] | None = None,
) -> Carried:
    """Bring what was named. ``exists(path)`` asks the place; ``trees``: environments, (here, there). Raises FileFailed and what the link says."""
    close = await asyncio.to_thread(closure.close, found)
    outputs = [path for path in sorted(close.outputs) if not await exists(path)]
    if not close.names and not outputs and not trees:
        return Carried()
    items, source = await asyncio.to_thread(store.items, close)
    grown = tuple([await asyncio.to_thread(_tree, store, *tree, source) for tree in trees or ()])
    plan = Plan(
        store.who, tuple(items), tuple(outputs), tuple(sorted(close.folders)), tuple(sorted(close.fifos)), grown
    )
    base = store.base
    carried = Carried()
    if base is None or items or plan.stay:
        sent: dict[bytes, str | None] = {item.path: item.digest for item in items if item.own}
        sent.update(dict.fromkeys(outputs))
        bringer = Bringer(sent, close.folders)
        stream = start([python, b"-I", b"-S", b"-c", program()])
        courier = Courier(stream, plan, on_append=bringer.append)
        try:
            base = await courier.place(lambda digest: _bytes_of(source[digest]))
        except BaseException:
            courier.close()
            raise
        store.placed(base, items)
        carried.fresh = bool(items)
        if plan.stay:
            fifos = [Fifo(path, base + path, python, start) for path in plan.fifos]
            carried.follow(courier, bringer, fifos)
        else:
            courier.close()
    carried.pairs = tuple((name, base + name) for name in sorted({*close.names, *outputs}))
    return carried


def _tree(store: Store, here: bytes, there: bytes, source: dict[str, bytes]) -> venvs.Tree:
    tree = venvs.Tree(here, there, venvs.entries(here, store.digest))
    source.update({entry.value: os.path.join(here, path) for path, entry in tree.entries.items() if entry.kind == "f"})
    return tree


def _bytes_of(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _who() -> str:
    """Name this machine and user in stores that several of them share."""
    machine = ""
    with contextlib.suppress(OSError), open("/etc/machine-id", encoding="ascii") as file:
        machine = file.read().strip()
    return "h-" + hashlib.sha256(f"{machine}:{socket.gethostname()}:{os.getuid()}".encode()).hexdigest()[:12]
