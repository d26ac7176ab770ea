"""What a daemon remembers for its successor: which projects are up. One small JSON file, replaced in one step.

Rules: a file that cannot be read is an empty memory; only names are in it. What must not go in: secrets, states, settings.
"""

from __future__ import annotations

import contextlib
import json
import os


def load(path: str) -> list[tuple[str, str]]:
    """Give the (project folder, machine) pairs that are up; empty when the file is missing or broken."""
    try:
        with open(path, encoding="ascii") as file:
            rows = json.load(file)["up"]
        return [(folder, machine) for folder, machine in rows if isinstance(folder, str) and isinstance(machine, str)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def save(path: str, up: list[tuple[str, str]]) -> None:
    """Write the pairs; a full disk loses the memory and nothing else."""
    temporary = f"{path}.{os.getpid()}"
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(handle, "w", encoding="ascii") as file:
            json.dump({"version": 1, "up": sorted(up)}, file)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
