"""What of a machine's settings says how to log in; used before and after asyncio is loaded."""

from __future__ import annotations

import shlex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from afield.config.load import Machine


def place_key(machine: Machine) -> str:
    """Give what two machines must share to share a link: the place and how to log in there."""
    place = machine.place
    if place.startswith("ssh://") and not any(mark in place[6:] for mark in ":/?["):
        place = place[6:]  # the long form of ``[user@]host``
    words = [place, *machine.ssh]
    if machine.agent_python:
        words.append(f"python={machine.agent_python}")
    return shlex.join(words) if len(words) > 1 else place


def transport_options(machine: Machine) -> dict[str, str]:
    """Give the transport's options that a machine's settings mean."""
    options = {}
    if machine.agent_python:
        options["python"] = machine.agent_python
    if machine.ssh:
        options["ssh"] = shlex.join(["ssh", *machine.ssh])
    return options
