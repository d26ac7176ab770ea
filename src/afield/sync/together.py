"""Several waits at once, none left alone when one fails."""

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
