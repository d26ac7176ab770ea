"""Where the project is: the nearest folder with an ``afield.toml``. Imports next to nothing, for every run asks."""

from __future__ import annotations

import os

FILE = "afield.toml"


def find_project(start: str) -> str | None:
    """Give the nearest folder at or above start that holds an afield.toml, or None."""
    folder = os.path.realpath(start)
    while True:
        if os.path.isfile(os.path.join(folder, FILE)):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent
