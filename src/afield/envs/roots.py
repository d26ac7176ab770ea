"""Which folders of a place hold the modules of an environment, and what each of them is  [P].

A root is ``site`` (the environment's own packages), ``stdlib``, ``path`` (any other folder on ``sys.path``, or one that an editable
install maps), ``own`` (inside a folder that is synced anyway) or ``inside`` (another root holds it). Only the first three are listed.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, NamedTuple

    Root = NamedTuple("Root", [("far", bytes), ("real", bytes), ("role", str)])
else:
    from collections import namedtuple

    Root = namedtuple("Root", "far real role")

LISTED = ("site", "stdlib", "path")
# The most folders on sys.path that an environment has: each editable install adds one.
MOST = 256


def roots_of(
    found: "Dict[str, Any]",
    own: "List[bytes]",
    is_folder: "Callable[[bytes], bool]" = os.path.isdir,
    real: "Callable[[bytes], bytes]" = os.path.realpath,
) -> "List[Root]":
    """Give the roots of what ``interpreter.folders_of`` found, in the order of ``sys.path`` behind the two of the environment."""
    roots: "List[Root]" = []
    seen: "Dict[bytes, str]" = {}
    owned = [real(folder) for folder in own]

    def add(path: "bytes", role: "str") -> "None":
        if any(root.far == path for root in roots) or len(roots) >= MOST or not is_folder(path):
            return
        target = real(path)
        if role == "path":
            role = _role(target, seen, owned)
        seen.setdefault(target, role)
        roots.append(Root(path, target, role))

    if os.path.basename(found["site"]) == b"site-packages":
        add(found["site"], "site")
    add(found["stdlib"], "stdlib")
    # Shorter ones first: what holds others must be known before them.
    paths = [found["site"], found["platform"], *found["path"], *found["maps"]]
    for path in sorted(set(paths), key=len):
        add(path, "path")
    order = {path: number for number, path in reversed(list(enumerate(paths)))}
    return sorted(roots, key=lambda root: -1 if root.role in ("site", "stdlib") else order.get(root.far, 0))


def _role(target: "bytes", seen: "Dict[bytes, str]", owned: "List[bytes]") -> "str":
    if target in seen:
        return "inside"
    for folder in owned:
        if target == folder or target.startswith(folder.rstrip(b"/") + b"/"):
            return "own"
    for folder, role in seen.items():
        if role not in LISTED or not target.startswith(folder.rstrip(b"/") + b"/"):
            continue
        first = target[len(folder.rstrip(b"/")) + 1 :].split(b"/")[0]
        if role != "stdlib" or first not in (b"site-packages", b"dist-packages", b"test"):
            return "inside"
    return "path"
