"""Keeps the command of a dial that worked, for the next daemon to begin with (``control.redial``).

Rules: written when the link stands and the first run is over, so that nobody waits for it; only a dial that worked is kept, and
with the Python that answered, which saves the search for one. What must not go in: when the command may be used again.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from afield.config.find import FILE
from afield.config.load import default_user_file
from afield.control import redial
from afield.link import early
from afield.link import state as link_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.daemon.target import Target

# s: the first run goes first; what lives shorter than this is begun by its settings next time.
AFTER = 0.3


def follow(target: Target, is_default: Callable[[], bool]) -> None:
    """Keep the dial of this target now and whenever its link is made anew."""
    connection = target.place.connection
    loop = asyncio.get_running_loop()

    def keep() -> None:
        if connection is target.place.connection and target.place.connected:
            remember(target, default=is_default())

    def changed(new: link_state.State) -> None:
        if isinstance(new, link_state.Connected):
            loop.call_later(AFTER, keep)

    connection.on_state.append(changed)
    changed(connection.state)


def remember(target: Target, *, default: bool) -> None:
    """Keep the command that would make the link of this target now; nothing when it is kept already."""
    transport, reply = target.place.connection.transport, target.place.connection.reply
    if transport.scheme != "ssh" or transport.batch:  # the command of another one may depend on what we do not know of
        return
    # The environment is the door's, and new each time.
    argv = early.command(transport, reply.executable or None).argv
    folder, machine = target.folder, target.machine.name
    if redial.recall(folder, machine) != argv or (default and redial.recall(folder, "") != argv):
        redial.remember(folder, machine, argv, (os.path.join(folder, FILE), default_user_file()), default=default)
