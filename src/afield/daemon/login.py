"""What of a machine's settings says how to log in, and where its questions are asked; used before and after asyncio is loaded."""

from __future__ import annotations

import contextlib
import os
import shlex

from afield.control import paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from afield.config.load import Machine


def place_key(machine: Machine) -> str:
    """Give what two machines must share to share a link: the place and how to log in there."""
    words = [machine.place, *machine.ssh]
    if machine.agent_python:
        words.append(f"python={machine.agent_python}")
    return shlex.join(words) if len(words) > 1 else machine.place


def transport_options(machine: Machine) -> dict[str, str]:
    """Give the transport's options that a machine's settings mean."""
    options = {}
    if machine.agent_python:
        options["python"] = machine.agent_python
    if machine.ssh:
        options["ssh"] = shlex.join(["ssh", *machine.ssh])
    return options


# The longest run folder whose askpass sockets still fit into a socket address: "/ask/afield-ask-XXXXXXXX/socket" follows.
_LONGEST = paths.SOCKET_LIMIT - 32


def ask_folder() -> str | None:
    """Give the folder for the sockets of login questions, below the run folder; None (the system's) when that is too long."""
    folder = os.path.join(paths.run_folder(), "ask")
    if len(os.fsencode(paths.run_folder())) > _LONGEST:
        return None
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    return folder


def clear_ask_folder() -> None:
    """Remove what a killed daemon left; only who holds the lock may."""
    import shutil

    shutil.rmtree(os.path.join(paths.run_folder(), "ask"), ignore_errors=True)
