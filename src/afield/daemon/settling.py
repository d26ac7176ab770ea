"""Around a run, the sync: what was saved here is there before the program starts, what it wrote is here before its end is told.

Rules: one side is asked at a time, the one where something may just have happened; most often there is nothing to do, and then this
costs one question and no task. What must not go in: how a sync works, what a run is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

# A worker answers within a millisecond and a round trip; one that does not has much to do, and the long way says so.
LOOK_SECONDS = 1.0
# A sync that takes longer than this goes on by itself; the exit status must not wait.
RESULTS_SECONDS = 30.0


class Synced(Protocol):
    """What has a sync (``target.Target``)."""

    def look(self, side: str, answer: Callable[[bool], None]) -> bool:
        """Tell by ``answer`` whether what is saved on that side ("here", "there") is on the other; False: ask ``barrier``."""

    async def barrier(self, side: str | None = None) -> None:
        """Wait until what is saved on either side, or on ``side``, is on the other."""


def look(target: Synced, side: str, *, quiet: Callable[[], None], busy: Callable[[], None]) -> None:
    """Go on by ``quiet`` when what is saved on that side is known to be on the other, else, or after LOOK_SECONDS, by ``busy``."""
    answered = False

    def answer(nothing: bool) -> None:
        nonlocal answered
        if not answered:
            answered = True
            timer.cancel()
            (quiet if nothing else busy)()

    timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, answer, False)
    if not target.look(side, answer):
        answer(False)


async def bring_results(target: Synced) -> str:
    """Wait for what a program wrote there; the text for the user when that takes too long or fails, else nothing."""
    # Waited for from outside: a sync that takes longer goes on after this run.
    bringing = asyncio.ensure_future(target.barrier("there"))
    bringing.add_done_callback(lambda task: task.cancelled() or task.exception())
    await asyncio.wait([bringing], timeout=RESULTS_SECONDS)
    error = bringing.exception() if bringing.done() else None
    if bringing.done() and error is None:
        return ""
    why = str(error) if error is not None else "it takes longer"
    return f"afield: the results are not all here yet: {why} (see `afield status`)"
