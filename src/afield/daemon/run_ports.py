"""Carries ports for runs: what a program there listens on is reachable here on the same number, and the other way round.

Rules: loopback only, on both sides; a number that is taken is left alone (both sides may be one machine); several runs share a
forward, and it goes with the last of them. What must not go in: which ports there are (near_ports, the agent).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from afield.errors import AfieldError
from afield.link.forward import End, Forward, LocalForward, RemoteForward

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Seconds until a number that was taken here is tried again, and how often: whoever chose it may hold it for another moment;
# where both sides are one machine it is taken for good.
AGAIN, TRIES = 0.25, 20
# Seconds for which first connections wait where a program came to listen on several ports at once: they go on together. A
# notebook's client tries each port of a kernel anew every 0.1 to 0.2 s (ZMQ_RECONNECT_IVL, zmq_setsockopt(3)); if the port of
# requests were reached first, what the first request prints would be published before the client has subscribed to it.
TOGETHER = 0.25


class SharedPorts:
    """The forwards of one place. ``make(port, reverse)`` gives one that is not started."""

    def __init__(self, make: Callable[[int, bool], Any]) -> None:
        self._make = make
        self._held: dict[tuple[int, bool], tuple[asyncio.Future[Any], list[object]]] = {}
        self._stopping: dict[int, asyncio.Future[Any]] = {}

    async def take(self, port: int, user: object, *, reverse: bool, until: float = 0.0) -> bool:
        """Make a port reachable for user; False when its number is taken. Until that time of the loop, connections wait."""
        if (port, not reverse) in self._held:
            return False  # what listens is our own end of the other way
        key = (port, reverse)
        if key not in self._held:
            # A kernel that is restarted listens on the numbers of the one before.
            start = self._start(port, until, reverse=reverse, after=self._stopping.get(port))
            self._held[key] = (asyncio.ensure_future(start), [])
        held = starting, users = self._held[key]
        users.append(user)
        try:
            started = await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._leave(key, user)
            raise
        if started is None and self._held.get(key) is held:
            del self._held[key]
        return started is not None

    async def _start(self, port: int, until: float, *, reverse: bool, after: asyncio.Future[Any] | None) -> Any:
        if after is not None:
            await asyncio.wait({after})
        forward = self._make(port, reverse)
        if until:
            forward.held_until = until
        try:
            await forward.start()
        except (AfieldError, OSError):
            return None
        return forward

    async def give_back(self, port: int, user: object, *, reverse: bool) -> None:
        """End a forward when user was the last."""
        if (stopping := self._leave((port, reverse), user)) is not None:
            await asyncio.shield(stopping)

    def _leave(self, key: tuple[int, bool], user: object) -> asyncio.Future[Any] | None:
        """Count user out; gives the end of the forward that begins when it was the last."""
        held = self._held.get(key)
        if held is None or user not in held[1]:
            return None
        held[1].remove(user)
        if held[1]:
            return None
        del self._held[key]
        stopping = self._stopping[key[0]] = asyncio.ensure_future(_stop(held[0]))

        def stopped(_: object) -> None:
            if self._stopping.get(key[0]) is stopping:
                del self._stopping[key[0]]

        stopping.add_done_callback(stopped)
        return stopping


async def _stop(starting: asyncio.Future[Any]) -> None:
    forward = await starting
    if forward is not None:
        await forward.stop()


def shared(place: Any) -> SharedPorts:
    """Give the ports of a place, kept with it."""
    found: SharedPorts | None = getattr(place, "run_ports", None)
    if found is None:
        found = place.run_ports = SharedPorts(lambda port, reverse: _forward(place.connection, port, reverse=reverse))
    return found


def _forward(connection: Any, port: int, *, reverse: bool) -> Any:
    near, far = End("127.0.0.1", port), End("localhost", port)
    if reverse:
        return RemoteForward(connection, Forward(near, near))
    return LocalForward(connection, Forward(near, far))


class RunPorts:
    """The ports of one run."""

    def __init__(self, ports: SharedPorts) -> None:
        self._shared = ports
        self._open: set[tuple[int, bool]] = set()
        self._wanted: set[int] = set()
        self._again = 0
        self._over = False
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def reach(self, ports: Iterable[int]) -> None:
        """Make ports of here reachable there, before the program starts."""
        await asyncio.gather(*(self._add(port, reverse=True) for port in ports))

    def listening(self, ports: list[int]) -> None:
        """Hear which ports the program listens on now."""
        self._wanted = {port for port in ports if isinstance(port, int) and 0 < port < 65536}
        self._again = 0
        self._spawn(self._follow())

    async def _follow(self) -> None:
        async with self._turn:
            if self._over:
                return
            before = {port for port, reverse in self._open if not reverse}
            await asyncio.gather(*(self._drop(port, reverse=False) for port in before - self._wanted))
            new = self._wanted - before
            until = asyncio.get_running_loop().time() + TOGETHER if len(new) > 1 else 0.0
            await asyncio.gather(*(self._add(port, reverse=False, until=until) for port in new))
            missing = any((port, False) not in self._open for port in self._wanted)
        if missing and self._again < TRIES:
            self._again += 1
            await asyncio.sleep(AGAIN)
            self._spawn(self._follow())

    async def _add(self, port: int, *, reverse: bool, until: float = 0.0) -> None:
        if await self._shared.take(port, self, reverse=reverse, until=until):
            self._open.add((port, reverse))

    async def _drop(self, port: int, *, reverse: bool) -> None:
        self._open.discard((port, reverse))
        await self._shared.give_back(port, self, reverse=reverse)

    def close(self) -> None:
        """End what only this run needed."""
        if not self._over:
            self._over = True
            if self._open or self._tasks:
                self._spawn(self._close())

    async def _close(self) -> None:
        async with self._turn:
            for port, reverse in list(self._open):
                await self._drop(port, reverse=reverse)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
