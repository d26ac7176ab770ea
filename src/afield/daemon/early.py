"""Starts the command of a dial before asyncio is imported: the login runs while Python still loads.

Rules: no import that loads asyncio; whatever fails here is not reported here. What must not go in: waiting for anything.
"""

from __future__ import annotations

from typing import NamedTuple

from afield.config.load import load_project
from afield.daemon.login import ask_folder, transport_options
from afield.link import early
from afield.link.askpass import Askpass
from afield.plugins import transport_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from afield.config.load import Machine


class Early(NamedTuple):
    """A dial under way, for the place of ``machine`` to adopt."""

    machine: Machine
    process: tuple[int, int, int, int]
    askpass: Askpass


def start(project: str, machine: str | None) -> Early:
    """Start the dial of a project's machine. Raises AfieldError."""
    chosen = load_project(project).machine(machine)
    transport = transport_for(chosen.place, transport_options(chosen))
    askpass = Askpass(ask_folder())
    return Early(chosen, early.begin(transport, env=askpass.env()), askpass)
