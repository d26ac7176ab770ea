"""Starts the command of a dial before asyncio is imported: the login runs while Python still loads.

Rules: no import that loads asyncio; whatever fails here is not reported here. What must not go in: waiting for anything.
"""

from __future__ import annotations

from typing import NamedTuple

from afield.config.load import load_project
from afield.control import launch
from afield.control.askfolder import ask_folder
from afield.daemon.login import transport_options
from afield.link import early, spawn
from afield.link.askpass import Askpass
from afield.plugins import transport_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from afield.config.load import Machine
    from afield.control.door import Door


class Early(NamedTuple):
    """A dial under way, for the place of ``machine`` to adopt."""

    machine: Machine
    process: spawn.Process
    askpass: Askpass


def start(project: str, machine: str | None) -> Early:
    """Start the dial of a project's machine. Raises AfieldError."""
    chosen = load_project(project).machine(machine)
    transport = transport_for(chosen.place, transport_options(chosen))
    askpass = Askpass(ask_folder())
    process = early.begin(transport, env=askpass.env())
    return Early(chosen, process, askpass)


def complete(project: str, machine: str | None, process: tuple[int, int, int, int], door: Door) -> Early:
    """Take over what the starter began (``control.launch``). Raises AfieldError, and then the dial is ended."""
    try:
        return Early(load_project(project).machine(machine), spawn.Process(*process), Askpass(door=door))
    except BaseException:
        launch.drop(process, door)
        raise
