"""Looks for environments below a folder, within bounds of depth and time  [P].

Breadth first: when the time is over, what is near the top was seen. Folders that hold no environments by nature are not entered.
"""

import os
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Set, Tuple

# PROJECTS/GROUP/PROJECT/.venv: deeper ones are rare, and the count of folders grows tenfold a level.
DEPTH = 4
SKIPPED = frozenset(
    (
        "node_modules",
        "__pycache__",
        "site-packages",
        "dist-packages",
        "miniconda3",  # of known places: looked at by name
        "anaconda3",
        "miniforge3",
        "mambaforge",
        "snap",
        "target",
        "build",
        "dist",
        "wandb",
        "mlruns",
        "lost+found",
    )
)
# Hidden folders that are entered; all others (.git, .cache, .afield, …) are not.
HIDDEN = frozenset((".venv", ".env", ".virtualenv", ".venvs", ".nox", ".tox"))


class Walk:
    """Walks roots until ``deadline`` (monotonic seconds); ``complete`` tells whether it came to the end."""

    def __init__(self, roots: "List[str]", deadline: "float", depth: "int" = DEPTH) -> "None":
        self.complete = True
        self.folders = 0
        self._deadline = deadline
        self._level: "List[str]" = [os.path.realpath(root) for root in roots]
        self._depth = depth
        self._seen: "Set[Tuple[int, int]]" = set()

    def found(self) -> "Iterator[Tuple[str, str]]":
        """Give (kind or "", folder) of what looks like an environment."""
        for _ in range(self._depth + 1):
            below: "List[str]" = []
            for folder in self._level:
                if monotonic() > self._deadline:
                    self.complete = False
                    return
                yield from self._look(folder, below)
            self._level = below
            if not below:
                return

    def _look(self, folder: "str", below: "List[str]") -> "Iterator[Tuple[str, str]]":
        names, folders = self._listed(folder)
        if "pyvenv.cfg" in names:
            yield "", folder
            return
        if "conda-meta" in folders:
            yield "conda", folder
            return
        if ".pixi" in folders:
            _, inner = self._listed(os.path.join(folder, ".pixi", "envs"))
            for name in inner:
                yield "pixi", os.path.join(folder, ".pixi", "envs", name)
        for name in folders:
            if name in HIDDEN if name.startswith(".") else name not in SKIPPED:
                below.append(os.path.join(folder, name))

    def _listed(self, folder: "str") -> "Tuple[Set[str], List[str]]":
        """Give the files' names and, sorted, the real folders' names."""
        self.folders += 1
        names: "Set[str]" = set()
        folders: "List[str]" = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
                    else:
                        names.add(entry.name)
        except OSError:
            pass
        return names, sorted(folders)
