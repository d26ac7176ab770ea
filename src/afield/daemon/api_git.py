"""The verb about the repository of a project: git-sync."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from afield.daemon.conversation import Ask
    from afield.daemon.core import Daemon


async def git_sync(daemon: Daemon, ask: Ask, args: dict[str, Any]) -> Any:
    """Carry objects and refs both ways; a project that is not up comes up first, so that its files are equal."""
    target = daemon.projects.get(args["project"], args["machine"])
    if not target.live:
        await daemon.projects.up(target, ask, None)
    await target.place.ready(ask)
    daemon.projects.need(target)
    return await target.git.sync()


VERBS = {"git-sync": git_sync}
