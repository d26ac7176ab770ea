"""What a mode means for one path, looked at by itself  [P].

``judge`` takes the nodes of one path and gives a verdict. Rules: values in, a verdict out; what a folder owes to what is
below it is not known here (``reconcile.py``). In the modes with two ways a deletion never beats an edit, unless the
mode says that this side wins; ``push`` and ``pull`` overwrite what differs and never remove what was never theirs.
"""

from collections import namedtuple

from afield.errors import UsageError
from afield.tree.entries import Node, same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple, Optional

    class Mode(NamedTuple):
        """What a mode allows."""

        source: int
        exact: bool
        winner: int

else:
    Mode = namedtuple("Mode", "source exact winner")
    Mode.__doc__ = (
        "source: the only side that is followed; exact: also in what it has not; winner of conflicts. 0: neither."
    )

# Verdicts. HERE and THERE: what that side has (also nothing) is to be on both. LEFT: both sides keep what they have, and
# nobody is told. STUCK: the same because of something that is never touched.
EVEN, HERE, THERE, MERGE, CONFLICT, LEFT, STUCK = range(7)

MODES = {
    "two-way-safe": Mode(0, False, 0),
    "two-way-here-wins": Mode(0, False, HERE),
    "two-way-there-wins": Mode(0, False, THERE),
    "push": Mode(HERE, False, 0),
    "push-exact": Mode(HERE, True, 0),
    "pull": Mode(THERE, False, 0),
}


def mode_named(name: "str") -> "Mode":
    """Give the mode of that name; raises UsageError."""
    mode = MODES.get(name)
    if mode is None:
        raise UsageError("there is no sync mode %r" % (name,), hint="one of: " + ", ".join(MODES))
    return mode


def judge(base: "Optional[Node]", here: "Optional[Node]", there: "Optional[Node]", mode: "Mode") -> "int":
    """Give the verdict on one path."""
    if (here is not None and here.kind == "o") or (there is not None and there.kind == "o"):
        return STUCK
    if same(here, there):
        return EVEN
    if mode.source:
        return _follow(base, here, there, mode)
    if same(base, here):
        return THERE
    if same(base, there):
        return HERE
    if here is None or there is None:
        return mode.winner or (THERE if here is None else HERE)
    return _both_changed(base, here, there, mode)


def _follow(base: "Optional[Node]", here: "Optional[Node]", there: "Optional[Node]", mode: "Mode") -> "int":
    source, target = (here, there) if mode.source == HERE else (there, here)
    if source is not None or mode.exact or same(base, target):
        return mode.source
    return LEFT


def _both_changed(base: "Optional[Node]", here: "Node", there: "Node", mode: "Mode") -> "int":
    if here.kind == there.kind == "f" and here.content is not None and there.content is not None:
        if here.content == there.content:
            return _executable(base, here, mode)
        if base is not None and base.kind == "f" and base.content in (here.content, there.content):
            return MERGE
    return mode.winner or CONFLICT


def _executable(base: "Optional[Node]", here: "Node", mode: "Mode") -> "int":
    """Judge two files that differ in the executable bit alone: who changed it is followed, else who has it."""
    if base is not None and base.kind == "f":
        return THERE if here.executable == base.executable else HERE
    return mode.winner or (HERE if here.executable else THERE)


def merged(base: "Node", here: "Node", there: "Node") -> "Node":
    """Give the node of a MERGE: one side changed the content of ``base``, the other the executable bit alone."""
    content = there.content if here.content == base.content else here.content
    executable = there.executable if here.executable == base.executable else here.executable
    return Node("f", executable, content)
