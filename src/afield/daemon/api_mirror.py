"""The verbs about the mirror: sync, status, remove, get. One small function a verb.

What must not go in: how a job is run (mirrors) or what it does (afield.mirror).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.daemon import mirrors
from afield.daemon.api_link import linked
from afield.mirror.paths import text

if TYPE_CHECKING:
    from afield.daemon.conversation import Ask
    from afield.daemon.core import Daemon

Args = dict[str, Any]


async def mirror_sync(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Bring it up to date."""
    target = await linked(daemon, ask, args)
    return await daemon.mirrors.sync(
        target, env=args["env"], full=args["full"], tell=lambda values: ask.progress(**values)
    )


async def mirror_refresh(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Begin to bring a mirror that is here up to date, if the settings want that; the answer comes at once."""
    return {"begun": daemon.mirrors.refresh(await linked(daemon, ask, args))}


async def mirror_status(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Tell what is here; needs no link."""
    del ask
    target = daemon.projects.get(args["project"], args["machine"])
    told = await mirrors.run({"do": "status", "base": text(mirrors.base_of(target))})
    return {**told, "auto": target.machine.mirror_auto}


async def mirror_remove(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Take it away, and what no other mirror uses; needs no link."""
    del ask
    target = daemon.projects.get(args["project"], args["machine"])
    return await mirrors.run({"do": "remove", "base": text(mirrors.base_of(target))})


async def mirror_get(daemon: Daemon, ask: Ask, args: Args) -> Any:
    """Bring one file and give its path here."""
    target = await linked(daemon, ask, args)
    return await daemon.mirrors.get(target, args["path"])


VERBS = {
    "mirror-sync": mirror_sync,
    "mirror-refresh": mirror_refresh,
    "mirror-status": mirror_status,
    "mirror-remove": mirror_remove,
    "mirror-get": mirror_get,
}
