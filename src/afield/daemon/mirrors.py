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

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.daemon.core import Daemon
    from afield.daemon.target import Target
    from afield.link.stream import Stream

_READ = 256 << 10
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


async def run(
    job: dict[str, Any], *, stream: Stream | None = None, tell: Callable[[dict[str, Any]], None] | None = None
) -> Any:
    """Do a job in a worker; ``stream`` is an open mirror service for those that need the place. Raises AfieldError."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", _CODE, _SOURCE, json.dumps(job)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LINE,
    )
    pumps = [asyncio.ensure_future(each) for each in (_down(stream, process), _up(process, stream))] if stream else []
    try:
        answer = await _answer(process, tell)
    finally:
        for pump in pumps:
            pump.cancel()
        results = await asyncio.gather(*pumps, return_exceptions=True)
        if stream is not None:
            stream.close()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if "done" in answer:
        return answer["done"]
    # What ended the stream says more than that it ended.
    cause = next((result for result in results if isinstance(result, AfieldError)), None)
    error = from_value(answer["error"])
    raise cause if cause is not None and error.code == "link-lost" else error


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


async def _down(stream: Stream, process: Any) -> None:
    """From the place to the worker."""
    try:
        while data := await stream.read(_READ):
            process.stdin.write(data)
            await process.stdin.drain()
    finally:
        with contextlib.suppress(OSError):
            process.stdin.close()


async def _up(process: Any, stream: Stream) -> None:
    """From the worker to the place."""
    while data := await process.stdout.read(_READ):
        await stream.write(data)


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
