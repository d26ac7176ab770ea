"""The worker's steps by name: the moments at which a test kills it or lets the system fail  [P].

Rules: a name stands right before its step, one in the past tense right behind it; without a hook a step costs a
comparison. In ordinary life nobody sets one.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

STEPS = (
    "open",
    "opened",
    "scan",
    "hash",
    "read",
    "apply",
    "stage",
    "staged",
    "keep",
    "kept",
    "place",
    "placed",
    "publish",
    "published",
    "remove",
    "removed",
    "move",
    "moved",
    "copy",
    "copied",
    "mode",
    "store",
    "stored",
    "restore",
    "restored",
    "prune",
)

hook: "Optional[Callable[[str], None]]" = None


def at(name: "str") -> "None":
    """Come to the step ``name``, one of STEPS. Raises what the hook of a test raises."""
    if hook is not None:
        hook(name)
