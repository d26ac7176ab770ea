"""Runs mirror jobs: a worker process here, a mirror service there, and the bytes between them.

Rules: the daemon looks into none of the bytes; a job that is cancelled or whose link ends for good leaves the mirror as it was; one
refresh at a time for a target, and a request that comes meanwhile waits for that. What must not go in: what a mirror is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from afield.errors import AfieldError, EnvBroken, InternalError, NoSuchEnv, from_value
from afield.mirror.paths import FILE, text
from afield.sync.channel import HIGH_WATER, PipeChannel
from afield.sync.stream_channel import StreamChannel

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.daemon.core import Daemon
    from afield.daemon.target import Target
    from afield.link.stream import Stream

# As the daemon itself is started: without site, and with the afield that runs now.
_CODE = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from afield.mirror.worker import main; sys.exit(main(sys.argv))"
)
_SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# A line of the worker's stderr: its answer with a few hundred roots.
_LINE = 4 << 20


def base_of(target: Target) -> bytes:
    """Give the project's ``.afield`` folder."""
    return os.path.join(os.fsencode(target.folder), b".afield")


def has_mirror(target: Target) -> bool:
    """Whether a mirror was made for this project, on this machine."""
    try:
        with open(os.path.join(base_of(target), FILE), "rb") as file:
            return bool(json.load(file).get("machine") == target.machine.name)
    except (OSError, ValueError, AttributeError):
        return False


def anything_here(target: Target) -> bool:
    """Whether there is something of a mirror, whole or not: a project without one must not pay for its removal."""
    names = (FILE, b"lib", b"base/lib", b"far", b"mirror.new", b"mirror.lock")
    return any(os.path.lexists(os.path.join(base_of(target), name)) for name in names)


async def run(
    job: dict[str, Any], *, stream: Stream | None = None, tell: Callable[[dict[str, Any]], None] | None = None
) -> Any:
    """Do a job in a worker; ``stream`` is an open mirror service for those that need the place. Raises AfieldError."""
    fds = (*os.pipe(), *os.pipe())
    splice: Splice | None = None
    process = None
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", _CODE, _SOURCE, json.dumps(job)),
            stdin=fds[0],
            stdout=fds[3],
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE,
        )
        os.close(fds[0])
        os.close(fds[3])
        splice = Splice(PipeChannel(fds[2], fds[1]), None if stream is None else StreamChannel(stream))
        answer = await _answer(process, tell)
    finally:
        if splice is not None:
            await splice.close()
        else:
            for fd in fds:
                with contextlib.suppress(OSError):
                    os.close(fd)
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if "done" in answer:
        return answer["done"]
    # What ended the stream says more than that it ended.
    error = from_value(answer["error"])
    raise splice.error if splice.error is not None and error.code == "link-lost" else error


class Splice:
    """Carries bytes both ways between a worker and a stream, each held back by the other; without a stream the worker gets an end."""

    def __init__(self, pipe: PipeChannel, there: StreamChannel | None) -> None:
        self.error: AfieldError | None = None
        self._pipe, self._there = pipe, there
        self._draining: asyncio.Future[None] | None = None
        pipe.start(self._up, lambda _: None)
        if there is not None:
            there.start(self._down, self._ended)

    def _up(self, data: bytes) -> None:
        if self._there is not None:
            self._there.write(data)

    def _down(self, data: bytes) -> None:
        self._pipe.write(data)
        if self._draining is None and self._pipe.waiting >= HIGH_WATER and self._there is not None:
            self._there.pause()
            self._draining = asyncio.ensure_future(self._drain(self._there))

    async def _drain(self, there: StreamChannel) -> None:
        await self._pipe.drained()
        self._draining = None
        there.resume()

    def _ended(self, error: AfieldError) -> None:
        """The place ended it: the worker reads the end, and says what that means."""
        self.error = error
        self._closing = asyncio.ensure_future(self._pipe.close())

    async def close(self) -> None:
        """End both."""
        if self._draining is not None:
            self._draining.cancel()
        await self._pipe.close()
        if self._there is not None:
            await self._there.close()


async def _answer(process: Any, tell: Callable[[dict[str, Any]], None] | None) -> dict[str, Any]:
    last = ""
    async for line in process.stderr:
        try:
            value = json.loads(line)
        except ValueError:
            last = line.decode("utf-8", "replace").strip() or last
            continue
        if "progress" in value:
            if tell is not None:
                tell(value["progress"])
        else:
            return dict(value)
    error = InternalError(f"the mirror's worker ended without an answer: {last[:300]}", hint="see `afield daemon log`")
    return {"error": error.to_value()}


class Mirrors:
    """The refreshes of all targets, one at a time for each."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: set[str] = set()

    async def sync(
        self, target: Target, *, env: str | None, full: bool, tell: Callable[[dict[str, Any]], None] | None = None
    ) -> Any:
        """Bring the mirror of a target up to date. Raises AfieldError."""
        async with self._locks.setdefault(target.folder, asyncio.Lock()):
            name, python = await interpreter(target, env)
            stream = open_service(target)
            job = {
                **await self._job(target, "sync", stream),
                "python": text(python),
                "env": name,
                "machine": target.machine.name,
                "full": full,
            }
            done = await run(job, stream=stream, tell=tell)
        if done["changed"] or done["removed"]:
            touch(target)
        return done

    async def get(self, target: Target, path: str) -> Any:
        """Bring one file."""
        stream = open_service(target)
        return await run({**await self._job(target, "get", stream), "path": path}, stream=stream)

    async def _job(self, target: Target, verb: str, stream: Stream) -> dict[str, Any]:
        own = synced_folders(target, await target.there(), await target.place.home())
        session = stream.session
        delay = float(session.link.statistics()["base_rtt"] or session.latency or 0.0)
        return {"do": verb, "base": text(base_of(target)), "own": own, "delay": delay}

    def refresh(self, target: Target) -> bool:
        """Bring a mirror that was made once up to date, beside everything else; a failure is logged and no more."""
        if not target.machine.mirror_auto or target.key in self._waiting or not has_mirror(target):
            return False
        self._waiting.add(target.key)

        async def work() -> None:
            try:
                done = await self.sync(target, env=None, full=False)
                self._daemon.diary.info(
                    f"{target.key}: mirror refreshed, {done['changed']} changed, {done['seconds']} s"
                )
            except AfieldError as error:
                self._daemon.diary.warning(f"{target.key}: the mirror was not refreshed: {error.text}")
            finally:
                self._waiting.discard(target.key)

        self._daemon.spawn(work(), "refresh of a mirror")
        return True


def synced_folders(target: Target, there: bytes, home: bytes) -> list[list[str]]:
    """Give [far, local] of the project's folder and its further ones."""
    own = [[text(there), target.folder]]
    for each in target.machine.folders:
        far = os.fsencode(each.there)
        own.append([text(home + far[1:] if far.startswith(b"~") else far), os.path.realpath(each.here)])
    return own


def open_service(target: Target) -> Stream:
    """Open the service there. Raises LinkError."""
    return target.place.connection.open_stream({"do": "mirror"})


async def interpreter(target: Target, env: str | None) -> tuple[str | None, bytes]:
    """Give the name and the interpreter of the environment: the named one, the one in use, else the Python that runs there. Raises EnvError."""
    from afield.daemon.chosen import listing, pick, usable

    name = env or target.machine.environment
    if name is not None:
        found = await listing(target)
        picked = usable(pick(found["envs"], name, await target.there(), await target.place.home()))
        if not picked["python"]:
            raise EnvBroken(f"the environment {name} has no interpreter", hint="choose another: afield env use NAME")
        return str(picked["name"]), bytes(picked["python"])
    python = target.machine.python or "python3"
    if "/" in python:
        return None, _path(python, await target.there(), await target.place.home())
    told = await target.place.connection.call("which", {"name": python})
    if told is None:
        raise NoSuchEnv(f"there is no {python} there", hint="choose an environment: afield env use NAME")
    return None, bytes(told)


def _path(python: str, there: bytes, home: bytes) -> bytes:
    path = os.fsencode(python)
    return os.path.normpath(os.path.join(there, home + path[1:] if path.startswith(b"~/") else path))


def touch(target: Target) -> None:
    """Give the shims a new time: tools keep what they learned of an interpreter by its path and time."""
    folder = os.path.join(target.folder, ".afield", "bin")
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            os.utime(os.path.join(folder, name))
