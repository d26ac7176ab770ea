"""Starts the command of a dial before asyncio is imported: the login runs while Python still loads.

Rules: no import that loads asyncio; whatever fails here is not reported here. What must not go in: waiting for anything.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from afield.config.find import FILE
from afield.config.load import default_user_file, load_project
from afield.control import launch, redial
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
    settings = load_project(project)
    chosen = settings.machine(machine)
    transport = transport_for(chosen.place, transport_options(chosen))
    askpass = Askpass(ask_folder())
    process = early.begin(transport, env=askpass.env())
    if transport.scheme == "ssh":  # the command of another one may depend on what we do not know of
        dial = early.command(transport, env=askpass.env())
        files = (os.path.join(project, FILE), default_user_file())
        redial.remember(project, chosen.name, dial.argv, files, default=chosen.name == settings.default)
    return Early(chosen, process, askpass)


def complete(project: str, machine: str | None, process: tuple[int, int, int, int], door: Door) -> Early:
    """Take over what the starter began (``control.launch``). Raises AfieldError, and then the dial is ended."""
    try:
        return Early(load_project(project).machine(machine), spawn.Process(*process), Askpass(door=door))
    except BaseException:
        launch.drop(process, door)
        raise
