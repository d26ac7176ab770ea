"""The part of a scan that runs before the asker has told what it knows: listings are held back until it has  [P].

Rules: what is held is what was listed, with its stats, and no folder is listed twice; only so much is held that memory stays
small, then the scan waits.
"""

from time import monotonic

from afield.errors import AfieldError
from afield.files.faults import from_os_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Any, Dict, Iterator, List, Optional, Tuple

    from afield.files.parking import Listed
    from afield.files.scan import Scan

    # Path, its own stat, what stands in it, what is to be kept of it (None: it has no digest).
    Held = Tuple[bytes, Optional[os.stat_result], List[Any], Optional[Listed]]

# Entries: some 30 MB of stats, and more than is listed in the time that a store of a million rows takes to be read.
MOST = 60000


class Early:
    """Listings in the order in which they were made, a folder before those in it."""

    def __init__(self) -> "None":
        self.held: "List[Held]" = []
        self.gone: "List[bytes]" = []
        self.count = 0

    @property
    def full(self) -> "bool":
        """Whether no more should be held."""
        return self.count > MOST

    def add(self, held: "Held") -> "None":
        """Hold one folder."""
        self.held.append(held)
        self.count += len(held[2]) + 1

    def settle(self, work: "Scan", known: "Dict[bytes, bytes]", task: "Any") -> "Iterator[None]":
        """Tell what the asker does not know; from now on the scan does so by itself."""
        work.known = known
        work.early = None
        for path, own, found, listed in self.held:
            if own is not None and path.rpartition(b"/")[0] not in work.same:
                work.add_folder(path, own)
            if listed is not None and listed.digest == known.get(path):
                work.same[path] = listed.digest
                work.keep(path, listed)
            elif found:
                self._tell(work, path, found)
            if monotonic() >= task.until:
                work.root.forget()
                yield None
        for path in self.gone:
            work.drop(path)

    def _tell(self, work: "Scan", path: "bytes", found: "List[Any]") -> "None":
        try:
            # Targets of links are read now; what went in between is reported by the watch, or found next time.
            work.take_names(path + b"/" if path else b"", work.root.folder(path), found)
        except FileNotFoundError:
            work.drop(path)
        except OSError as error:
            work.error(path, from_os_error(error, path).text)
        except AfieldError as error:
            work.error(path, error.text)
