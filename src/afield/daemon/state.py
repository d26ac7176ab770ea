"""What is: one tree of plain data with one writer, and a numbered change for each difference. Pure.

The snapshot (`afield status --json`)::

    {"n": 41, "daemon": {...}, "places": {KEY: {...}}, "projects": {KEY: {...}}, "forwards": {ID: {...}}, "runs": {ID: {...}}}

    daemon    version, pid, since, rss
    place     place, state (idle, dialing, needs-login, connected, waiting, failed), why, hint, next_try, latency_ms, agent
    project   project, machine, place, folder, env (name, python), up, sync (what the session says of itself), problems
    forward   id, project, machine, local, remote, reverse, connections
    run       id, project, machine, mode, label, pid, since, state

Rules: only the loop's thread writes; values are JSON values; readers get copies. What must not go in: objects, I/O.
"""

from __future__ import annotations

import copy
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SECTIONS = ("daemon", "places", "projects", "forwards", "runs")
# A face that was away for longer reads the whole state again.
KEPT = 1000


class State:
    """``put`` and ``drop`` are the only writers; ``subscribe`` hears each change in order."""

    def __init__(self) -> None:
        self._sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
        self._changes: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._listeners: list[Callable[[dict[str, Any]], None]] = []
        self.number = 0

    def put(self, section: str, key: str, value: dict[str, Any]) -> None:
        """Set one entry; nothing happens when it is already so."""
        entries = self._sections[section]
        if entries.get(key) != value:
            entries[key] = copy.deepcopy(value)
            self._tell(section, key, entries[key])

    def merge(self, section: str, key: str, **values: Any) -> None:
        """Change some fields of one entry."""
        self.put(section, key, {**self._sections[section].get(key, {}), **values})

    def drop(self, section: str, key: str) -> None:
        """Remove one entry; nothing happens when there is none."""
        if self._sections[section].pop(key, None) is not None:
            self._tell(section, key, None)

    def get(self, section: str, key: str) -> dict[str, Any]:
        """Give a copy of one entry; empty when there is none."""
        return copy.deepcopy(self._sections[section].get(key, {}))

    def snapshot(self, project: str | None = None) -> dict[str, Any]:
        """Give a copy of everything, or of what concerns one project folder."""
        whole: dict[str, Any] = {"n": self.number, **copy.deepcopy(self._sections)}
        whole["daemon"] = whole["daemon"].get("self", {})
        if project is None:
            return whole
        for section in ("projects", "forwards", "runs"):
            whole[section] = {key: value for key, value in whole[section].items() if value.get("project") == project}
        used = {value.get("place_key") for value in whole["projects"].values()}
        whole["places"] = {key: value for key, value in whole["places"].items() if key in used}
        return whole

    def changes_after(self, number: int) -> list[dict[str, Any]] | None:
        """Give the changes after number, oldest first; None when they are no longer kept."""
        if number > self.number or (number < self.number and (not self._changes or self._changes[0]["n"] > number + 1)):
            return None
        return [copy.deepcopy(change) for change in self._changes if change["n"] > number]

    def subscribe(self, listener: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Call listener with each change from now on; the returned function ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def _tell(self, section: str, key: str, value: dict[str, Any] | None) -> None:
        self.number += 1
        change = {"n": self.number, "section": section, "key": key, "value": value}
        self._changes.append(change)
        for listener in list(self._listeners):
            listener(copy.deepcopy(change))
