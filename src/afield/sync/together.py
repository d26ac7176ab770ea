"""Several waits at once, none left alone when one fails; and the end of a task."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable


async def together(*waits: Awaitable[Any]) -> list[Any]:
    """Wait for several things at once; when one fails the others are still waited for, then the first failure is raised."""
    results = await asyncio.gather(*waits, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


async def ended(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task (None: there is none) and wait until it is over. Raises what it failed with, but not its cancellation."""
    if task is None:
        return
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
