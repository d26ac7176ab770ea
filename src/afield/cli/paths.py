"""From the paths that people type to paths below the project, and patterns. Looks at names only, never into files."""

from __future__ import annotations

import glob
import os

from afield.errors import BadPath, NoSuchFile


def project_path(text: str, folder: str) -> str:
    """Give the path below the project's folder (``""`` for the folder itself). Raises BadPath for one outside.

    As with git a path is seen from the working folder; a plain one that is not here is taken from the project's folder,
    which is how afield prints them.
    """
    seen = os.path.normpath(os.path.join(os.getcwd(), os.path.expanduser(text)))
    plain = not text.startswith(("/", "~", "./", "../")) and text not in (".", "..")
    if plain and not os.path.lexists(seen):
        seen = os.path.normpath(os.path.join(folder, text))
    # The project is known by its real path; a working folder may be one that leads there through a link.
    real = os.path.join(os.path.realpath(os.path.dirname(seen)), os.path.basename(seen))
    for path in (seen, real, os.path.realpath(seen)):
        if path == folder:
            return ""
        if path.startswith(folder.rstrip("/") + "/"):
            return path[len(folder.rstrip("/")) + 1 :]
    raise BadPath(
        f"{text} is not in {folder}", hint="name a path below that folder; one of [folders.NAME]: --folder NAME"
    )


def has_magic(text: str) -> bool:
    """Whether a path holds a pattern (``*``, ``?``, ``[…]``)."""
    return glob.has_magic(text)


def here_matching(text: str) -> list[str]:
    """Give the absolute local paths that a path or a quoted pattern names. Raises NoSuchFile when there is none."""
    path = os.path.abspath(os.path.expanduser(text))
    if os.path.lexists(path):
        return [path]
    found = sorted(glob.glob(path, recursive=True)) if has_magic(text) else []
    if not found:
        raise NoSuchFile(f"{text} does not exist" if not has_magic(text) else f"nothing here matches {text}")
    tops = set(found)
    # A folder that matches goes whole: what is below it goes with it.
    return [each for each in found if not any(above in tops for above in _above(each))]


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(2, len(parts))]
