"""Which changed paths are due when: waits for writers to finish, holds removals back a moment, thins out bursts  [P].

Pure: ``now`` comes in (monotonic seconds). No file is looked at here. The times are part of files-service.md.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Set

# An editor writes for less; a program that writes all the time is reported once a second.
QUIET, LONGEST = 0.05, 1.0
# Save by temporary file and rename: both happen within this time nearly always.
NEW_FILE = 0.0004
# Editors that move the old file away put the new one there well within this time.
REMOVED = 0.03
# The first records after quiet go out at once; in a burst one goes every STEP seconds, and ever fewer while it lasts:
# a checkout of thousands of files is to be a few records.
BURST, STEP, LONGEST_STEP = 8, 0.005, 0.05
# A file that was made so many seconds ago is taken for a temporary one when it is renamed: longer than any save takes.
BORN, BORN_KEPT = 10.0, 1000
_NEVER = float("inf")


class Pending:
    """Paths with the time at which each is due."""

    def __init__(self) -> "None":
        self.due: "Dict[bytes, float]" = {}
        self.writing: "Dict[bytes, float]" = {}
        self.new: "Set[bytes]" = set()
        self.born: "Dict[bytes, float]" = {}
        self.soonest = _NEVER
        self.tokens = float(BURST)
        self.refilled = 0.0
        self.step = STEP

    def __bool__(self) -> "bool":
        return bool(self.due)

    def _set(self, path: "bytes", when: "float") -> "None":
        self.due[path] = when
        self.soonest = min(self.soonest, when)

    def created(self, path: "bytes", now: "float") -> "None":
        """A file was made: somebody writes it now."""
        self.new.add(path)
        if len(self.born) >= BORN_KEPT:
            self.born = {path: when for path, when in self.born.items() if when > now - BORN}
        self.born[path] = now
        self.written(path, now)

    def written(self, path: "bytes", now: "float") -> "None":
        """A file was written to and is still open."""
        since = self.writing.setdefault(path, now)
        self._set(path, min(now + QUIET, since + LONGEST))

    def closed(self, path: "bytes", now: "float") -> "None":
        """A writer is done."""
        self.writing.pop(path, None)
        self._set(path, now + NEW_FILE if path in self.new else now)

    def touched(self, path: "bytes", now: "float") -> "None":
        """Times or permissions changed: of interest unless somebody writes there now."""
        if path not in self.writing:
            self._set(path, min(self.due.get(path, _NEVER), now + NEW_FILE))

    def came(self, path: "bytes", now: "float") -> "None":
        """Something whole stands there now (a rename, a folder, a link)."""
        self.writing.pop(path, None)
        self._set(path, now)

    def removed(self, path: "bytes", now: "float") -> "None":
        """Nothing stands there now."""
        self.writing.pop(path, None)
        self._set(path, now + REMOVED)

    def moved(self, old: "bytes", new: "bytes", now: "float", *, folder: "bool") -> "None":
        """What stood at ``old`` stands at ``new``: both are due together, so that it is seen as a rename.

        A folder at once, a file after the time of a removal: what was moved away to make room for a new version comes back.
        A temporary file is no rename but a save, which is due at once.
        """
        if not folder and self.born.pop(old, -_NEVER) > now - BORN:
            self.came(new, now)
            self.removed(old, now)
            return
        for path in (old, new):
            self.writing.pop(path, None)
            self._set(path, now if folder else now + REMOVED)

    def deadline(self) -> "float":
        """Give the earliest time at which ``take`` may have something; infinity when nothing waits."""
        if not self.due:
            return _NEVER
        if self.tokens >= 1.0:
            return self.soonest
        return max(self.soonest, self.refilled + (1.0 - self.tokens) * self.step)

    def take(self, now: "float", everything: "bool" = False) -> "List[bytes]":
        """Give and forget the paths that are due, the shortest path first; ``everything`` does not wait."""
        self.tokens = min(float(BURST), self.tokens + max(0.0, now - self.refilled) / self.step)
        self.refilled = now
        if self.tokens >= BURST:
            self.step = STEP
        if everything:
            found = list(self.due)
        elif self.tokens < 1.0 or now < self.soonest:
            return []
        else:
            found = [path for path, when in self.due.items() if when <= now]
        for path in found:
            del self.due[path]
            self.writing.pop(path, None)
            self.new.discard(path)
        self.soonest = min(self.due.values()) if self.due else _NEVER
        if found:
            self.tokens -= 1.0
            if self.tokens < 1.0:
                self.step = min(LONGEST_STEP, self.step * 1.5)
        found.sort()
        return found

    def clear(self) -> "None":
        """Forget all."""
        self.due.clear()
        self.writing.clear()
        self.new.clear()
        self.born.clear()
        self.soonest = _NEVER
