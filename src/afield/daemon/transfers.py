"""One file over a files worker there, piece by piece: Fetch brings it, Store sends it.

Rules: what comes in is held back when the taker is slow, what goes out waits for the channel; a digest covers the whole
file. What must not go in: local files, faces.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import deque
from typing import TYPE_CHECKING, Any

from afield.errors import BadPath, FileFailed, NoSuchFile, ProtocolError, WrongKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from afield.daemon.target import Target
    from afield.sync.endpoint import Endpoint

# What may wait for a slow taker before the worker is held back: the window of its stream.
_HELD = 4 << 20


@contextlib.asynccontextmanager
async def open_worker(target: Target) -> AsyncIterator[Endpoint]:
    """Give a files worker there for the length of a ``with``."""
    # The sync package is loaded when a file is first asked for, not with the daemon.
    from afield.sync.endpoint import Endpoint
    from afield.sync.stream_channel import open_there

    endpoint = Endpoint("there", open_there(target.place.connection, b"~"))
    try:
        yield endpoint
    except NoSuchFile as error:
        # The worker's own hints are for a sync; here a person named the path.
        error.hint = "see what is there with `afield ls`; the project's folder is made by `afield up`"
        raise
    except WrongKind as error:
        error.hint = error.hint or "a folder is listed with `afield ls` and copied with `afield get`"
        raise
    finally:
        await endpoint.close()


def check_name(name: bytes) -> bytes:
    """Return a relative name that came from there when it stays below its root. Raises BadPath."""
    parts = name.split(b"/") if isinstance(name, bytes) else []
    if not parts or b"\0" in name or any(part in (b"", b".", b"..") for part in parts):
        raise BadPath(f"the place sent a name that leaves its folder: {name!r:.100}")
    return name


class Fetch:
    """A file from there, from ``offset`` on. ``size`` is that of the whole file, known at the end.

    Raises FileFailed when what came is not what was sent.
    """

    def __init__(self, worker: Endpoint, path: bytes, offset: int) -> None:
        self.offset = offset
        self.size: int | None = None
        self.mtime_ns: int | None = None
        self.whole: bytes | None = None
        self._sum = hashlib.sha256()
        self._worker = worker
        self._path = path
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._paused = False
        self._more = asyncio.Event()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Give the pieces in order. Raises what the worker says."""
        request = self._worker.start(
            "fetch", {"path": self._path, "offset": self.offset, "whole": self.offset > 0}, on_part=self._take
        )
        request.done.add_done_callback(lambda _: self._more.set())
        try:
            while True:
                await self._more.wait()
                self._more.clear()
                while self._pieces:
                    data = self._pieces.popleft()
                    self._held -= len(data)
                    if self._paused and self._held < _HELD // 2:
                        self._paused = False
                        self._worker.channel.resume()
                    self.offset += len(data)
                    self._sum.update(data)
                    yield data
                if request.done.done() and not self._pieces:
                    break
            done = request.done.result()
            self.size, self.mtime_ns, self.whole = done["size"], done.get("mtime_ns"), done.get("whole")
            if done["digest"] != self._sum.digest():
                raise FileFailed("the file arrived damaged: its digest is not the one that was sent", hint="try again")
        finally:
            if not request.done.done():
                request.cancel()
            if self._paused:
                self._worker.channel.resume()

    def _take(self, data: Any) -> None:
        if not isinstance(data, bytes):
            raise ProtocolError(f"expected bytes of a file, got {type(data).__name__}")
        self._pieces.append(data)
        self._held += len(data)
        if self._held > _HELD and not self._paused:
            self._paused = True
            self._worker.channel.pause()
        self._more.set()


class Store:
    """A file to there. ``size`` and ``digest`` cover the whole file, also when a part of it is there already.

    ``resume`` names this version of the source, so that a broken transfer can be gone on with; ``offset`` and ``known`` (the
    hash of so many bytes) say from where. ``was`` [size, mtime in ns]: replace only that version.
    """

    def __init__(
        self,
        worker: Endpoint,
        path: bytes,
        *,
        executable: bool = False,
        mtime_ns: int | None = None,
        resume: bytes | None = None,
        offset: int = 0,
        known: Any = None,
        was: list[int] | None = None,
    ) -> None:
        self.size = offset
        self._sum = known if offset and known is not None else hashlib.sha256()
        self._worker = worker
        args: dict[str, Any] = {"path": path, "executable": executable, "mtime_ns": mtime_ns, "trailer": True}
        args.update(resume=resume, offset=offset, was=was)
        self._request = worker.start("store", args)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the file so far."""
        digest: bytes = self._sum.digest()
        return digest

    async def write(self, data: bytes) -> None:
        """Send a piece; waits while the channel is full. Raises what the worker says."""
        for start in range(0, len(data), 1 << 18):
            piece = data[start : start + (1 << 18)]
            self._sum.update(piece)
            self.size += len(piece)
            self._request.send_data(piece)
            await self._worker.channel.drained()
            if self._request.done.done():
                self._request.done.result()

    async def end(self) -> None:
        """Send the digest and the end, and wait until the file stands there. Raises what the worker says."""
        self._request.send_data(self.digest)
        self._request.send_end()
        await self._request.wait()

    def cancel(self) -> None:
        """Give up: nothing is put into place."""
        if not self._request.done.done():
            self._request.cancel()
