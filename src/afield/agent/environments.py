"""The agent's answers about environments: what ``afield.envs`` finds, as the login sees the place  [P].

Runs in a forked child: a listing may hang on a dead network disk. Nothing is decided here.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

# The walk ends by itself after 2 s; the known places may lie on a disk that answers late.
ENVS_WAIT = 20.0


def envs(info: "Dict[str, Any]", roots: "List[bytes]") -> "Dict[str, Any]":
    """Find everything; roots are the folders of projects."""
    from afield.agent.facts import libc
    from afield.agent.spawn import expand
    from afield.envs.find import find

    found = find(_surroundings(info), [os.fsdecode(expand(root)) for root in roots])
    uname = os.uname()
    found["system"] = {"os": uname.sysname, "machine": uname.machine, "libc": libc()}
    return found


def _surroundings(info: "Dict[str, Any]") -> "Any":
    from afield.agent.spawn import home
    from afield.envs.candidates import Surroundings
    from afield.envs.find import made_folder

    variables, folder = dict(os.environ), os.fsdecode(home())
    return Surroundings(folder, variables, made=made_folder(folder, variables, info.get("home") or ""))


def env_packages(prefix: "bytes", version: "Optional[str]") -> "List[List[str]]":
    """List name, version and origin of what is installed; ``version`` ("3.11") picks one Python of a shared prefix."""
    from afield.envs.packages import listing

    return [
        [text.encode("utf-8", "replace").decode("utf-8") for text in row]
        for row in listing(os.fsdecode(prefix), version)
    ]


def env_remove(info: "Dict[str, Any]", prefix: "bytes", keep: "List[bytes]", foreign: "bool") -> "Dict[str, Any]":
    """Remove one environment. Raises OSError."""
    from afield.agent.spawn import expand
    from afield.envs.removal import remove

    where = _surroundings(info)
    kept = [where.home] + [os.fsdecode(expand(folder)) for folder in keep]
    return remove(os.fsdecode(prefix), where.made, kept, foreign=foreign)
