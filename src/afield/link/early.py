"""The command of a dial, and its start before there is a loop: a daemon begins the login first and imports asyncio meanwhile.

Rules: imports no asyncio. The process goes to ``Connection(..., adopted=process)``, an askpass to ``askpass=``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from afield.deploy import bundle, starter
from afield.link import spawn
from afield.transports.base import Dial, Transport


def command(
    transport: Transport, python: str | None = None, *, fresh: bool = False, env: Mapping[str, str] | None = None
) -> Dial:
    """Give what opens the stream to the agent; ``env`` (an askpass's) is added to the environment of a carrier.

    A command that becomes the agent itself asks nothing, and all that runs there would inherit the token.
    """
    dial = transport.command(python, starter.render(bundle.build()), fresh=fresh)
    if env is None or not transport.ends_with_stream:
        return dial
    return Dial(dial.argv, {**(os.environ if dial.env is None else dial.env), **env}, dial.cwd)


def begin(transport: Transport, *, env: Mapping[str, str] | None = None) -> spawn.Process:
    """Start the first dial now; without ``env`` nobody can be asked. Raises BadTransport when it cannot be started."""
    transport.batch = env is None
    return spawn.spawn(command(transport, env=env))
