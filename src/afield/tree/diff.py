"""What changed between two looks at one tree  [P].

Rules: a stat that is equal says that the content is; the stat of a folder says nothing, for it changes with every file
in it. Two different trees are compared by ``reconcile.py``, never here.
"""

from afield.tree.entries import Entry, Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Mapping, Optional


def recall(old: "Mapping[bytes, Entry]", new: "Mapping[bytes, Entry]") -> "Dict[bytes, Entry]":
    """Give ``new`` with the contents that are known from ``old`` filled in where the stat is still the same."""
    return {path: _recalled(old.get(path), entry) for path, entry in new.items()}


def _recalled(old: "Optional[Entry]", new: "Entry") -> "Entry":
    node = new.node
    if old is None or node.kind != "f" or node.content is not None or old.node.kind != "f" or old.stat != new.stat:
        return new
    return Entry(Node("f", node.executable, old.node.content), new.stat)


def changed(old: "Mapping[bytes, Entry]", new: "Mapping[bytes, Entry]") -> "List[bytes]":
    """Give the paths, sorted, at which something came, went or may be different."""
    paths = [path for path, entry in new.items() if _differs(old.get(path), entry)]
    paths.extend(path for path in old if path not in new)
    return sorted(paths)


def _differs(old: "Optional[Entry]", new: "Entry") -> "bool":
    if old is None:
        return True
    if new.node.kind == "f" and old.node.kind == "f":
        return old.stat != new.stat or old.node.executable != new.node.executable
    return old.node != new.node
