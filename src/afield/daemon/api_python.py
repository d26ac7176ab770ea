"""The verb about the interpreter there: who it is, for the files here that describe it."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from afield.daemon.api_link import linked
from afield.daemon.there import run_there
from afield.errors import EnvBroken

if TYPE_CHECKING:
    from afield.daemon.conversation import Ask
    from afield.daemon.core import Daemon

_CODE = b"""
import json, sys
print(json.dumps([sys.version.split()[0].rstrip("+"), sys.executable, sys.prefix, sys.base_prefix]))
"""


async def interpreter(daemon: Daemon, ask: Ask, args: dict[str, Any]) -> Any:
    """Ask the interpreter that the project runs who it is. Raises EnvBroken when it does not say."""
    target = await linked(daemon, ask, args)
    if target.environment.pending:
        await target.environment.resolve()
    found = target.mapping_target()
    if found.at_a_home:
        found = found.at_home(await target.home())
    python = found.python or b"python3"
    done = await run_there(target, [python, b"-I", b"-S", b"-c", _CODE], ask=None)
    try:
        version, executable, prefix, base = (str(each) for each in json.loads(done.text.splitlines()[-1]))
    except (ValueError, IndexError, TypeError):
        raise EnvBroken(f"{os.fsdecode(python)} there does not start: {done.last or done.code}") from None
    stamp = hashlib.sha256(f"{version}\n{executable}\n{prefix}\n{base}".encode("utf-8", "replace")).hexdigest()[:16]
    name = target.machine.environment or os.path.basename(prefix.rstrip("/")) or "python"
    prompt = f"{os.path.basename(name.rstrip('/'))} on {target.machine.name}"
    return {"version": version, "executable": executable, "prefix": prefix, "prompt": prompt, "stamp": stamp}


VERBS = {"interpreter": interpreter}
