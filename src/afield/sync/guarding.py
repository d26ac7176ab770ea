"""Brings the guard of tree/ to a plan: what it would delete on each side against what that side has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from afield.sync.outcome import Plan
    from afield.sync.picture import Picture


def check_plan(picture: Picture, plan: Plan) -> None:
    """Raise GuardRefused when the plan looks like an accident."""
