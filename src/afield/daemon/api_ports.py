"""The verbs about forwarded ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.daemon.api_link import linked
from afield.errors import PortError
from afield.link.forward import LocalForward, RemoteForward, parse_forward

if TYPE_CHECKING:
    from afield.daemon.conversation import Ask
    from afield.daemon.core import Daemon
    from afield.daemon.target import Target

Args = dict[str, Any]


class Held:
    """A forward with what the state shows of it."""

    def __init__(self, number: int, target: Target, spec: str, *, reverse: bool) -> None:
        self.target = target
        forward = parse_forward(spec)
        connection = target.place.connection
        self._forward = RemoteForward(connection, forward) if reverse else LocalForward(connection, forward)
        self._entry = {
            "id": number,
            "project": target.folder,
            "machine": target.machine.name,
            "local": str(forward.target if reverse else forward.source),
            "remote": str(forward.source if reverse else forward.target),
            "reverse": reverse,
        }

    async def start(self) -> None:
        """Listen. Raises PortError."""
        end = await self._forward.start()
        self._entry["remote" if self._entry["reverse"] else "local"] = str(end)

    async def stop(self) -> None:
        """Stop listening and close what goes through."""
        await self._forward.stop()

    def describe(self) -> dict[str, Any]:
        """Give the state's entry."""
        return {**self._entry, "connections": self._forward.connections}


async def forward(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Carry a port until ``forward-stop`` or ``down``."""
    target = await linked(daemon, ask, args)
    number = daemon.next_forward
    held = Held(number, target, args["spec"], reverse=args["reverse"])
    await held.start()
    daemon.next_forward += 1
    daemon.forwards[number] = held
    daemon.state.put("forwards", str(number), held.describe())
    return held.describe()


async def forwards(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """List what is carried."""
    del ask, args
    return [held.describe() for held in daemon.forwards.values()]


async def forward_stop(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """End one."""
    del ask
    held = daemon.forwards.pop(args["id"], None)
    if held is None:
        known = ", ".join(str(number) for number in daemon.forwards) or "none"
        raise PortError(f"no forward {args['id']} (known: {known})", hint="list them with: afield forward --list")
    daemon.state.drop("forwards", str(args["id"]))
    await held.stop()
    return {"stopped": args["id"]}


async def stop_of(daemon: Daemon, target: Target) -> list[str]:
    """End all forwards of a target; gives what was stopped."""
    stopped = []
    for number, held in list(daemon.forwards.items()):
        if held.target is target:
            del daemon.forwards[number]
            daemon.state.drop("forwards", str(number))
            await held.stop()
            stopped.append(f"forward {held.describe()['local']}")
    return stopped


VERBS = {"forward": forward, "forwards": forwards, "forward-stop": forward_stop}
