"""The folder below the run folder for the sockets of login questions. Imports next to nothing: the first dial waits for it."""

from __future__ import annotations

import os

from afield.control import paths

# The longest run folder whose askpass sockets still fit into a socket address: "/ask/afield-ask-XXXXXXXX/socket" follows.
_LONGEST = paths.SOCKET_LIMIT - 32


def ask_folder() -> str | None:
    """Give that folder; None (the system's) when its path is too long."""
    folder = _folder()
    if len(os.fsencode(paths.run_folder())) > _LONGEST:
        return None
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    return folder


def clear_ask_folder(keep: str = "") -> None:
    """Remove what a killed daemon left, but not ``keep``; only who holds the lock may.

    Two levels, made by us alone: shutil would cost 5 ms.
    """
    folder = _folder()
    try:
        for name in os.listdir(folder):
            below = os.path.join(folder, name)
            if below == keep:
                continue
            for file in os.listdir(below):
                os.unlink(os.path.join(below, file))
            os.rmdir(below)
        os.rmdir(folder)
    except OSError:
        return  # nothing there, or nothing of ours


def _folder() -> str:
    return os.path.join(paths.run_folder(), "ask")
