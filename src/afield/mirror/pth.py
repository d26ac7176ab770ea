"""The ``.pth`` files of a mirror: path lines with the local paths, and nothing that could be executed here. Pure.

A ``.pth`` line that starts with ``import`` is run by whatever Python takes the folder for a site folder (site.py); a place must
not be able to put such a line on this machine, and no tool that only reads files has a use for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from afield.errors import BadPath

if TYPE_CHECKING:
    from collections.abc import Iterable

    from afield.mirror.paths import PathMap

# Written by afield itself: the folders that stand on sys.path there beside site-packages and the standard library.
OWN = b"afield_mirror.pth"


def localised(data: bytes, folder: bytes, paths: PathMap) -> bytes:
    """Give the text of a .pth file of the far ``folder`` with local paths; what is run or unknown here becomes a comment."""
    lines = []
    for line in data.replace(b"\r", b"").split(b"\n"):
        if line.startswith((b"import ", b"import\t")):
            lines.append(b"# " + line)
            continue
        if not line.strip() or line.startswith(b"#"):
            lines.append(line)
            continue
        try:
            lines.append(_local(line.rstrip(), folder, paths))
        except BadPath:
            lines.append(b"# " + line)
    return b"\n".join(lines)


def _local(line: bytes, folder: bytes, paths: PathMap) -> bytes:
    import posixpath

    return paths.to_here(posixpath.normpath(posixpath.join(folder, line)))


def own(folders: Iterable[bytes]) -> bytes:
    """Give afield's own .pth: one local folder a line, in the order of sys.path there."""
    return b"".join(folder + b"\n" for folder in dict.fromkeys(folders) if b"\n" not in folder)
