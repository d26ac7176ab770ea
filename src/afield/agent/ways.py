"""Which ways a place allows to have the project at its local path: twin, same path; asked by really trying  [P].

    twin        a private view (``views``), tried with folders of nothing's own: the namespaces, one mount in memory, the user's number
    same        the folder there is at the local path already, or can be made there: no namespaces needed

Rules: what was tried is kept for the life of the agent where it cannot change without an administrator; each "no" comes with its reason.
"""

import os

from afield.agent import namespaces
from afield.agent.ground import Ground, UnsuitableError, check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

    from afield.agent.keeper import Keeper

_kept: "Dict[str, Optional[str]]" = {}


def ways(keeper: "Keeper", there: "bytes", local: "bytes", done: "Callable[[Any, Any], Any]") -> "None":
    """Answer ``{"twin": {"ok", "why"}, "same": {"ok", "why", "is"}}``."""
    from afield.agent.spawn import expand
    from afield.agent.views import Maker

    folder = os.path.normpath(expand(there))
    known = "twin" in _kept

    def told(value: "Any", fds: "List[int]", failure: "Any") -> "None":  # noqa: ARG001 there are none
        if failure is not None:
            done(None, failure)
            return
        if not known:
            _kept["twin"] = value["allowed"]
        why = _kept["twin"] or value["ground"]
        done({"twin": {"ok": why is None, "why": why}, "same": value["same"]}, None)

    try:
        namespaces.load()
    except OSError as error:
        _kept["twin"] = str(error.args[-1])
        known = True
    Maker(keeper, lambda: look(folder, local, tried=known), told)


def look(there: "bytes", local: "bytes", *, tried: "bool") -> "Tuple[Any, List[int]]":
    """Look and try, in a child of the agent."""
    value = {"ground": ground_for(local), "same": same(there, local), "allowed": None}
    if not tried:
        value["allowed"] = allowed()  # last: it changes this process
    return value, []


def allowed() -> "Optional[str]":
    """Try what a view needs; None, or why not. The process is of no use for anything else afterwards."""
    from afield.agent.twin import IN_MEMORY, RefusedError, Twin, replace_root

    try:
        twin = Twin((), None)
        user, group = os.getuid(), os.getgid()
        as_root = twin.leave(user, group)
        if as_root:
            namespaces.mount(b"afield", b"/tmp", b"tmpfs", namespaces.NO_SUID, IN_MEMORY)
        else:
            replace_root({})
            twin.come_back(user, group)
    except (RefusedError, OSError, StopIteration) as error:
        return str(error.args[-1] if error.args else error)
    return None


def ground_for(local: "bytes") -> "Optional[str]":
    """Say why a view cannot show a folder at this path; None when it can."""
    try:
        Ground().prepare(local)
    except (UnsuitableError, OSError) as error:
        return str(error.args[-1])
    return None


def same(there: "bytes", local: "bytes") -> "Dict[str, Any]":
    """Tell whether the folder is, or can be made, at the local path; ``is``: it is there now."""
    if os.path.normpath(there) == local and os.path.realpath(os.path.dirname(local)) == os.path.dirname(local):
        return {"ok": True, "why": None, "is": True}
    try:
        check(local)
    except UnsuitableError as error:
        return _no(str(error))
    above = local
    while above != b"/" and not os.path.lexists(above):
        above = os.path.dirname(above)
    if above == local:
        if os.path.realpath(local) != local:
            return _no("%s is reached through a symlink there" % os.fsdecode(local))
        if not os.path.isdir(local):
            return _no("%s is no folder there" % os.fsdecode(local))
        if os.listdir(local) if os.access(local, os.R_OK) else True:
            return _no("%s is in use for something else there" % os.fsdecode(local))
    if os.path.realpath(above) != above:
        return _no("%s is a symlink there" % os.fsdecode(above))
    if not os.access(above, os.W_OK | os.X_OK):
        return _no("%s cannot be made there: no right to write to %s" % (os.fsdecode(local), os.fsdecode(above)))
    return {"ok": True, "why": None, "is": False}


def _no(why: "str") -> "Dict[str, Any]":
    return {"ok": False, "why": why.encode("utf-8", "replace").decode("utf-8"), "is": False}
