"""All environments of a place in one answer  [P].

Known places first, then the folders of projects, then the system's own; each environment once, by its real folder. Takes some
tens of ms; a slow disk ends the walk at its deadline and the answer says so.
"""

import os
from time import monotonic

from afield.envs import candidates, modules
from afield.envs.look import Looker
from afield.envs.walk import Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Set

    from afield.envs.candidates import Surroundings

# Longer than any walk on a local disk (1,250 folders take 30 ms); a network disk is cut here so that the answer stays quick.
WALK_SECONDS = 2.0
# 600 bytes each: far below what one answer may hold (1 MiB).
MOST = 500


def made_folder(home: "str", variables: "Dict[str, str]", afield_home: "str" = "") -> "str":
    """Give the folder of the environments that afield makes. What lies in it is ours by definition."""
    if afield_home:
        return os.path.join(afield_home, ".local/share/afield/envs")
    data = variables.get("XDG_DATA_HOME", "")
    return os.path.join(data if data.startswith("/") else os.path.join(home, ".local/share"), "afield/envs")


def find(where: "Surroundings", roots: "List[str]", seconds: "float" = WALK_SECONDS) -> "Dict[str, Any]":
    """Give ``envs`` (a list of maps), ``complete``, ``made`` (folder), ``folders`` walked and ``ms``."""
    begin = monotonic()
    looker = Looker()
    found: "Dict[str, Dict[str, Any]]" = {}
    for kind, folder, name in candidates.candidates(where):
        _add(found, looker, kind, folder, name)
    walk = Walk([root for root in dict.fromkeys([*roots, where.home]) if os.path.isdir(root)], begin + seconds)
    for kind, folder in walk.found():
        _add(found, looker, kind, folder, "")
    _add_system(found, looker, where)
    envs = [_marked(env, where, roots) for env in found.values()]
    envs += [_marked(env, where, roots) for env in modules.modules(where, looker)]
    return {
        "envs": [_encoded(env) for env in envs[:MOST]],
        "complete": walk.complete and len(envs) <= MOST,
        "made": os.fsencode(where.made),
        "folders": walk.folders,
        "ms": int((monotonic() - begin) * 1000),
    }


def _add(found: "Dict[str, Dict[str, Any]]", looker: "Looker", kind: "str", folder: "str", name: "str") -> "None":
    real = os.path.realpath(folder)
    if real in found:
        return
    env = looker.environment(kind, folder.rstrip("/") or "/", name)
    if env is not None:
        found[real] = env


def _add_system(found: "Dict[str, Dict[str, Any]]", looker: "Looker", where: "Surroundings") -> "None":
    bases: "Set[Any]" = {env["base"] for env in found.values() if env["kind"] in _BASES}
    for program, prefix in candidates.system_pythons(where):
        if prefix is not None:
            _add(found, looker, "", prefix, "")
            continue
        real = os.path.realpath(program)
        inside = os.path.dirname(os.path.dirname(real))
        if real in bases or inside in found:
            continue
        found[real] = looker.system(program)


_BASES = ("pyenv", "conda", "pixi", "uv-python", "mise", "asdf", "rye", "pdm", "python")


def _marked(env: "Dict[str, Any]", where: "Surroundings", roots: "List[str]") -> "Dict[str, Any]":
    env["made"] = bool(where.made) and env["path"].startswith(where.made + "/")
    env["here"] = any(env["path"].startswith(root.rstrip("/") + "/") for root in roots)
    env["writable"] = env["kind"] != "module" and os.access(env["path"], os.W_OK)
    return env


def _encoded(env: "Dict[str, Any]") -> "Dict[str, Any]":
    """Make text that any strict reader takes; paths stay bytes."""
    out: "Dict[str, Any]" = {}
    for key, value in env.items():
        if key in ("path", "python", "base"):
            out[key] = None if value is None else os.fsencode(value)
        elif isinstance(value, str):
            out[key] = value.encode("utf-8", "replace").decode("utf-8")
        else:
            out[key] = value
    return out
