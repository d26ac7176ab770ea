"""What a run waits for before its program starts: environment, way, home folder, sync, files from outside.

Rules: most runs wait for nothing, and asking costs microseconds; what was found out is kept where it belongs, not here.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from afield.daemon import mapping
from afield.errors import SessionGone

if TYPE_CHECKING:
    from collections.abc import Callable

    from afield.daemon.around import Around
    from afield.daemon.base import Base
    from afield.daemon.run_wire import RunRequest

# A barrier takes some milliseconds; whoever waits longer wants to know what for.
NOTICE_SECONDS = 2.0
WAITING = "afield: waiting for the sync before the program starts (Ctrl-C gives up)"


def aim(base: Base, request: RunRequest) -> mapping.Target:
    """Give the project on both sides as this run sees it, as far as it is known now."""
    target = base.mapping_target()
    return named_as_here(request, base.way.target(target) if _takes_way(request) else target)


def named_as_here(request: RunRequest, target: mapping.Target) -> mapping.Target:
    """Give the target with the names that the project has for who asked."""
    # A program that starts another one elsewhere leaves a PWD that is not true any more.
    roots = mapping.roots_of(request, target.roots[0])
    return target._replace(roots=tuple(root for root in roots if os.path.realpath(root) == target.roots[0]))


def must_wait(base: Base, request: RunRequest, target: mapping.Target, around: Around) -> bool:
    """Say whether ``prepare`` must be awaited; without it the run may start at once."""
    outside = around.wanted(request, target)
    unknown = base.environment.pending or (_takes_way(request) and base.way.pending)
    return outside or unknown or mapping.needs_home(request, target)


async def prepare(
    base: Base, request: RunRequest, around: Around, *, barrier: bool, tell: Callable[[str], None]
) -> mapping.Target:
    """Wait for it all; gives the target with everything known. Raises what explains why the program cannot start."""
    notice = asyncio.get_running_loop().call_later(NOTICE_SECONDS, tell, WAITING)
    try:
        return await _prepare(base, request, around, barrier=barrier)
    finally:
        notice.cancel()


async def _prepare(base: Base, request: RunRequest, around: Around, *, barrier: bool) -> mapping.Target:
    if base.environment.pending:
        await base.environment.resolve()
    if _takes_way(request) and base.way.pending:
        await base.way.resolve()
    target = aim(base, request)
    if mapping.needs_home(request, target):
        target = target.at_home(await base.home())
    if barrier:
        await base.barrier("here")
    return await around.before(base, target)


def _takes_way(request: RunRequest) -> bool:
    # A shell is for looking at the place as it is, unless it was asked for as programs see it.
    return request.mode != "shell" or "v" in request.flags


def gone(place: Any) -> SessionGone:
    """Explain that a program that was to be taken up again is not there."""
    return SessionGone(
        f"the program is not known at {getattr(place, 'text', 'the place')} any more: the agent or the machine was restarted, or its end was already told",
        hint="`afield status` shows the place; start the program again",
    )
