"""What a session is told when it is made, and what it answers when it is only asked. Values alone."""

from __future__ import annotations

from typing import NamedTuple

from afield.sync import notice
from afield.tree.rules import ModeRules


class Settings(NamedTuple):
    """What a session needs to know. ``place`` names the far end (its text is part of what the store belongs to).

    ``ask_bytes``, ``ask_files``: a first sync of more is asked about. ``limit``: bytes a second, both ways together.
    ``create_here``: a folder here that never was is made. ``own``: paths that go there and never come here.
    """

    here: bytes
    there: bytes
    place: str
    store: str
    mode: str = "two-way-safe"
    pull: tuple[str, ...] = ()
    push: tuple[str, ...] = ()
    two_way: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    history: bool = True
    ask_bytes: int = notice.LIMIT_BYTES
    ask_files: int = notice.LIMIT_FILES
    limit: int | None = None
    create_here: bool = False
    own: tuple[bytes, ...] = ()

    @property
    def modes(self) -> str | ModeRules:
        """The mode of all paths, or what tells it for each."""
        lists = {"pull": self.pull, "push": self.push, "two-way": self.two_way}
        rules = ModeRules(self.mode, lists, self.own)
        return rules or self.mode


class Preview(NamedTuple):
    """What a sync would do: (side, op, path, bytes) in order, and the conflicts' paths."""

    ops: list[tuple[str, str, bytes, int]]
    conflicts: list[tuple[bytes, str]]
