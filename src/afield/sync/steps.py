"""The steps of a cycle by name: the moments at which a test ends the process or changes a file.

Rules: a name stands right before its step, one in the past tense right behind it; without a hook a step costs a
comparison. In ordinary life nobody sets one. The worker's own steps are in files/steps.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = (
    "open",
    "opened",
    "load",
    "scan",
    "hash",
    "decide",
    "check-removals",
    "moves",
    "plan",
    "guard",
    "carry-out",
    "results",
    "remember",
    "remembered",
    "agreed",
)

hook: Callable[[str], None] | None = None


def at(name: str) -> None:
    """Come to the step ``name``, one of STEPS. Raises what the hook of a test raises."""
    if hook is not None:
        hook(name)
