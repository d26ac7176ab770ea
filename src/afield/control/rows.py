"""What one row of the table of verbs is made of. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple


class Arg(NamedTuple):
    """One argument: its kind is a key of KINDS; ``default`` stands for one that was not given."""

    name: str
    kind: str
    required: bool = False
    default: Any = None


class Verb(NamedTuple):
    """One row of the table. ``result`` is for people and for the manual."""

    name: str
    since: int
    args: tuple[Arg, ...]
    result: str
